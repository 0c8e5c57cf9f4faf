"""Wind ordered through HTTP, done by the queue's worker; and what is refused."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from common.jobs import Step, work
from common.runtime import Runtime
from energy.domain.settlement import ZONE, day_of
from energy.jobs import jobs_of
from energy.wind import processing
from energy.wind.answers import Unit
from energy.wind.jobs import kinds
from energy.wind.orders import Order
from energy.wind.processing import RegisterUnavailable
from energy.wind.units import farm_of
from simulation.elexon import Elexon, Fault, Kind, Resource

Ended = Callable[[httpx.Response], Awaitable[dict[str, Any]]]
Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
Process = Callable[..., Awaitable[dict[str, Any]]]
ClientFor = Callable[..., httpx.AsyncClient]
DAY = "2025-03-04"
POSTS = (
    "ingest", "calculate-all", "reconcile", "process-missing", "backfill", "generation", "verify",
    "bm-units/refresh",
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("models", "epochs")


@pytest.fixture
async def job_worker(runtime: Runtime) -> AsyncGenerator[None]:
    """Do queued jobs while the test runs."""
    working = asyncio.create_task(work(runtime, jobs_of(runtime, kinds)))
    yield
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working


@pytest.fixture
def ended(client: httpx.AsyncClient) -> Ended:
    """Wait for the job that an answer names; return how it ended."""

    async def wait(accepted: httpx.Response) -> dict[str, Any]:
        assert accepted.status_code == 202, accepted.text
        assert accepted.headers["Location"] == accepted.json()["status_url"]
        async with asyncio.timeout(60):
            while True:
                job: dict[str, Any] = (await client.get(accepted.headers["Location"])).json()
                if job["finished_at"] is not None:
                    return job
                await asyncio.sleep(0.05)

    return wait


@pytest.mark.usefixtures("job_worker")
async def test_a_day_is_ingested_by_a_job(
    client: httpx.AsyncClient, ended: Ended, rows: Rows
) -> None:
    job = await ended(await client.post("/api/wind/ingest", json={"date": DAY}))
    assert (job["state"], job["percent"]) == ("done", 100), job
    assert job["result"]["complete"]
    assert job["result"]["records"] > 2000
    assert set(job["result"]["models"]) == {"S19J_PRO", "M20S", "S9"}
    detail = (await client.get(f"/api/wind/days/{DAY}")).json()
    assert detail["day"]["status"] == "complete"
    assert detail["day"]["verified_at"] is not None
    assert len(detail["periods"]) == 48
    assert {period["status"] for period in detail["periods"]} == {"complete"}
    listed = (await client.get(f"/api/wind/days?status=complete&from={DAY}&to={DAY}")).json()
    assert [one["settlement_date"] for one in listed["items"]] == [DAY]
    [run] = (await client.get("/api/wind/runs")).json()["items"]
    assert (run["kind"], run["ordered_by"], run["status"]) == ("reingest", "job", "complete")
    progress = {
        one["process"]: one for one in (await client.get("/api/wind/progress")).json()["items"]
    }
    assert progress["reingest"]["last_processed_date"] == DAY
    check = (await client.get(f"/api/wind/verify/{DAY}")).json()
    assert check["complete"]
    assert check["items"][0]["defects"] == []
    # What everybody may read belongs to nobody: the job is the caller's, the rows the platform's.
    [daily] = await rows("daily_summaries")
    assert daily["organisation_id"] == PLATFORM_ORGANISATION


@pytest.mark.usefixtures("job_worker")
async def test_some_days_of_chosen_models(
    client: httpx.AsyncClient, ended: Ended, rows: Rows
) -> None:
    body = {
        "from": "2025-03-05",
        "to": "2025-03-06",
        "models": ["antminer s9 13.5t"],
        "periods": "1-3",
    }
    job = await ended(await client.post("/api/wind/ingest", json=body))
    assert job["result"]["days_processed"] == 2
    assert set(job["result"]["models"]) == {"S9"}  # by its usual name, whatever it was asked by
    [gap, _] = job["result"]["incomplete_days"]
    assert gap["missing_periods"] == list(range(4, 49))
    rest = {"from": "2025-03-05", "to": "2025-03-06"}
    job = await ended(await client.post("/api/wind/process-missing", json=rest))
    assert job["result"]["complete"]
    assert set(job["result"]["models"]) == {"S19J_PRO", "M20S", "S9"}
    stored = await rows("bitcoin_daily_summaries")
    assert {row["periods"] for row in stored} == {48}


@pytest.mark.usefixtures("job_worker")
async def test_only_what_is_missing_is_asked_for(
    client: httpx.AsyncClient, ended: Ended, elexon: Elexon
) -> None:
    elexon.fault(Fault.TRUNCATED, Resource.STACK, period=30)
    job = await ended(await client.post("/api/wind/ingest", json={"date": DAY}))
    assert not job["result"]["complete"]
    assert job["result"]["failures"] != []
    elexon.heal()
    elexon.forget_calls()
    body = {"date": DAY, "missing_only": True}
    job = await ended(await client.post("/api/wind/ingest", json=body))
    assert job["result"]["complete"]
    assert elexon.calls[Resource.STACK] == 2
    elexon.forget_calls()
    job = await ended(await client.post("/api/wind/process-missing", json={"date": DAY}))
    assert job["result"]["complete"]
    assert elexon.calls[Resource.STACK] == 0


@pytest.mark.usefixtures("job_worker")
async def test_history_is_filled_in_at_once_or_in_the_window(
    client: httpx.AsyncClient, ended: Ended, elexon: Elexon
) -> None:
    calm = elexon.britain.next_of_kind(date(2025, 3, 1), Kind.CALM).isoformat()
    body = {"from": calm, "to": calm, "at_once": True}
    job = await ended(await client.post("/api/wind/backfill", json=body))
    assert job["result"]["complete"]
    [run] = (await client.get("/api/wind/runs")).json()["items"]
    assert run["kind"] == "backfill"


@pytest.mark.usefixtures("job_worker")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("calculate-all", "calculate"),
        ("reconcile", "reconcile"),
        ("generation", "generation"),
        ("verify", "verify"),
        (f"ingest/{DAY}", "reingest"),
    ],
)
async def test_every_process_can_be_ordered(
    client: httpx.AsyncClient, ended: Ended, process: Process, path: str, kind: str
) -> None:
    await process("reingest", date(2025, 3, 4), periods=(9, 10))
    body = None if "/" in path else {"date": DAY}
    job = await ended(await client.post(f"/api/wind/{path}", json=body))
    assert job["state"] == "done", job
    assert job["result"]["days_processed"] == 1
    newest = (await client.get("/api/wind/runs")).json()["items"][0]
    assert (newest["kind"], newest["ordered_by"]) == (kind, "job")


async def test_history_waits_for_the_window(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = (now() + timedelta(hours=2)).astimezone(ZONE)
    window = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"
    monkeypatch.setattr(runtime.settings, "wind_window", window)
    monkeypatch.setattr(processing, "_WINDOW_LOOK_S", 0.01)
    order = Order(kind="backfill", first=date(2025, 3, 4), last=date(2025, 3, 4))
    begun = await processing.advance(runtime, order, {})
    waiting = await processing.advance(runtime, order, begun.cursor)
    assert waiting.step == f"waiting for {window}"
    assert waiting.cursor == begun.cursor


async def test_history_goes_by_the_batch_and_rests_between(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, elexon: Elexon
) -> None:
    """Batch and pause are settings: 48 periods by 20 are three steps, each with its rest."""
    rests: list[float] = []
    sleep = asyncio.sleep

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await sleep(0 if seconds == 7.0 else seconds)

    monkeypatch.setattr(runtime.settings, "wind_batch_periods", 20)
    monkeypatch.setattr(runtime.settings, "wind_pause_s", 7.0)
    day = elexon.britain.next_of_kind(date(2025, 3, 1), Kind.CALM)
    order = Order(kind="backfill", first=day, last=day, at_once=True, outputs=False)
    steps: list[str] = []
    progress = await processing.advance(runtime, order, {})
    monkeypatch.setattr(asyncio, "sleep", rest)
    while progress.result is None:
        progress = await processing.advance(runtime, order, progress.cursor)
        steps.append(progress.step)
    assert [step for step in steps if "periods" in step and "fetch" not in step] == [
        f"{day}: periods 1-20, 20 of 48",
        f"{day}: periods 21-40, 40 of 48",
        f"{day}: periods 41-48, 48 of 48",
    ]
    assert rests.count(7.0) == 3


async def test_a_job_that_fails_says_so_in_its_run(
    runtime: Runtime, rows: Rows, process: Process
) -> None:
    order = Order(kind="verify", first=date(2025, 3, 4), last=date(2025, 3, 4))
    begun = await processing.advance(runtime, order, {})
    handler = jobs_of(runtime, kinds).handlers["wind.process"]
    broken = begun.cursor | {"day": "never"}
    async with runtime.tenant_session(PLATFORM_ORGANISATION) as session:
        with pytest.raises(ValueError, match="never"):
            await handler(session, Step(new_id(), PLATFORM_ORGANISATION, order.document(), broken))
    [run] = await rows("ingestion_runs")
    assert run["status"] == "failed"
    assert "never" in run["error"]


async def test_without_a_register_nothing_begins(
    process: Process, rows: Rows, elexon: Elexon
) -> None:
    elexon.fault(Fault.HTML, Resource.UNITS)
    with pytest.raises(RegisterUnavailable, match="register of BM units"):
        await process("reingest", date(2025, 3, 4))
    assert elexon.calls[Resource.STACK] == 0
    assert await rows("ingestion_runs") == []


async def test_an_unknown_difficulty_is_no_constant(
    process: Process, rows: Rows, tell_epochs: Callable[..., Awaitable[None]], runtime: Runtime
) -> None:
    async with runtime.worker_session() as session:
        await session.execute(text("DELETE FROM energy.network_epoch"))
    report = await process("reingest", date(2025, 3, 4))
    assert not report["complete"]
    assert report["incomplete_days"][0]["bitcoin_status"] == "difficulty_unavailable"
    assert await rows("historical_bitcoin_calculations") == []
    assert await rows("bitcoin_daily_summaries") == []
    [daily] = await rows("daily_summaries")
    assert daily["records"] > 2000  # energy does not wait for bitcoin
    with pytest.raises(Exception, match="difficulty is not known") as refused:
        await process("calculate", date(2025, 3, 4))
    assert getattr(refused.value, "status", None) == 503
    [failed] = await rows("ingestion_runs", "kind = 'calculate'")
    assert failed["status"] == "failed"
    await tell_epochs()
    assert (await process("process-missing", date(2025, 3, 4)))["complete"]


async def test_a_retarget_within_a_day_counts_from_its_instant(
    process: Process, rows: Rows
) -> None:
    """2025-03-09: difficulty rises at 18:00 UTC, which is the start of period 37."""
    await process("reingest", date(2025, 3, 9))
    rates = await rows("bitcoin_rates", "miner_model = 'S9'")
    by_period = {row["settlement_period"]: int(row["difficulty"]) for row in rates}
    assert by_period[36] == 110568428300952
    assert by_period[37] == 112149504190349


async def test_the_same_order_twice_is_one(client: httpx.AsyncClient, client_as: ClientFor) -> None:
    body = {"date": "2025-02-02"}
    first = await client.post("/api/wind/ingest", json=body)
    assert first.status_code == 202
    again = await client.post("/api/wind/ingest", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "already_ordered")
    other = await client_as().post("/api/wind/ingest", json=body)
    assert other.status_code == 409


TOMORROW = (day_of(now()) + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"date": "2025-02-30"}, None),
        ({"date": "20250304"}, None),
        ({"date": 20250304}, None),
        ({"date": "1741046400"}, None),
        ({"date": TOMORROW}, "outside_history"),
        ({"date": "2008-12-31"}, "outside_history"),
        ({"from": "2025-03-05", "to": "2025-03-04"}, "bad_range"),
        ({"to": "2025-03-04"}, None),
        ({"date": "2025-03-04", "from": "2025-03-04"}, None),
        ({"date": "2025-03-04", "periods": "0-3"}, "no_such_periods"),
        ({"date": "2025-03-30", "periods": "47"}, "no_such_periods"),
        ({"date": "2025-10-26", "periods": "51"}, "no_such_periods"),
        ({"date": "2025-03-04", "periods": "9-3"}, "no_such_periods"),
        ({"date": "2025-03-04", "periods": "all"}, None),
        ({"date": "2025-03-04", "models": ["S99"]}, "miner_model_unknown"),
        ({"date": "2025-03-04", "models": [""]}, None),
        ({"date": "2025-03-04", "models": ["x" * 129]}, None),
        ({"date": "2025-03-04", "models": ["S9\x00"]}, None),
        ({"date": "2025-03-04", "what": 1}, None),
        ({"from": "2024-01-01", "to": "2025-01-01"}, "bad_range"),  # 367 days
    ],
)
async def test_orders_that_cannot_be(
    client: httpx.AsyncClient, body: dict[str, Any], code: str | None
) -> None:
    answer = await client.post("/api/wind/ingest", json=body)
    assert answer.status_code == 422, answer.text
    if code is not None:
        assert answer.json()["code"] == code


async def test_an_order_too_long_names_the_limit_and_the_way(client: httpx.AsyncClient) -> None:
    body = {"from": "2024-01-01", "to": "2025-01-01"}
    for path in ("ingest", "reconcile", "process-missing", "generation"):
        refused = await client.post(f"/api/wind/{path}", json=body)
        assert (refused.status_code, refused.json()["field"]) == (422, "to"), refused.text
        assert "At most 366 days" in refused.json()["detail"]
        assert "backfill" in refused.json()["detail"]
    # What asks Elexon for nothing that is here, and goes day by day, may mean all of history.
    for path in ("backfill", "calculate-all", "verify"):
        accepted = await client.post(f"/api/wind/{path}", json={"from": "2009-01-01"})
        assert accepted.status_code == 202, accepted.text


@pytest.mark.parametrize(
    "path", ["days/2025-02-30", "verify/20250304", f"days/{TOMORROW}", f"verify/{TOMORROW}"]
)
async def test_days_that_cannot_be(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/api/wind/{path}")).status_code == 422


async def test_the_day_that_runs_can_be_looked_at(client: httpx.AsyncClient) -> None:
    today = day_of(now())
    assert (await client.get(f"/api/wind/days/{today}")).json()["day"] is None
    assert not (await client.get(f"/api/wind/verify/{today}")).json()["complete"]


async def test_days_from_after_to_are_no_list(client: httpx.AsyncClient) -> None:
    refused = await client.get("/api/wind/days?from=2025-03-05&to=2025-03-04")
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_range")
    assert refused.json()["field"] == "to"
    assert (await client.get("/api/wind/days?from=2025-03-05&to=2025-03-05")).status_code == 200


@pytest.mark.parametrize("path", ["days", "runs", "bm-units"])
async def test_lists_have_pages(client: httpx.AsyncClient, process: Process, path: str) -> None:
    await process("reingest", date(2025, 3, 4), periods=(1, 1))
    listed = f"/api/wind/{path}"
    for query in ("page_size=0", "page_size=-1", "page_size=1000000000", "page=0", "page=-1"):
        refused = await client.get(f"{listed}?{query}")
        assert (refused.status_code, refused.json()["field"]) == (422, query.partition("=")[0])
    assert "200" in (await client.get(f"{listed}?page_size=1000000000")).json()["detail"]
    first = (await client.get(f"{listed}?page_size=1")).json()
    assert len(first["items"]) == 1
    beyond = (await client.get(f"{listed}?page_size=1&page={first['total'] + 1}")).json()
    assert (beyond["items"], beyond["total"]) == ([], first["total"])


async def test_a_day_nobody_asked_for_is_missing(client: httpx.AsyncClient) -> None:
    detail = (await client.get("/api/wind/days/2025-03-30")).json()
    assert detail["day"] is None
    assert [one["status"] for one in detail["periods"]] == ["missing"] * 46
    check = (await client.get("/api/wind/verify/2025-03-30")).json()
    assert not check["complete"]
    assert check["items"][0]["missing_periods"] == list(range(1, 47))


async def test_reading_is_everybodys_ordering_is_not(client_as: ClientFor) -> None:
    reader = client_as(scopes=frozenset({"wind:read"}))
    for path in POSTS:
        assert (await reader.post(f"/api/wind/{path}", json={"date": DAY})).status_code == 403
    assert (await reader.post(f"/api/wind/ingest/{DAY}")).status_code == 403
    for path in ("days", "runs", "progress", "bm-units", f"days/{DAY}", f"verify/{DAY}"):
        assert (await reader.get(f"/api/wind/{path}")).status_code == 200
    nobody = client_as(scopes=frozenset[str]())
    assert (await nobody.get("/api/wind/days")).status_code == 403


async def test_the_register_and_whose_farm_a_unit_is(
    client: httpx.AsyncClient, client_as: ClientFor, process: Process
) -> None:
    await process("reingest", date(2025, 3, 4), periods=(1, 1))
    page = (await client.get("/api/wind/bm-units?page_size=200")).json()
    assert page["total"] == 200
    names = {one["farm_name"] for one in page["items"]}
    assert len(names) < 150  # units of one farm share its name
    assert not any(name.endswith(("Unit 1", "WF 2", "BMU 1")) for name in names)
    unit = page["items"][0]["bm_unit"]
    path, body = f"/api/wind/bm-units/{unit}/farm", {"farm_name": "Beinn Mhòr"}
    assert (await client.put(path, json=body)).status_code == 403
    admin = client_as(role="Admin", organisation_id=PLATFORM_ORGANISATION)
    answer = await admin.put(path, json=body)
    assert (answer.json()["farm_name"], answer.json()["farm_is_stated"]) == ("Beinn Mhòr", True)
    missing = await admin.put("/api/wind/bm-units/T_NOPE/farm", json=body)
    assert missing.status_code == 404
    for name in ("", "x" * 129, "Beinn\x00", "Beinn\nMhòr"):
        refused = await admin.put(path, json={"farm_name": name})
        assert (refused.status_code, refused.json()["field"]) == (422, "farm_name"), name
    assert "128" in (await admin.put(path, json={"farm_name": "x" * 129})).json()["detail"]
    for odd in ("bm-units/T_%00/farm", "bm-units/T_%0A/farm"):
        assert (await admin.put(f"/api/wind/{odd}", json=body)).status_code == 422
    assert (await client.get("/api/wind/bm-units?fuel_type=%00")).status_code == 422
    html = "<script>alert('Beinn')</script>"  # text as any other: who shows it escapes it
    shown = await admin.put(path, json={"farm_name": html})
    assert shown.json()["farm_name"] == html
    assert shown.headers["content-type"] == "application/json"


async def test_the_register_is_taken_anew(
    client: httpx.AsyncClient, elexon: Elexon, rows: Rows, runtime: Runtime
) -> None:
    first = (await client.post("/api/wind/bm-units/refresh")).json()
    assert first == {"units": 270, "new": 270, "changed": 0}
    async with runtime.worker_session() as session:
        query = "UPDATE energy.bm_units SET lead_party_name = 'Its seller' WHERE bm_unit = :unit"
        unit = (await rows("bm_units", "fuel_type = 'WIND'"))[0]["bm_unit"]
        await session.execute(text(query), {"unit": unit})
    second = (await client.post("/api/wind/bm-units/refresh")).json()
    assert second == {"units": 270, "new": 0, "changed": 1}
    old, new = sorted(
        await rows("bm_units", "bm_unit = :unit", unit=unit), key=lambda row: row["valid_from"]
    )
    assert (old["lead_party_name"], old["valid_to"]) == ("Its seller", new["valid_from"])
    assert new["valid_to"] is None
    elexon.fault(Fault.HTML, Resource.UNITS)
    answer = await client.post("/api/wind/bm-units/refresh")
    assert (answer.status_code, answer.json()["code"]) == (503, "register_unavailable")
    assert len(await rows("bm_units")) == 271


@pytest.mark.parametrize(
    ("name", "farm"),
    [
        ("Achnabrae Wind Farm Unit 1", "Achnabrae"),
        ("Achnabrae WF 2", "Achnabrae"),
        ("Achnabrae Windfarm BMU 3", "Achnabrae"),
        ("Achnabrae Phase 2", "Achnabrae"),
        ("Achnabrae Module 4", "Achnabrae"),
        ("Achnabrae A", "Achnabrae"),
        ("Race Bank", "Race Bank"),
        ("T_ABCDE-2", "T_ABCDE"),
        ("Wind Farm", "Wind Farm"),
    ],
)
def test_the_farm_that_a_name_tells(name: str, farm: str) -> None:
    unit = Unit("T_ABCDE-2", None, name, "Party", None, "WIND", "T", None)
    assert farm_of(unit) == farm
