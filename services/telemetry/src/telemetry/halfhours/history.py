"""Stores a told past of simulated machines, through the same closing as what was seen.

What is there stays: a half-hour that telemetry saw itself is left alone, and of one that was
imported only the missing rows are added, so that an import may be repeated at will.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, cast
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Forbidden, Invalid
from common.runtime import Runtime
from telemetry import metrics
from telemetry.db import AuditEvent
from telemetry.domain.addresses import is_simulated
from telemetry.domain.half_hour import HalfHour
from telemetry.halfhours.closing import HALF_HOUR, Target, explained, incidents_of, publish
from telemetry.halfhours.events import MAX_ROWS
from telemetry.halfhours.schemas import History, HistoryStored, ToldHalfHour
from telemetry.samples.readings import MachineUnknown
from telemetry.settings import Settings

OLDEST = timedelta(days=400)

_MACHINES = text(
    "SELECT id, client_id, ip FROM telemetry.miner WHERE id = ANY(:ids) "
    "AND site_id = :site_id AND NOT removed"
)
_MEASURED = text(
    "SELECT t.start FROM unnest(CAST(:starts AS timestamptz[])) AS t (start) WHERE EXISTS "
    "(SELECT 1 FROM telemetry.sample s WHERE s.miner_id = ANY(:ids) AND s.slot >= t.start "
    "AND s.slot < t.start + interval '30 minutes')"
)
_BEGIN = text(
    "INSERT INTO telemetry.half_hour_close "
    "(site_id, starts_at, organisation_id, revision, dirty, closed_at, imported) "
    "VALUES (:site_id, :start, :organisation_id, 1, false, now(), true) "
    "ON CONFLICT DO NOTHING RETURNING revision"
)
_HOLD = text(
    "SELECT imported FROM telemetry.half_hour_close "
    "WHERE site_id = :site_id AND starts_at = :start FOR UPDATE"
)
_THERE = text(
    "SELECT miner_id FROM telemetry.half_hour WHERE miner_id = ANY(:ids) AND starts_at = :start"
)
_NEXT = text(
    "UPDATE telemetry.half_hour_close SET revision = revision + 1, closed_at = now() "
    "WHERE site_id = :site_id AND starts_at = :start RETURNING revision"
)
# No sample stands behind these hours, and they say so; a rebuild from samples replaces them.
_HOURS = text(
    "INSERT INTO telemetry.rollup_1h AS r (miner_id, starts_at, samples, up_samples, "
    "powered_samples, hashed_samples, hashrate_ths_avg, power_w_avg) "
    "SELECT miner_id, date_bin('1 hour', starts_at, 'epoch') AS hour, 0, 0, 0, 0, "
    "sum(th_h) / nullif(sum(coverage) * 0.5, 0), sum(kwh) * 1000 / nullif(sum(coverage) * 0.5, 0) "
    "FROM telemetry.half_hour WHERE miner_id = ANY(:ids) "
    "AND starts_at >= date_bin('1 hour', CAST(:first AS timestamptz), 'epoch') "
    "AND starts_at < date_bin('1 hour', CAST(:last AS timestamptz), 'epoch') + interval '1 hour' "
    "GROUP BY miner_id, hour ON CONFLICT (miner_id, starts_at) DO UPDATE SET "
    "hashrate_ths_avg = excluded.hashrate_ths_avg, power_w_avg = excluded.power_w_avg "
    "WHERE r.samples = 0"
)


class HistoryNotAllowed(Forbidden):
    title: ClassVar[str] = "This installation takes no simulated history"


class MachineIsReal(Conflict):
    title: ClassVar[str] = "A machine outside the simulated world has no told past"


class NotInThePast(Invalid):
    title: ClassVar[str] = "The half-hour is not one of the past"


async def store(
    session: AsyncSession, runtime: Runtime, principal: Principal, history: History
) -> HistoryStored:
    """Store what is new of some half-hours, and announce it."""
    settings = cast("Settings", runtime.settings)
    if not settings.allow_simulated_miners:
        raise HistoryNotAllowed(
            "Histories are for simulated machines; start with ALLOW_SIMULATED_MINERS=true."
        )
    _check_span(history)
    miners = await _machines(session, history)
    # The tenant's role has no right on the ledger: its rows are the worker's to write.
    async with runtime.worker_session() as worker:
        return await _store(worker, settings.slot_seconds, principal, history, miners)


def _check_span(history: History) -> None:
    at = now()
    first, last = history.half_hours[0].starts_at, history.half_hours[-1].starts_at
    if last + HALF_HOUR > at or first < at - OLDEST:
        raise NotInThePast(
            f"Half-hours must have ended, and have begun within the last {OLDEST.days} days.",
            field="half_hours",
        )


async def _machines(session: AsyncSession, history: History) -> list[RowMapping]:
    """Return the caller's machines in the order of the request."""
    rows = await session.execute(_MACHINES, {"ids": history.miner_ids, "site_id": history.site_id})
    found = {row["id"]: row for row in rows.mappings()}
    for miner_id in history.miner_ids:
        if miner_id not in found:
            raise MachineUnknown(f"There is no machine {miner_id} at this site.")
        if not is_simulated(found[miner_id]["ip"]):
            raise MachineIsReal(f"Machine {miner_id} is not a simulated one; leave it out.")
    return [found[miner_id] for miner_id in history.miner_ids]


