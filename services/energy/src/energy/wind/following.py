"""Following Elexon by itself: each new period soon after it is published, and every night again.

One process of the service does it; it leads by a session-level advisory lock, which is lost with
its connection.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime, time, timedelta
from typing import cast

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog import get_logger

from common.clock import now
from common.errors import Problem
from common.runtime import Runtime
from energy.domain.settlement import ZONE, day_of, periods_of
from energy.settings import Settings
from energy.wind import recording
from energy.wind.days import COMPLETE, apply_day
from energy.wind.elexon import PATIENCE_OF_JOBS_S, NoAnswer, open_elexon
from energy.wind.fetching import take
from energy.wind.miners import miners_named
from energy.wind.models import SettlementDay, SettlementPeriod
from energy.wind.orders import Kind, Order
from energy.wind.processing import carry_out, ensure_units, gate_of, renew_units
from energy.wind.surroundings import take_context

log = get_logger()
_TRY_TO_LEAD = text("SELECT pg_try_advisory_lock(7201503)")
_STILL_THERE = text("SELECT 1")
_LOOK_S = 5.0
_RETRIES = 3
_NIGHTLY_AT = time(3)
_MONTHLY_AT = time(2)
_MONTHLY_ON = 2
_REGISTER_DAYS = 30
_LOOK_BACK = 7
_DAY = timedelta(days=1)


async def follow_wind(runtime: Runtime) -> None:
    """Take new periods, and reconcile older ones by schedule, for ever."""
    settings = cast("Settings", runtime.settings)
    if not (settings.wind_enabled and settings.elexon_url):
        log.info("wind.not_followed")
        await runtime.stopping.wait()
        return
    async with _leading(runtime) as connection:
        log.info("wind.leading")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_hold_on(connection))
                tasks.create_task(_repeat(runtime, follow_new))
                tasks.create_task(_repeat(runtime, keep_schedule))
        except ExceptionGroup as failed:
            lost, others = failed.split((OSError, DBAPIError))
            if others is not None or lost is None:
                raise
            msg = f"the worker of wind lost its database: {lost.exceptions[0]!r:.200}"
            raise ConnectionError(msg) from failed


@asynccontextmanager
async def _leading(runtime: Runtime) -> AsyncGenerator[AsyncConnection]:
    """Wait for the lead; it ends with the connection that is yielded."""
    async with runtime.worker_engine.connect() as pooled:
        connection = await pooled.execution_options(isolation_level="AUTOCOMMIT")
        try:
            await _lead(connection)
            yield connection
        finally:
            # The lock belongs to the connection: it must not go back to the pool with it.
            with suppress(Exception):
                await connection.invalidate()


async def _lead(connection: AsyncConnection) -> None:
    while True:
        if await connection.scalar(_TRY_TO_LEAD):
            return
        await asyncio.sleep(_LOOK_S)


async def _hold_on(connection: AsyncConnection) -> None:
    """Fail when the connection that holds the lock is lost: somebody else leads by then."""
    while True:
        await connection.execute(_STILL_THERE)
        await asyncio.sleep(_LOOK_S)


async def _repeat(
    runtime: Runtime, doing: Callable[[Runtime, datetime], Awaitable[object]]
) -> None:
    settings = cast("Settings", runtime.settings)
    while True:
        try:
            await doing(runtime, now())
        except (NoAnswer, Problem) as error:
            log.warning("wind.waits", reason=str(error)[:300])
        await asyncio.sleep(settings.wind_poll_s)


async def follow_new(runtime: Runtime, at: datetime) -> list[date]:
    """Take the periods that were published since; return the days that they belong to.

    One that fails is tried three times more, and is then left to the nightly reconciliation.
    """
    today = day_of(at)
    return [day for day in (today - _DAY, today) if await _follow_day(runtime, day, at)]


async def _follow_day(runtime: Runtime, day: date, at: datetime) -> bool:
    settings = cast("Settings", runtime.settings)
    todo = await _due(runtime, day, at - timedelta(seconds=settings.wind_publication_s))
    if not todo:
        return False
    async with open_elexon(
        settings.elexon_url,
        gate_of(runtime),
        timeout_s=settings.wind_timeout_s,
        tries=settings.wind_tries,
        patience_s=PATIENCE_OF_JOBS_S,
    ) as elexon:
        await ensure_units(runtime, elexon)
        taken = await take(runtime, elexon, day, todo)
        if all(one.pending for one in taken):
            return False
        await take_context(runtime, elexon, day)
    names = settings.miner_models()
    outcome = await apply_day(runtime, day, await miners_named(runtime, names, names))
    failed = [f"period {one.period}: {one.error}" for one in taken if one.error]
    async with runtime.worker_session() as session:
        await recording.note_progress(
            session, "live", day=day, status="failed" if failed else COMPLETE,
            error="; ".join(failed)[:500] or None,
        )  # fmt: skip
    log.info("wind.followed", day=str(day), periods=len(taken), changed=outcome.changed)
    return True


async def _due(runtime: Runtime, day: date, until: datetime) -> list[int]:
    """Return the periods that ended before an instant, and that are to be asked for."""
    async with runtime.worker_session() as session:
        rows = await session.scalars(
            select(SettlementPeriod).where(SettlementPeriod.settlement_date == day)
        )
        left = {
            row.settlement_period
            for row in rows
            if row.status == COMPLETE or (row.status == "failed" and row.attempts > _RETRIES)
        }
    return [one.number for one in periods_of(day) if one.end <= until and one.number not in left]


async def keep_schedule(runtime: Runtime, at: datetime) -> list[str]:
    """Do what is due by the calendar of the United Kingdom; return the names of what was done."""
    local = at.astimezone(ZONE)
    today = local.date()
    done: list[str] = []
    if await _is_due(runtime, "bm-units", today - _REGISTER_DAYS * _DAY):
        await _renew_register(runtime)
        done.append("bm-units")
    if local.time() >= _NIGHTLY_AT and await _is_due(runtime, "reconcile/daily", today - _DAY):
        await _run(runtime, "reconcile/daily", "reconcile", today - _LOOK_BACK * _DAY, today - _DAY)
        done.append("reconcile/daily")
    month = today.replace(day=1)
    if today.day >= _MONTHLY_ON and local.time() >= _MONTHLY_AT:
        before = month - _DAY
        if await _is_due(runtime, "reconcile/monthly", before):
            await _run(runtime, "reconcile/monthly", "reconcile", before.replace(day=1), before)
            done.append("reconcile/monthly")
        if await _is_due(runtime, "integrity", before) and (first := await _first_day(runtime)):
            await _run(runtime, "integrity", "verify", first, today - _DAY)
            done.append("integrity")
    return done


async def _is_due(runtime: Runtime, process: str, after: date) -> bool:
    """Return whether a process was last done on this day or before."""
    async with runtime.worker_session() as session:
        last = await recording.last_processed(session, process)
    return last is None or last <= after


async def _run(runtime: Runtime, process: str, kind: Kind, first: date, last: date) -> None:
    report = await carry_out(
        runtime, Order(kind=kind, first=first, last=max(first, last)), "schedule"
    )
    status = COMPLETE if report["complete"] else "incomplete"
    error = None
    if report["defects_found"]:
        error = f"{report['defects_found']} defects, the first: {report['defects'][0]['defect']}"
    async with runtime.worker_session() as session:
        await recording.note_progress(
            session, process, day=day_of(now()), status=status, error=error
        )


async def _renew_register(runtime: Runtime) -> None:
    settings = cast("Settings", runtime.settings)
    async with open_elexon(
        settings.elexon_url,
        gate_of(runtime),
        timeout_s=settings.wind_timeout_s,
        tries=settings.wind_tries,
        patience_s=PATIENCE_OF_JOBS_S,
    ) as elexon:
        await renew_units(runtime, elexon)


async def _first_day(runtime: Runtime) -> date | None:
    async with runtime.worker_session() as session:
        return await session.scalar(select(func.min(SettlementDay.settlement_date)))
