"""The processes over days, step by step: a job, a command or a schedule takes the steps.

A step is short and leaves everything whole; what the next one needs to know is its cursor. A
process that is killed goes on from its last step, and doing a step twice changes nothing more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar, cast
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Unavailable
from common.jobs import Progress
from common.runtime import Runtime
from energy.domain.settlement import day_of, periods_of
from energy.settings import Settings
from energy.wind import recording
from energy.wind.checking import check_days, wrong_summaries
from energy.wind.days import COMPLETE, apply_day
from energy.wind.elexon import PATIENCE_OF_JOBS_S, Elexon, NoAnswer, open_elexon
from energy.wind.fetching import keep_answers, take
from energy.wind.miners import Miner, miners_named
from energy.wind.models import BmUnit, SettlementDay, SettlementPeriod
from energy.wind.orders import Order, until_window
from energy.wind.pace import Gate
from energy.wind.surroundings import take_context, take_generation, take_outputs
from energy.wind.units import refresh

Cursor = dict[str, Any]
_gates: WeakKeyDictionary[Runtime, Gate] = WeakKeyDictionary()
_SKIPPED_AT_ONCE = 50
_CHECKED_AT_ONCE = 31
_GENERATION_AT_ONCE = 6
_WINDOW_LOOK_S = 5.0


class RegisterUnavailable(Unavailable):
    title: ClassVar[str] = "The register of BM units is not known yet"


@dataclass(frozen=True, slots=True)
class Process:
    """An order being carried out, with what it needs."""

    runtime: Runtime
    order: Order
    elexon: Elexon

    @property
    def settings(self) -> Settings:
        """Return this service's settings."""
        return cast("Settings", self.runtime.settings)

    async def miners(self) -> list[Miner]:
        """Look up the miners that bitcoin is calculated for. Raises as `miners_named`."""
        usual = self.settings.miner_models()
        return await miners_named(self.runtime, self.order.models or usual, usual)


def miners_in(cursor: Cursor) -> list[Miner]:
    """Return the miners as they were when the process began: one run, one specification."""
    return [
        Miner(name, UUID(model_id), Decimal(hashrate), Decimal(power))
        for name, model_id, hashrate, power in cursor["miners"]
    ]


def gate_of(runtime: Runtime) -> Gate:
    """Return the gate that all calls of this process to Elexon pass."""
    if runtime not in _gates:
        settings = cast("Settings", runtime.settings)
        _gates[runtime] = Gate(settings.wind_parallel, settings.wind_rate_per_s)
    return _gates[runtime]


async def advance(
    runtime: Runtime, order: Order, cursor: Cursor, *, ordered_by: str = "job"
) -> Progress:
    """Take the next step of an order; the first has an empty cursor, the last gives a result."""
    settings = cast("Settings", runtime.settings)
    async with open_elexon(
        settings.elexon_url,
        gate_of(runtime),
        timeout_s=settings.wind_timeout_s,
        tries=settings.wind_tries,
        patience_s=PATIENCE_OF_JOBS_S,
    ) as elexon:
        process = Process(runtime, order, elexon)
        if not cursor:
            return await _begin(process, ordered_by)
        return await _next_step(process, cursor)(process, cursor)