async def _store(
    session: AsyncSession,
    slot_s: int,
    principal: Principal,
    history: History,
    miners: list[RowMapping],
) -> HistoryStored:
    starts = [one.starts_at.astimezone(UTC) for one in history.half_hours]
    incidents = await incidents_of(session, history.site_id, starts[0], starts[-1] + HALF_HOUR)
    asked = {"starts": starts, "ids": history.miner_ids}
    measured = set((await session.scalars(_MEASURED, asked)).all())
    done = HistoryStored(
        half_hours_stored=0, half_hours_known=0, half_hours_measured=0, rows_stored=0
    )
    for start, told in zip(starts, history.half_hours, strict=True):
        target = Target(history.site_id, principal.organisation_id, start)
        stored = None
        if start not in measured:
            stored = await _close(
                session, slot_s, target, miners=miners, told=told, incidents=incidents
            )
        _count(done, stored)
    if done.rows_stored:
        hours = {"ids": history.miner_ids, "first": starts[0], "last": starts[-1]}
        await session.execute(_HOURS, hours)
        await _write_down(session, principal, history.site_id, starts, done)
    return done


def _count(done: HistoryStored, rows: int | None) -> None:
    if rows is None:
        done.half_hours_measured += 1
    elif rows == 0:
        done.half_hours_known += 1
    else:
        done.half_hours_stored += 1
        done.rows_stored += rows


async def _close(
    session: AsyncSession,
    slot_s: int,
    target: Target,
    *,
    miners: list[RowMapping],
    told: ToldHalfHour,
    incidents: Sequence[RowMapping],
) -> int | None:
    """Store the rows of one half-hour that are new; None where it is not ours to tell."""
    begun = await _begin(session, target, [row["id"] for row in miners])
    if begun is None:
        return None
    revision, there = begun
    columns = zip(miners, told.kwh, told.th_h, told.state, told.coverage, strict=True)
    rows = {
        miner["id"]: explained(
            HalfHour(kwh, th_h, state, None, coverage), slot_s, target, incidents, miner["id"]
        )
        for miner, kwh, th_h, state, coverage in columns
        if miner["id"] not in there
    }
    new = [miner for miner in miners if miner["id"] in rows]
    for first in range(0, len(new), MAX_ROWS):
        chunk = new[first : first + MAX_ROWS]
        found = {miner["id"]: rows[miner["id"]] for miner in chunk}
        await publish(session, target, revision, chunk, found)
    if new:
        metrics.half_hours.labels("imported").inc()
    return len(new)


async def _begin(
    session: AsyncSession, target: Target, ids: Sequence[UUID]
) -> tuple[int, set[UUID]] | None:
    """Claim a half-hour: its revision, and whose rows are there. None: it was seen, not told."""
    key = {"site_id": target.site_id, "start": target.start}
    opened = key | {"organisation_id": target.organisation_id}
    revision: int | None = await session.scalar(_BEGIN, opened)
    if revision is not None:
        return revision, set()
    if not await session.scalar(_HOLD, key):
        return None
    there = set((await session.scalars(_THERE, {"ids": ids, "start": target.start})).all())
    if len(there) == len(ids):
        return 0, there
    return await session.scalar(_NEXT, key) or 0, there


async def _write_down(
    session: AsyncSession,
    principal: Principal,
    site_id: UUID,
    starts: Sequence[datetime],
    done: HistoryStored,
) -> None:
    detail = {"from": starts[0].isoformat(), "to": (starts[-1] + HALF_HOUR).isoformat()}
    await audit(
        session,
        AuditEvent,
        principal,
        action="history.import",
        object_type="site",
        object_id=site_id,
        detail=detail | done.model_dump(),
    )
