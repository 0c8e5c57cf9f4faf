"""New periods soon after their publication, and what the calendar asks for."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from common.clock import now
from common.runtime import Runtime
from energy.domain.settlement import day_of, period_at
from energy.settings import Settings
from energy.wind import following, recording
from energy.wind.following import follow_new, follow_wind, keep_schedule
from energy.wind.orders import until_window
from energy.wind.pace import Pace
from energy.wind.processing import gate_of
from simulation.elexon import Elexon, Fault, Resource

Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
Process = Callable[..., Awaitable[dict[str, Any]]]
NOON = datetime(2025, 3, 4, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("models", "epochs")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, elexon: Elexon) -> Callable[[datetime], None]:
    """Let it be some time, here and at Elexon."""
    state: dict[str, datetime] = {"at": NOON}
    for module in ("following", "fetching", "processing"):
        monkeypatch.setattr(f"energy.wind.{module}.now", lambda: state["at"])
    monkeypatch.setattr(elexon.state, "now", lambda: state["at"])

    def tell(at: datetime) -> None:
        state["at"] = at

    return tell


async def numbers(rows: Rows, status: str) -> list[tuple[date, int]]:
    found = await rows("settlement_periods", "status = :status", status=status)
    return [(row["settlement_date"], row["settlement_period"]) for row in found]


async def test_each_new_period_is_taken_once(
    runtime: Runtime, elexon: Elexon, rows: Rows, clock: Callable[[datetime], None]
) -> None:
    day = date(2025, 3, 4)
    clock(NOON)
    await follow_new(runtime, NOON)
    # Published a quarter of an hour after their end: by noon, up to the one that ended 11:30.
    assert (day, 23) in await numbers(rows, "complete")
    assert (day, 24) not in await numbers(rows, "complete")
    assert (day - timedelta(days=1), 48) in await numbers(rows, "complete")
    elexon.forget_calls()
    assert await follow_new(runtime, NOON + timedelta(minutes=1)) == []
    assert elexon.calls[Resource.STACK] == 0
    later = NOON + timedelta(minutes=16)
    clock(later)
    assert await follow_new(runtime, later) == [day]
    assert elexon.calls[Resource.STACK] == 2
    assert (day, 24) in await numbers(rows, "complete")
    [stored] = await rows("settlement_days", "settlement_date = :day", day=day)
    assert stored["status"] == "incomplete"  # it is not over
    assert stored["periods_complete"] == 24
    mined = await rows("bitcoin_daily_summaries", "summary_date = :day", day=day)
    assert [row["periods"] for row in mined] == [24, 24, 24]


async def test_what_is_late_is_waited_for_and_not_taken_for_nothing(
    runtime: Runtime, elexon: Elexon, rows: Rows, clock: Callable[[datetime], None]
) -> None:
    day = date(2025, 3, 4)
    elexon.fault(Fault.MISSING, Resource.STACK, day=day, period=23)
    elexon.fault(Fault.NO_ROWS, Resource.STACK, day=day, period=22)
    at = NOON
    for _ in range(6):
        at += timedelta(minutes=1)
        clock(at)
        await follow_new(runtime, at)
    pending = await numbers(rows, "pending")
    assert pending == [(day, 22), (day, 23)]
    elexon.heal()
    await follow_new(runtime, at)
    assert {(day, 22), (day, 23)} <= set(await numbers(rows, "complete"))


@pytest.mark.parametrize("fault", [Fault.TRUNCATED, Fault.HTML, Fault.NAN])
async def test_a_failure_is_tried_three_times_more(
    runtime: Runtime,
    elexon: Elexon,
    rows: Rows,
    clock: Callable[[datetime], None],
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    monkeypatch.setattr(following, "_LOOK_BACK", 1)
    elexon.fault(fault, Resource.STACK, day=date(2025, 3, 4), period=20)
    clock(NOON)
    for _ in range(6):
        await follow_new(runtime, NOON)
    [failed] = await rows("settlement_periods", "status = 'failed'")
    assert failed["attempts"] == 4
    progress = {row["process"]: row for row in await rows("ingestion_progress")}
    assert "period 20" in progress["live"]["error_message"]
    elexon.heal()
    # The night looks at everything again.
    night = datetime(2025, 3, 5, 3, 5, tzinfo=UTC)
    clock(night)
    async with runtime.worker_session() as session:
        for monthly in ("reconcile/monthly", "integrity"):
            await recording.note_progress(session, monthly, day=night.date(), status="complete")
    assert await keep_schedule(runtime, night) == ["reconcile/daily"]
    assert await numbers(rows, "failed") == []


async def test_a_new_period_outlasts_a_long_rest(
    runtime: Runtime, elexon: Elexon, rows: Rows, clock: Callable[[datetime], None]
) -> None:
    """While Elexon wants no calls, nothing of the last hours is given up."""
    clock(NOON)
    await follow_new(runtime, NOON)
    later = NOON + timedelta(minutes=16)
    clock(later)
    gate = gate_of(runtime)
    usual = gate.pace
    gate.pace = Pace(500)
    try:
        gate.pace.rest(7200)
        elexon.forget_calls()
        for _ in range(6):
            await follow_new(runtime, later)
        assert elexon.calls[Resource.STACK] == 0
        assert await numbers(rows, "pending") == [(date(2025, 3, 4), 24)]
        assert await numbers(rows, "failed") == []
    finally:
        gate.pace = usual
    await follow_new(runtime, later)
    assert (date(2025, 3, 4), 24) in await numbers(rows, "complete")


@pytest.mark.parametrize("fault", [Fault.HTML, Fault.NAN])
async def test_what_fails_beside_the_stacks_stops_nothing(
    runtime: Runtime,
    elexon: Elexon,
    rows: Rows,
    clock: Callable[[datetime], None],
    fault: Fault,
) -> None:
    clock(NOON)
    for resource in (Resource.BY_TYPE, Resource.PRICES):
        elexon.fault(fault, resource)
    assert len(await follow_new(runtime, NOON)) == 2
    assert len(await numbers(rows, "complete")) == 48 + 23
    assert await rows("wind_generation_data") == await rows("system_prices") == []


async def test_the_calendar(
    runtime: Runtime,
    process: Process,
    rows: Rows,
    clock: Callable[[datetime], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[tuple[str, str, date, date]] = []

    async def run(_: Runtime, name: str, kind: str, first: date, last: date) -> None:
        ran.append((name, kind, first, last))
        async with runtime.worker_session() as session:
            await recording.note_progress(session, name, day=day_of(at), status="complete")

    monkeypatch.setattr(following, "_run", run)
    await process("reingest", date(2025, 2, 1), periods=(1, 1))
    at = datetime(2025, 3, 1, 2, 30, tzinfo=UTC)
    clock(at)
    assert await keep_schedule(runtime, at) == []  # the register is new; not yet three o'clock
    at = datetime(2025, 3, 1, 3, 0, tzinfo=UTC)
    clock(at)
    assert await keep_schedule(runtime, at) == ["reconcile/daily"]
    assert await keep_schedule(runtime, at + timedelta(hours=2)) == []
    at = datetime(2025, 3, 2, 2, 30, tzinfo=UTC)
    clock(at)
    assert await keep_schedule(runtime, at) == ["reconcile/monthly", "integrity"]
    assert await keep_schedule(runtime, at) == []
    at = datetime(2025, 4, 3, 12, 0, tzinfo=UTC)  # it was down for a month
    clock(at)
    assert await keep_schedule(runtime, at) == [
        "bm-units", "reconcile/daily", "reconcile/monthly", "integrity",
    ]  # fmt: skip
    assert ran == [
        ("reconcile/daily", "reconcile", date(2025, 2, 22), date(2025, 2, 28)),
        ("reconcile/monthly", "reconcile", date(2025, 2, 1), date(2025, 2, 28)),
        ("integrity", "verify", date(2025, 2, 1), date(2025, 3, 1)),
        ("reconcile/daily", "reconcile", date(2025, 3, 27), date(2025, 4, 2)),
        ("reconcile/monthly", "reconcile", date(2025, 3, 1), date(2025, 3, 31)),
        ("integrity", "verify", date(2025, 2, 1), date(2025, 4, 2)),
    ]


async def test_it_follows_by_itself(
    runtime: Runtime, elexon: Elexon, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real clock: yesterday and today, from the simulated Elexon."""
    settings = runtime.settings
    assert isinstance(settings, Settings)
    monkeypatch.setattr(settings, "wind_enabled", True)
    monkeypatch.setattr(following, "keep_schedule", _nothing)
    following_it = asyncio.create_task(follow_wind(runtime))
    yesterday = day_of(now()) - timedelta(days=1)
    try:
        async with asyncio.timeout(60):
            while not any(day == yesterday for day, _ in await numbers(rows, "complete")):
                await asyncio.sleep(0.1)
    finally:
        following_it.cancel()
        with suppress(asyncio.CancelledError):
            await following_it
    [stored] = await rows("settlement_days", "settlement_date = :day", day=yesterday)
    assert stored["periods_complete"] >= 40
    assert stored["simulated"]


