"""The history through HTTP: who sees what, comparison, repetition, links."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import select, update

from calculator.batches.models import Batch
from calculator.history import retention
from calculator.history.models import HistoryEntry
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime

PATH = "/api/calculator/history"
Json: TypeAlias = dict[str, Any]
ClientAs: TypeAlias = Callable[..., AsyncClient]
BOTH = frozenset({"calculations:read", "calculations:run"})


async def calculated(client: AsyncClient, body: Json, path: str = "calculate") -> str:
    answer = await client.post(f"/api/calculator/{path}", json=body)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["batch_id" if path.startswith("batch") else "id"]
    return found


async def test_a_users_calculations_are_kept_newest_first(user: AsyncClient, closed: Json) -> None:
    single = await calculated(user, closed)
    longer = await calculated(user, closed | {"months": 3}, "projection")
    batch = await calculated(user, {"rows": [closed]}, "batch/calculate")
    page = (await user.get(PATH)).json()
    assert [item["id"] for item in page["items"]] == [batch, longer, single]
    assert [item["kind"] for item in page["items"]] == ["batch", "projection", "calculation"]
    assert page["items"][2]["title"] == "110 TH/s, 3,250 W"
    only = (await user.get(PATH, params={"kind": "projection"})).json()
    assert [item["id"] for item in only["items"]] == [longer]
    detail = (await user.get(f"{PATH}/{single}")).json()
    assert detail["request"] == closed
    assert detail["result"]["cost_usd_per_day"] == 3.9


async def test_without_a_login_nothing_is_kept(anonymous: AsyncClient, closed: Json) -> None:
    assert await calculated(anonymous, closed) is None
    assert await calculated(anonymous, closed | {"days": 3}, "projection") is None
    assert (await anonymous.get(PATH)).status_code == 401


async def test_a_programs_calculations_are_not_kept(client_as: ClientAs, closed: Json) -> None:
    assert await calculated(client_as(kind="api_key"), closed) is None


async def test_a_history_is_one_persons(
    user: AsyncClient, client_as: ClientAs, closed: Json
) -> None:
    entry = await calculated(user, closed)
    colleague = client_as(subject=new_id(), scopes=BOTH)
    stranger = client_as(organisation_id=new_id(), scopes=BOTH)
    for other in (colleague, stranger):
        assert (await other.get(PATH)).json()["total"] == 0
        for method, below in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/share"),
            ("DELETE", "/share"),
            ("POST", "/rerun"),
        ):
            assert (await other.request(method, f"{PATH}/{entry}{below}")).status_code == 404
    assert (await user.get(f"{PATH}/{entry}")).status_code == 200


async def test_the_history_needs_its_permission(client_as: ClientAs) -> None:
    assert (await client_as(scopes=frozenset()).get(PATH)).status_code == 403


async def test_deleting_forgets_the_calculation_and_its_rows(
    user: AsyncClient, closed: Json, runtime: Runtime
) -> None:
    batch = await calculated(user, {"rows": [closed]}, "batch/calculate")
    assert (await user.delete(f"{PATH}/{batch}")).status_code == 204
    assert (await user.get(f"{PATH}/{batch}")).status_code == 404
    async with runtime.worker_session() as session:
        assert await session.scalar(select(Batch.id).where(Batch.id == UUID(batch))) is None


async def test_two_calculations_are_compared_number_by_number(
    user: AsyncClient, closed: Json
) -> None:
    first = await calculated(user, closed)
    second = await calculated(user, closed | {"electricity_usd_per_kwh": 0.1})
    answer = await user.get(f"{PATH}/compare", params={"first": first, "second": second})
    found = answer.json()
    assert answer.status_code == 200, answer.text
    assert set(found["inputs"]) == {"electricity_usd_per_kwh"}
    assert found["figures"]["cost_usd_per_day"] == {
        "first": 3.9, "second": 7.8, "difference": 3.9, "difference_percent": 100,
    }  # fmt: skip
    assert found["figures"]["btc_per_day"]["difference"] == 0
    assert found["figures"]["year.cost_usd"]["difference"] == pytest.approx(365 * 3.9)


async def test_different_kinds_cannot_be_compared(user: AsyncClient, closed: Json) -> None:
    first = await calculated(user, closed)
    second = await calculated(user, closed | {"months": 1}, "projection")
    answer = await user.get(f"{PATH}/compare", params={"first": first, "second": second})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_comparable")
    missing = await user.get(f"{PATH}/compare", params={"first": first, "second": str(new_id())})
    assert missing.status_code == 404


@pytest.mark.parametrize("path", ["calculate", "projection", "batch/calculate"])
async def test_a_calculation_is_made_again(user: AsyncClient, closed: Json, path: str) -> None:
    body = {"rows": [closed, {"model": "S99"}]} if path.startswith("batch") else closed
    first = await calculated(user, body, path)
    answer = await user.post(f"{PATH}/{first}/rerun")
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert found["calculation"]["id"] != first
    assert found["comparison"]["first"]["id"] == first
    assert all(one["difference"] in (0, None) for one in found["comparison"]["figures"].values())
    assert (await user.get(PATH)).json()["total"] == 2


async def test_made_again_it_takes_todays_market(
    world: Any, empty: Callable[[], Awaitable[None]], user: AsyncClient
) -> None:
    first = await calculated(user, {"model": "S21", "electricity_cost": 0.05})
    world.clock.forward(timedelta(days=1).total_seconds())
    await empty()  # else the old quote is served once more while it is renewed
    world.restart()
    found = (await user.post(f"{PATH}/{first}/rerun")).json()
    assert "btc_price_usd" in found["comparison"]["inputs"]


async def test_a_link_shows_the_calculation_and_not_whose_it_is(
    user: AsyncClient, anonymous: AsyncClient, closed: Json
) -> None:
    entry = await calculated(user, closed)
    link = (await user.post(f"{PATH}/{entry}/share")).json()
    assert len(link["token"]) >= 32
    answer = await anonymous.get(link["path"])
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert set(shown) == {"kind", "title", "request", "result", "created_at"}
    assert shown["result"]["cost_usd_per_day"] == 3.9
    assert entry not in answer.text
    assert (await user.get(PATH)).json()["items"][0]["shared"] is True


async def test_a_shared_batch_names_no_downloads(
    user: AsyncClient, anonymous: AsyncClient, closed: Json
) -> None:
    batch = await calculated(user, {"rows": [closed]}, "batch/calculate")
    link = (await user.post(f"{PATH}/{batch}/share")).json()
    answer = await anonymous.get(link["path"])
    assert batch not in answer.text
    assert answer.json()["result"]["succeeded"] == 1


async def test_a_link_ends_when_it_is_taken_back_or_replaced(
    user: AsyncClient, anonymous: AsyncClient, closed: Json
) -> None:
    entry = await calculated(user, closed)
    old = (await user.post(f"{PATH}/{entry}/share")).json()
    new = (await user.post(f"{PATH}/{entry}/share")).json()
    assert (await anonymous.get(old["path"])).status_code == 404
    assert (await anonymous.get(new["path"])).status_code == 200
    assert (await user.delete(f"{PATH}/{entry}/share")).status_code == 204
    assert (await anonymous.get(new["path"])).status_code == 404


async def test_a_guessed_link_shows_nothing(anonymous: AsyncClient) -> None:
    assert (await anonymous.get("/api/calculator/shared/" + "a" * 32)).status_code == 404
    assert (await anonymous.get("/api/calculator/shared/short")).status_code == 422


async def test_the_secret_of_a_link_is_not_kept(
    user: AsyncClient, closed: Json, runtime: Runtime
) -> None:
    entry = await calculated(user, closed)
    link = (await user.post(f"{PATH}/{entry}/share")).json()
    async with runtime.worker_session() as session:
        kept = await session.get_one(HistoryEntry, UUID(entry))
        assert kept.share_sha256 is not None
        assert link["token"].encode() not in kept.share_sha256


async def test_old_and_surplus_calculations_are_forgotten(
    user: AsyncClient, closed: Json, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [await calculated(user, closed) for _ in range(4)]
    await user.post(f"{PATH}/{entries[1]}/share")
    monkeypatch.setattr(retention, "MOST", 2)
    async with runtime.worker_session() as session:
        await session.execute(
            update(HistoryEntry)
            .where(HistoryEntry.id == UUID(entries[3]))
            .values(created_at=now() - timedelta(days=366))
        )
        await retention.forget(session)
    left = {item["id"] for item in (await user.get(PATH)).json()["items"]}
    assert left == {entries[1], entries[2]}
