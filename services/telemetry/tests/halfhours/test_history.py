"""A told past over HTTP: stored once, announced as simulated, never over what was seen."""

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from simulation.fleet import Fleet
from telemetry.halfhours.closing import close_due
from telemetry.halfhours.schemas import MAX_CELLS
from telemetry.settings import Settings

CLOSED = "telemetry.half-hour.closed.v1"
HALF_HOUR = timedelta(minutes=30)
PATH = "/api/telemetry/history"
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
FleetOf = Callable[..., Awaitable[Fleet]]
Register = Callable[..., Awaitable[tuple[UUID, list[UUID]]]]
ClientFor = Callable[..., httpx.AsyncClient]
Published = Callable[..., Awaitable[list[dict[str, Any]]]]
WorkerSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]
_SEEN = text(
    "INSERT INTO telemetry.sample (miner_id, slot, sampled_at, up, late, outcome, power_w, "
    "power_estimated, hashrate_5s_ths, fans_rpm, flags) VALUES (:miner, :at, :at, true, false, "
    "'ok', 3000, false, 100, '{}', '{}')"
)


@pytest.fixture
async def site(fleet_of: FleetOf, register: Register) -> tuple[UUID, list[UUID]]:
    return await register(await fleet_of(3), timezone="Europe/Oslo")


def told(start: datetime, machines: int, **changes: Any) -> dict[str, Any]:
    """A half-hour in which the last machine was away and the one before it slept."""
    row: dict[str, Any] = {
        "starts_at": start.isoformat(),
        "kwh": [1.5, 0.01, None][:machines],
        "th_h": [50.0, 0.0, None][:machines],
        "state": ["hashing", "curtailed", "offline"][:machines],
        "coverage": [1.0, 1.0, 0.0][:machines],
    }
    return row | changes


def history(
    site_id: UUID, miners: Sequence[UUID], *starts: datetime, **changes: Any
) -> dict[str, Any]:
    return {
        "site_id": str(site_id),
        "miner_ids": [str(miner) for miner in miners],
        "half_hours": [told(start, len(miners), **changes) for start in starts or (START,)],
    }


async def ledger(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """Read half-hours to the end, in pages of two."""
    wanted = {"from": "2026-03-01T00:00:00Z", "to": now().isoformat(), "page_size": 2} | query
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        parameters = {key: str(value) for key, value in (wanted | {"cursor": cursor}).items()}
        answer = await client.get("/api/telemetry/half-hours", params=parameters)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
    return items


async def test_is_stored_once_and_announced_as_simulated(
    site: tuple[UUID, list[UUID]], client: httpx.AsyncClient, published: Published
) -> None:
    site_id, miners = site
    body = history(site_id, miners, START, START + HALF_HOUR)
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "half_hours_stored": 2,
        "half_hours_known": 0,
        "half_hours_measured": 0,
        "rows_stored": 6,
    }
    first, second = await published(CLOSED)
    assert (first["key"], first["data"]["revision"], first["version"]) == (str(site_id), 1, 1)
    assert first["data"]["simulated"] is True
    assert second["data"]["starts_at"] == "2026-03-02T10:30:00Z"
    rows = {row["miner_id"]: row for row in first["data"]["rows"]}
    hashing, slept, away = (rows[str(miner)] for miner in miners)
    assert (hashing["kwh"], hashing["th_h"], hashing["cause"]) == (1.5, 50.0, None)
    assert (slept["state"], slept["cause"], slept["coverage"]) == ("curtailed", "economic", 1.0)
    assert (away["kwh"], away["state"], away["coverage"]) == (None, "offline", 0.0)

    before = await ledger(client, site_id=site_id)
    changed = history(site_id, miners, START, START + HALF_HOUR, kwh=[9.0, 9.0, None])
    for again in (body, changed):
        answer = await client.post(PATH, json=again)
        assert answer.json()["half_hours_known"] == 2
        assert answer.json()["rows_stored"] == 0
    assert len(await published(CLOSED)) == 2
    assert await ledger(client, site_id=site_id) == before
    assert [row["starts_at"] for row in before] == ["2026-03-02T10:00:00Z"] * 3 + [
        "2026-03-02T10:30:00Z"
    ] * 3
    assert all(row["simulated"] and row["revision"] == 1 for row in before)