async def test_switched_off_it_follows_nothing(runtime: Runtime, elexon: Elexon) -> None:
    following_it = asyncio.create_task(follow_wind(runtime))
    await asyncio.sleep(0.05)
    assert not following_it.done()
    following_it.cancel()
    with suppress(asyncio.CancelledError):
        await following_it
    assert elexon.calls[Resource.STACK] == 0


async def test_one_that_loses_its_lock_leads_no_more(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.settings, "wind_enabled", True)
    monkeypatch.setattr(following, "keep_schedule", _nothing)
    monkeypatch.setattr(following, "follow_new", _nothing)
    monkeypatch.setattr(following, "_LOOK_S", 0.05)
    following_it = asyncio.create_task(follow_wind(runtime))
    leader = text(
        "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        "WHERE l.locktype = 'advisory' AND l.objid = 7201503 AND d.datname = current_database()"
    )
    async with asyncio.timeout(20):
        pid = None
        while pid is None:
            async with runtime.worker_session() as session:
                pid = await session.scalar(leader)
        async with runtime.worker_session() as session:
            await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(ConnectionError, match="lost its database"):
            await following_it


async def _nothing(_: Runtime, __: datetime) -> None:
    return


@pytest.fixture(autouse=True)
async def forget(runtime: Runtime) -> AsyncGenerator[None]:
    yield
    async with runtime.worker_session() as session:
        await session.execute(text("DELETE FROM energy.settlement_periods"))


@pytest.mark.parametrize(
    ("window", "at", "hours"),
    [
        ("22:00-06:00", "2025-01-10T23:00", 0),
        ("22:00-06:00", "2025-01-10T05:59", 0),
        ("22:00-06:00", "2025-01-10T06:00", 16),
        ("22:00-06:00", "2025-01-10T12:00", 10),
        ("22:00-06:00", "2025-07-10T12:00", 9),  # 13:00 in London
        ("01:00-05:00", "2025-01-10T04:00", 0),
        ("01:00-05:00", "2025-01-10T05:00", 20),
        ("00:00-00:00", "2025-01-10T05:00", 0),
    ],
)
def test_when_history_may_be_filled_in(window: str, at: str, hours: int) -> None:
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert until_window(window, instant) == timedelta(hours=hours)


def test_the_period_of_a_server_elsewhere_is_londons() -> None:
    assert period_at(datetime(2025, 7, 1, 23, 10, tzinfo=UTC)) == (date(2025, 7, 2), 1)