async def carry_out(
    runtime: Runtime,
    order: Order,
    ordered_by: str,
    told: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Take all steps of an order and return its report; `told` hears of each step."""
    cursor: Cursor = {}
    async with recording.living(runtime.worker_engine) as say_it_lives:
        try:
            while True:
                progress = await advance(runtime, order, cursor, ordered_by=ordered_by)
                if not cursor:
                    await say_it_lives(progress.cursor["run"])
                told(progress)
                if progress.result is not None:
                    return progress.result
                cursor = progress.cursor
        except Exception as error:
            await fail(runtime, cursor, error)
            raise


async def fail(runtime: Runtime, cursor: Cursor, error: Exception) -> None:
    """Note that a process came to no end."""
    if "run" in cursor:
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
        async with runtime.worker_session() as session:
            await recording.fail_run(session, UUID(cursor["run"]), text[:500])


def _next_step(process: Process, cursor: Cursor) -> "_Take":
    order = process.order
    if order.kind == "verify":
        return _verify
    if order.kind == "generation":
        return _generate
    if order.kind == "backfill" and not order.at_once and _until_open(process):
        return _wait
    if cursor.get("todo") is None:
        return _open_day
    return _fetch if cursor["todo"] else _close_day


_Take = Callable[[Process, Cursor], Awaitable[Progress]]


def _until_open(process: Process) -> timedelta:
    return until_window(process.settings.wind_window, now())


async def _wait(process: Process, cursor: Cursor) -> Progress:
    await asyncio.sleep(min(_WINDOW_LOOK_S, _until_open(process).total_seconds()))
    return _progress(process, cursor, f"waiting for {process.settings.wind_window}")


async def _begin(process: Process, ordered_by: str) -> Progress:
    """Check what there is, so that a process which cannot end well does not begin."""
    order = process.order
    miners: list[Miner] = []
    if order.kind != "verify":
        miners = await process.miners()
        await ensure_units(process.runtime, process.elexon)
    async with process.runtime.worker_session() as session:
        run = await recording.begin_run(session, order, ordered_by)
        before = await recording.totals(session, order.first, order.last)
    cursor: Cursor = {
        "run": str(run),
        "day": order.first.isoformat(),
        "todo": None,
        "miners": [[str(value) for value in astuple(miner)] for miner in miners],
        "report": recording.empty_report(before),
    }
    return _progress(process, cursor, f"check: {before['records']} records are here")


async def ensure_units(runtime: Runtime, elexon: Elexon) -> None:
    """Take the register of units where there is none yet.

    Raises:
        RegisterUnavailable: there is none, and Elexon does not give it.
    """
    async with runtime.worker_session() as session:
        there = bool(await session.scalar(select(func.count()).select_from(BmUnit)))
    if there:
        return
    try:
        await renew_units(runtime, elexon)
    except NoAnswer as error:
        raise RegisterUnavailable(
            f"Elexon does not tell the register of BM units: {error}", retry_after_s=30
        ) from error


async def renew_units(runtime: Runtime, elexon: Elexon) -> dict[str, int]:
    """Take the register of units; return how many there are, are new, and changed.

    Raises:
        NoAnswer: Elexon does not give it.
    """
    told = await elexon.bm_units()
    async with runtime.worker_session() as session:
        today = day_of(now())
        await keep_answers(session, today, [("bm-units", 0, told, told.fetched_at)])
        counts = await refresh(session, told.rows, today, simulated=told.simulated)
        await recording.note_progress(session, "bm-units", day=today, status=COMPLETE)
    return counts


async def _open_day(process: Process, cursor: Cursor) -> Progress:
    """Decide what of the day has to be fetched; days with nothing to do are passed over."""
    for _ in range(_SKIPPED_AT_ONCE):
        day = date.fromisoformat(cursor["day"])
        async with process.runtime.worker_session() as session:
            todo, needed = await _todo(session, process, cursor, day)
        if needed:
            cursor = cursor | {"todo": todo, "of": len(todo)}
            told = f"{day}: {len(todo)} periods to fetch" if todo else f"{day}: to calculate"
            return _progress(process, cursor, told)
        cursor = _next_day(cursor)
        if date.fromisoformat(cursor["day"]) > process.order.last:
            return await _finish(process, cursor)
    return _progress(process, cursor, f"{cursor['day']}: complete so far")


async def _todo(
    session: AsyncSession, process: Process, cursor: Cursor, day: date
) -> tuple[list[int], bool]:
    """Return the periods of a day to fetch, and whether there is anything to do for it."""
    order = process.order
    if not order.fetches:
        return [], True
    ready = timedelta(seconds=process.settings.wind_publication_s)
    due = [one.number for one in periods_of(day) if one.end + ready <= now()]
    if order.periods is not None:
        due = [number for number in due if order.periods[0] <= number <= order.periods[1]]
    if not order.only_missing:
        return due, True
    stored = await session.get(SettlementDay, day)
    rows = await session.scalars(
        select(SettlementPeriod.settlement_period).where(
            SettlementPeriod.settlement_date == day, SettlementPeriod.status == COMPLETE
        )
    )
    here = set(rows)
    todo = [number for number in due if number not in here]
    names = {miner.name for miner in miners_in(cursor)}
    calculated = (
        stored is not None
        and stored.bitcoin_status in (COMPLETE, "incomplete")
        and names <= set(stored.miner_models)
    )
    return todo, bool(todo) or (bool(due) and not calculated)


async def _fetch(process: Process, cursor: Cursor) -> Progress:
    day, todo = date.fromisoformat(cursor["day"]), cast("list[int]", cursor["todo"])
    size = process.settings.wind_batch_periods
    batch, rest = todo[:size], todo[size:]
    taken = await take(process.runtime, process.elexon, day, batch)
    failures = [f"{day} period {one.period}: {one.error}" for one in taken if one.error]
    await asyncio.sleep(process.settings.wind_pause_s)
    cursor = cursor | {"todo": rest, "report": recording.with_failures(cursor["report"], failures)}
    told = f"{day}: periods {batch[0]}-{batch[-1]}, {cursor['of'] - len(rest)} of {cursor['of']}"
    return _progress(process, cursor, told)


async def _close_day(process: Process, cursor: Cursor) -> Progress:
    """Bring the day to what was fetched, and verify it."""
    order, runtime = process.order, process.runtime
    day = date.fromisoformat(cursor["day"])
    failures: list[str] = []
    if order.fetches:
        failures += await take_context(runtime, process.elexon, day)
        if order.outputs:
            failures += await take_outputs(runtime, process.elexon, day)
    outcome = await apply_day(runtime, day, miners_in(cursor), strict=order.kind == "calculate")
    async with runtime.worker_session() as session:
        [check] = await check_days(session, day, day)
        check.defects.extend(_wrong(await wrong_summaries(session, day, day)))
        await recording.note_progress(
            session, order.kind, day=day, status=outcome.status, error=_missing(outcome)
        )
    report = recording.with_failures(cursor["report"], failures)
    report = recording.with_day(report, check, changed=outcome.changed)
    cursor = _next_day(cursor | {"report": report})
    if day >= order.last:
        return await _finish(process, cursor)
    return _progress(process, cursor, f"{day}: {outcome.status}, {outcome.changed} rows changed")


def _wrong(summaries: Sequence[str]) -> list[str]:
    return [f"the summary of {name} is not the sum of its parts" for name in summaries]


def _missing(outcome: Any) -> str | None:
    numbers: Sequence[int] = outcome.missing_periods
    return f"periods {', '.join(map(str, numbers))} are missing" if numbers else None


async def _verify(process: Process, cursor: Cursor) -> Progress:
    first = date.fromisoformat(cursor["day"])
    last = min(first + timedelta(days=_CHECKED_AT_ONCE - 1), process.order.last)
    async with process.runtime.worker_session() as session:
        checks = await check_days(session, first, last)
        wrong = await wrong_summaries(session, first, last)
    report = recording.with_failures(cursor["report"], _wrong(wrong))
    for check in checks:
        report = recording.with_day(report, check, changed=0)
    cursor = cursor | {"report": report, "day": (last + timedelta(days=1)).isoformat()}
    if last >= process.order.last:
        return await _finish(process, cursor)
    return _progress(process, cursor, f"verified until {last}")


async def _generate(process: Process, cursor: Cursor) -> Progress:
    """Take wind generation of some days, and bring it into the summaries of its days."""
    runtime = process.runtime
    first = date.fromisoformat(cursor["day"])
    last = min(first + timedelta(days=_GENERATION_AT_ONCE - 1), process.order.last)
    failures = await take_generation(runtime, process.elexon, first, last)
    async with runtime.worker_session() as session:
        here = list(
            await session.scalars(
                select(SettlementDay.settlement_date)
                .where(SettlementDay.settlement_date.between(first, last))
                .order_by(SettlementDay.settlement_date)
            )
        )
    report = recording.with_failures(cursor["report"], failures)
    for day in here:
        outcome = await apply_day(runtime, day, [])
        async with runtime.worker_session() as session:
            [check] = await check_days(session, day, day)
        report = recording.with_day(report, check, changed=outcome.changed)
    cursor = cursor | {"report": report, "day": (last + timedelta(days=1)).isoformat()}
    if last >= process.order.last:
        return await _finish(process, cursor)
    return _progress(process, cursor, f"generation until {last}")


async def _finish(process: Process, cursor: Cursor) -> Progress:
    order = process.order
    async with process.runtime.worker_session() as session:
        after = await recording.totals(session, order.first, order.last)
        # To other orders, what fails beside the stacks is not what they are about.
        about_them = order.kind in ("verify", "generation")
        report = recording.finished(cursor["report"], after, failures_count=about_them)
        await recording.end_run(session, UUID(cursor["run"]), report)
    told = "complete" if report["complete"] else "incomplete"
    return Progress(percent=100, step=told, cursor={}, result=report)


def _next_day(cursor: Cursor) -> Cursor:
    following = date.fromisoformat(cursor["day"]) + timedelta(days=1)
    return cursor | {"day": following.isoformat(), "todo": None, "of": 0}


def _progress(process: Process, cursor: Cursor, told: str) -> Progress:
    order = process.order
    days = (order.last - order.first).days + 1
    done: float = (date.fromisoformat(cursor["day"]) - order.first).days
    of = cursor.get("of") or 0
    if cursor.get("todo") is not None and of:
        done += 0.8 * (of - len(cursor["todo"])) / of
    return Progress(percent=min(99, int(100 * done / days)), step=told[:200], cursor=cursor)