async def test_rows_that_were_missing_are_added_at_the_next_revision(
    site: tuple[UUID, list[UUID]], client: httpx.AsyncClient, published: Published
) -> None:
    site_id, miners = site
    await client.post(PATH, json=history(site_id, miners[:1]))
    answer = await client.post(PATH, json=history(site_id, miners, kwh=[7.0, 0.01, None]))
    assert answer.json()["rows_stored"] == 2
    events = await published(CLOSED)
    assert [event["data"]["revision"] for event in events] == [1, 2]
    assert {row["miner_id"] for row in events[1]["data"]["rows"]} == {str(m) for m in miners[1:]}
    [kept] = await ledger(client, miner_id=miners[0])
    assert (kept["kwh"], kept["revision"]) == (1.5, 1)


async def test_what_was_seen_is_never_overwritten(
    site: tuple[UUID, list[UUID]],
    client: httpx.AsyncClient,
    published: Published,
    runtime: Runtime,
    worker_session: WorkerSession,
) -> None:
    site_id, miners = site
    seen = START + timedelta(hours=1)
    async with worker_session() as session:
        await session.execute(text("SELECT telemetry.ensure_sample_day('2026-03-02')"))
        await session.execute(_SEEN, {"miner": miners[0], "at": seen})
    body = history(site_id, miners, START, seen)
    answer = (await client.post(PATH, json=body)).json()  # seen, though not closed yet
    assert (answer["half_hours_stored"], answer["half_hours_measured"]) == (1, 1)
    # A told past does not oblige telemetry to close the gap between it and what it saw first.
    await close_due(runtime, cast("Settings", runtime.settings), at=seen + HALF_HOUR)
    events = [event["data"] for event in await published(CLOSED)]
    assert [event["starts_at"] for event in events] == [
        "2026-03-02T10:00:00Z",
        "2026-03-02T11:00:00Z",
    ]
    real = await ledger(client, site_id=site_id, **{"from": seen.isoformat()})
    assert (await client.post(PATH, json=body)).json()["half_hours_measured"] == 1
    async with worker_session() as session:  # closed, and its samples gone since
        await session.execute(
            text("DELETE FROM telemetry.sample WHERE miner_id = :id AND slot = :at"),
            {"id": miners[0], "at": seen},
        )
    assert (await client.post(PATH, json=body)).json()["half_hours_measured"] == 1
    assert await ledger(client, site_id=site_id, **{"from": seen.isoformat()}) == real


async def test_an_incident_explains_a_told_row_and_changes_nothing_else(
    site: tuple[UUID, list[UUID]],
    client: httpx.AsyncClient,
    published: Published,
    deliver: Callable[..., Awaitable[UUID]],
    runtime: Runtime,
) -> None:
    site_id, miners = site
    await client.post(PATH, json=history(site_id, miners))
    incident: dict[str, Any] = {
        "incident_id": new_id(),
        "site_id": site_id,
        "cause": "grid",
        "starts_at": START.isoformat(),
        "ends_at": (START + HALF_HOUR).isoformat(),
        "miner_ids": [],
    }
    await deliver("hosting.incident.opened.v1", incident)
    await close_due(runtime, cast("Settings", runtime.settings), at=START + HALF_HOUR)
    _, revised = [event["data"] for event in await published(CLOSED)]
    rows = {row["miner_id"]: row for row in revised["rows"]}
    assert revised["revision"] == 2
    assert set(rows) == {str(miner) for miner in miners[1:]}
    assert all(row["cause"] == "grid" for row in rows.values())
    [whole, *_] = await ledger(client, miner_id=miners[0])
    assert (whole["kwh"], whole["cause"], whole["revision"]) == (1.5, None, 1)
    [slept] = await ledger(client, miner_id=miners[1])
    assert (slept["kwh"], slept["coverage"], slept["cause"]) == (0.01, 1.0, "grid")


