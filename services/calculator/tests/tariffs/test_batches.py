"""Many machines, priced by tariffs."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from httpx import AsyncClient

from calculator.settings import Settings
from common.ids import new_id
from common.runtime import Runtime

Json = dict[str, Any]
HearTariff = Callable[..., Awaitable[str]]
PATH = "/api/calculator/batch/calculate"


async def answered(client: AsyncClient, body: Json) -> Json:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_rows_are_priced_each_by_its_own_tariff(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    site = str(new_id())
    one = await hear_tariff(mean_usd_per_kwh="0.05", name="One", active=False)
    await hear_tariff(mean_usd_per_kwh="0.07", name="Two", site_id=site, rate_version=9)
    euro = await hear_tariff(currency="EUR", active=False)
    index = await hear_tariff(mean_usd_per_kwh=None, rate_type="index", active=False)
    rows = [
        {"rate_id": one},
        {"site_id": site},
        {"electricity_usd_per_kwh": 0.11},
        {"rate_id": one, "site_id": site},
        {"rate_id": one, "electricity_usd_per_kwh": 0.11},
        {"rate_id": euro},
        {"rate_id": index},
        {"rate_id": str(new_id())},
        {"rate_id": "the cheap one"},
        {},
    ]
    found = await answered(planner, {"rows": [unpriced | row for row in rows]})
    priced = [
        row["result"] and row["result"]["electricity_usd_per_kwh"] for row in found["results"]
    ]
    assert priced[:3] == [0.05, 0.07, 0.11]
    faults = [row["error"] and row["error"]["code"] for row in found["results"]]
    assert faults == [
        *[None] * 3,
        *["electricity_unclear"] * 2,
        "currency_unknown",
        "rate_varies",
        *["rate_unknown"] * 2,
        "electricity_unclear",
    ]
    used = {(one["name"], one["rate_version"], one["usd_per_kwh"]) for one in found["tariffs"]}
    assert used == {("One", 3, 0.05), ("Two", 9, 0.07)}
    assert {one["source"] for one in found["tariffs"]} == {"tariff_mean"}
    assert any("demand charges" in warning for warning in found["warnings"])


async def test_a_default_tariff_gives_way_to_a_rows_own_price(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    rate = await hear_tariff()
    rows = [unpriced, unpriced | {"electricity_cost": 0.01}]
    found = await answered(planner, {"rows": rows, "defaults": {"rate_id": rate}})
    prices = [row["result"]["electricity_usd_per_kwh"] for row in found["results"]]
    assert prices == [0.0712, 0.01]


async def test_who_may_not_read_tariffs_gets_no_price(
    user: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    found = await answered(user, {"rows": [unpriced | {"rate_id": await hear_tariff()}]})
    assert found["results"][0]["error"]["code"] == "rate_unknown"
    assert found["tariffs"] == []


@pytest.mark.parametrize("may", [True, False])
async def test_all_parts_of_a_job_see_one_tariff(
    planner: AsyncClient,
    user: AsyncClient,
    unpriced: Json,
    hear_tariff: HearTariff,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    do_part: Callable[[str], Awaitable[bool]],
    *,
    may: bool,
) -> None:
    """The job runs without its caller's token, and still with that caller's rights."""
    monkeypatch.setattr(cast("Settings", runtime.settings), "batch_part_rows", 2)
    caller, rate = planner if may else user, await hear_tariff()
    answer = await caller.post(
        PATH,
        json={"rows": [unpriced | {"rate_id": rate}] * 4},
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202, answer.text
    job, batch = answer.json()["job_id"], answer.json()["batch_id"]
    assert not await do_part(job)
    await hear_tariff(version=2, rate_id=rate, mean_usd_per_kwh="0.5")
    assert await do_part(job)
    shown = (await caller.get(f"/api/calculator/batch/{batch}/rows")).json()["items"]
    if may:
        assert {row["result"]["electricity_usd_per_kwh"] for row in shown} == {0.0712}
        summary = (await caller.get(f"/api/calculator/batch/{batch}")).json()
        assert [one["usd_per_kwh"] for one in summary["tariffs"]] == [0.0712]
    else:
        assert {row["error"]["code"] for row in shown} == {"rate_unknown"}