async def test_a_day_has_48_half_hours_wherever_clocks_change(
    site: tuple[UUID, list[UUID]], client: httpx.AsyncClient
) -> None:
    site_id, miners = site
    oslo = ZoneInfo("Europe/Oslo")
    midnight = datetime(2026, 3, 29, tzinfo=UTC)
    utc = [midnight + n * HALF_HOUR for n in range(48)]
    local = history(site_id, miners[:1], *(start.astimezone(oslo) for start in utc))
    assert local["half_hours"][2]["starts_at"] == "2026-03-29T03:00:00+02:00"  # 02:00 was none
    answer = await client.post(PATH, json=local)
    assert answer.json()["half_hours_stored"] == 48
    rows = await ledger(client, miner_id=miners[0], page_size=50)
    assert [datetime.fromisoformat(row["starts_at"]) for row in rows] == utc
    answer = await client.post(PATH, json=history(site_id, miners[:1], *utc))
    assert answer.json()["half_hours_known"] == 48


async def test_the_list_finds_what_lies_far_apart(
    site: tuple[UUID, list[UUID]], client: httpx.AsyncClient
) -> None:
    site_id, miners = site
    starts = [START - timedelta(days=60), START - timedelta(days=3), START, START + HALF_HOUR]
    assert (await client.post(PATH, json=history(site_id, miners, *starts))).is_success
    query = {"from": "2025-11-01T00:00:00Z"}
    rows = await ledger(client, site_id=site_id, **query)
    assert len({(row["starts_at"], row["miner_id"]) for row in rows}) == len(rows) == 12
    assert [datetime.fromisoformat(row["starts_at"]) for row in rows[::3]] == starts
    one = await ledger(client, miner_id=miners[1], site_id=site_id, **query)
    assert [datetime.fromisoformat(row["starts_at"]) for row in one] == starts
    extremes = {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    assert len(await ledger(client, miner_id=miners[1], **extremes)) == 4


async def test_hours_are_rolled_up_and_say_that_no_sample_stands_behind(
    site: tuple[UUID, list[UUID]], client: httpx.AsyncClient, worker_session: WorkerSession
) -> None:
    site_id, miners = site
    for start in (START, START + HALF_HOUR):  # the hour's halves in two requests
        assert (await client.post(PATH, json=history(site_id, miners, start))).is_success
    query = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-08T00:00:00Z", "metric": "power_w"}
    answer = await client.get(f"/api/telemetry/miners/{miners[0]}/series", params=query)
    assert (answer.json()["at"], answer.json()["value"]) == (["2026-03-02T10:00:00Z"], [3000.0])
    hours = text(
        "SELECT samples, hashrate_ths_avg, power_w_avg FROM telemetry.rollup_1h "
        "WHERE miner_id = :id"
    )
    async with worker_session() as session:
        [whole] = (await session.execute(hours, {"id": miners[0]})).all()
        [away] = (await session.execute(hours, {"id": miners[2]})).all()
    assert tuple(whole) == (0, 100.0, 3000.0)
    assert tuple(away) == (0, None, None)


async def test_foreign_machines_are_refused_alike_unknown_ones(
    site: tuple[UUID, list[UUID]],
    fleet_of: FleetOf,
    register: Register,
    client: httpx.AsyncClient,
    client_as: ClientFor,
    published: Published,
) -> None:
    site_id, miners = site
    other_site, elsewhere = await register(await fleet_of(1))
    stranger = client_as(organisation_id=new_id())
    unknown = new_id()
    texts: set[str] = set()
    for caller, at, miner in (
        (stranger, site_id, miners[0]),
        (stranger, site_id, unknown),
        (client, site_id, elsewhere[0]),
        (client, other_site, miners[0]),
        (client, new_id(), miners[0]),
        (client_as(client_id=new_id()), site_id, miners[0]),
    ):
        answer = await caller.post(PATH, json=history(at, [miner]))
        assert (answer.status_code, answer.json()["code"]) == (404, "machine_unknown")
        texts.add(answer.json()["detail"].replace(str(miner), "M"))
    assert texts == {"There is no machine M at this site."}
    answer = await client.post(PATH, json=history(site_id, [miners[0], elsewhere[0]]))
    assert answer.status_code == 404
    assert not await published(CLOSED)
    assert await ledger(stranger, site_id=site_id) == []


async def test_a_client_reads_its_own_machines_half_hours(
    fleet_of: FleetOf, register: Register, client: httpx.AsyncClient, client_as: ClientFor
) -> None:
    mine = new_id()
    site_id, [miner] = await register(await fleet_of(1), client_id=mine)
    await client.post(PATH, json=history(site_id, [miner]))
    assert len(await ledger(client_as(client_id=mine, role="Client"), site_id=site_id)) == 1
    assert await ledger(client_as(client_id=new_id(), role="Client"), site_id=site_id) == []


async def test_only_where_simulated_machines_are_allowed(
    site: tuple[UUID, list[UUID]],
    fleet_of: FleetOf,
    register: Register,
    client: httpx.AsyncClient,
    client_as: ClientFor,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site_id, miners = site
    reader = client_as(scopes=frozenset({"telemetry:read", "jobs:read"}))
    assert (await reader.post(PATH, json=history(site_id, miners))).status_code == 403
    real_site, [real] = await register(await fleet_of(1), ip="10.1.2.3")
    answer = await client.post(PATH, json=history(real_site, [real]))
    assert (answer.status_code, answer.json()["code"]) == (409, "machine_is_real")
    monkeypatch.setattr(runtime.settings, "allow_simulated_miners", False)
    answer = await client.post(PATH, json=history(site_id, miners))
    assert (answer.status_code, answer.json()["code"]) == (403, "history_not_allowed")


@pytest.mark.parametrize(
    "changes",
    [
        {"kwh": [-1.0]},
        {"kwh": [101]},
        {"kwh": ["much"]},
        {"kwh": [None]},
        {"kwh": [1.0, 2.0]},
        {"kwh": []},
        {"coverage": [0.0]},
        {"coverage": [1.1]},
        {"th_h": [-0.1]},
        {"state": ["asleep"]},
        {"starts_at": "2026-03-02T10:15:00Z"},
        {"starts_at": "2026-03-02T10:00:00"},
        {"starts_at": "2026-03-02T10:00:00+05:45"},
        {"starts_at": "2019-03-02T10:00:00Z"},
        {"starts_at": "2099-03-02T10:00:00Z"},
    ],
)
async def test_bad_rows_are_refused_whole(
    site: tuple[UUID, list[UUID]],
    client: httpx.AsyncClient,
    published: Published,
    changes: dict[str, Any],
) -> None:
    site_id, miners = site
    body = history(site_id, miners[:1], START - HALF_HOUR, START)
    body["half_hours"][1] |= changes
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert not await published(CLOSED)


async def test_bad_tables_are_refused(
    site: tuple[UUID, list[UUID]], client: httpx.AsyncClient
) -> None:
    site_id, miners = site
    good = history(site_id, miners[:1])
    many = [new_id() for _ in range(MAX_CELLS // 3 + 1)]
    tables: list[dict[str, Any]] = [
        history(site_id, []),
        history(site_id, [miners[0], miners[0]]),
        good | {"half_hours": []},
        good | {"half_hours": good["half_hours"] * 2},
        history(site_id, miners[:1], START, START - HALF_HOUR),
        history(site_id, miners[:1], *(START + n * HALF_HOUR for n in range(49))),
        history(site_id, many, START, START + HALF_HOUR, START + 2 * HALF_HOUR),
        good | {"simulated": False},
        good | {"miner_ids": ["SIM-0001"]},
    ]
    for bad in tables:
        assert (await client.post(PATH, json=bad)).status_code == 422
    raw = json.dumps(history(site_id, miners[:1], kwh=[float("nan")]))
    answer = await client.post(PATH, content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


async def test_bad_questions_are_refused(client: httpx.AsyncClient) -> None:
    span = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z"}
    site = {"site_id": str(new_id())}
    for query, status in (
        (span, 422),
        (site, 422),
        (span | site | {"page_size": "201"}, 422),
        (site | {"from": span["to"], "to": span["from"]}, 422),
        (site | {"from": "2026-03-02", "to": "soon"}, 422),
        (span | site | {"cursor": "nonsense"}, 400),
    ):
        answer = await client.get("/api/telemetry/half-hours", params=query)
        assert answer.status_code == status, (query, answer.text)
