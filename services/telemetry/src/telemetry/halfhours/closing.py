"""Closes half-hours, and looks again at those that late rows or incidents have touched.

One transaction per site and half-hour: rows, revision and events leave together, so a repeat
(two workers, a crash) changes nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.clock import now
from common.runtime import Runtime
from telemetry import metrics
from telemetry.db import Outbox
from telemetry.domain.addresses import is_simulated
from telemetry.domain.half_hour import (
    Cause,
    HalfHour,
    Interval,
    SlotReading,
    close_half_hour,
    with_cause,
)
from telemetry.halfhours.events import MAX_ROWS, HalfHourClosed, HalfHourRow
from telemetry.settings import HALF_HOUR_S, Settings

log = get_logger()
HALF_HOUR = timedelta(seconds=HALF_HOUR_S)
_LOOK_BACK = timedelta(hours=24)
_AT_ONCE = 25

_SITES = text("SELECT id, organisation_id FROM telemetry.site WHERE NOT removed")
_FIRST_SAMPLE = text(
    "SELECT min(slot) FROM telemetry.sample WHERE slot >= :since AND miner_id IN "
    "(SELECT id FROM telemetry.miner WHERE site_id = :site_id)"
)
_CLOSED = text(
    "SELECT starts_at, imported FROM telemetry.half_hour_close WHERE site_id = :site_id "
    "AND starts_at >= :since"
)
_DIRTY = text(
    "SELECT site_id, organisation_id, starts_at FROM telemetry.half_hour_close WHERE dirty "
    "ORDER BY starts_at LIMIT 100"
)
_BEGIN = text(
    "INSERT INTO telemetry.half_hour_close AS c "
    "(site_id, starts_at, organisation_id, revision, dirty, closed_at) "
    "VALUES (:site_id, :start, :organisation_id, 1, false, now()) "
    "ON CONFLICT (site_id, starts_at) DO UPDATE SET revision = c.revision + 1, dirty = false, "
    "closed_at = now() WHERE c.dirty RETURNING revision, imported"
)
_MINERS = text(
    "SELECT id, client_id, ip FROM telemetry.miner WHERE site_id = :site_id AND (NOT removed "
    "OR EXISTS (SELECT 1 FROM telemetry.sample s WHERE s.miner_id = miner.id "
    "AND s.slot >= :start AND s.slot < :end)) AND status <> 'pending_approval' ORDER BY id"
)
_SAMPLES = text(
    "SELECT miner_id, slot, up, power_w, coalesce(hashrate_5s_ths, hashrate_avg_ths) AS rate "
    "FROM telemetry.sample WHERE miner_id = ANY(:ids) AND slot >= :held_from AND slot < :end "
    "ORDER BY miner_id, slot"
)
_CURTAILMENTS = text(
    "SELECT miner_id, starts_at, ends_at FROM telemetry.curtailment_interval "
    "WHERE miner_id = ANY(:ids) AND starts_at < :end AND (ends_at IS NULL OR ends_at > :start)"
)
_INCIDENTS = text(
    "SELECT cause, starts_at, ends_at, miner_ids FROM telemetry.incident "
    "WHERE site_id = :site_id AND starts_at < :end AND (ends_at IS NULL OR ends_at > :start)"
)
_KNOWN = text(
    "SELECT miner_id, kwh, th_h, state, cause, coverage FROM telemetry.half_hour "
    "WHERE miner_id = ANY(:ids) AND starts_at = :start"
)
_STORE = text(
    "INSERT INTO telemetry.half_hour AS h (miner_id, starts_at, site_id, client_id, revision, "
    "kwh, th_h, state, cause, coverage, simulated) SELECT t.id, :start, :site_id, t.client, "
    ":revision, t.kwh, t.th_h, t.state, t.cause, t.coverage, t.simulated "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:clients AS uuid[]), CAST(:kwh AS float8[]), "
    "CAST(:th_h AS float8[]), CAST(:states AS text[]), CAST(:causes AS text[]), "
    "CAST(:coverages AS float8[]), CAST(:simulated AS bool[])) "
    "AS t (id, client, kwh, th_h, state, cause, coverage, simulated) "
    "ON CONFLICT (miner_id, starts_at) DO UPDATE SET revision = excluded.revision, "
    "kwh = excluded.kwh, th_h = excluded.th_h, state = excluded.state, cause = excluded.cause, "
    "coverage = excluded.coverage, client_id = excluded.client_id"
)


@dataclass(frozen=True, slots=True)
class Target:
    """One half-hour of one site."""

    site_id: UUID
    organisation_id: UUID
    start: datetime

    @property
    def end(self) -> datetime:
        return self.start + HALF_HOUR


async def close_half_hours(runtime: Runtime) -> None:
    """Close what is due, for ever: the background task."""
    settings = cast("Settings", runtime.settings)
    while True:
        await close_due(runtime, settings, at=now())
        await asyncio.sleep(min(15.0, max(1.0, settings.half_hour_grace_seconds)))


async def close_due(runtime: Runtime, settings: Settings, *, at: datetime) -> int:
    """Close every half-hour that ended before `at` less the grace; return how many."""
    async with runtime.worker_session() as session:
        targets = await _due(session, at - timedelta(seconds=settings.half_hour_grace_seconds))
        dirty = [Target(*row) for row in (await session.execute(_DIRTY)).all()]
    count = 0
    for target in (*targets, *dirty):
        async with runtime.worker_session() as session:
            count += await _close(session, settings, target)
    return count


async def _due(session: AsyncSession, before: datetime) -> list[Target]:
    """Return the half-hours since a site's first sample of the last day that are not closed."""
    latest = _floor(before) - HALF_HOUR
    since = latest - _LOOK_BACK
    targets: list[Target] = []
    for site_id, organisation_id in (await session.execute(_SITES)).all():
        parameters = {"site_id": site_id, "since": since}
        closed = {row[0]: bool(row[1]) for row in await session.execute(_CLOSED, parameters)}
        # An imported past obliges nobody to close the half-hours between it and the first sample.
        own = (at for at, imported in closed.items() if not imported)
        start = min(own, default=None) or await session.scalar(_FIRST_SAMPLE, parameters)
        if start is None:
            continue
        start = _floor(start)
        while start <= latest:
            if start not in closed:
                targets.append(Target(site_id, organisation_id, start))
            start += HALF_HOUR
    return targets


async def _close(session: AsyncSession, settings: Settings, target: Target) -> bool:
    """Close one half-hour, or give it its next revision; False when somebody else just did."""
    begun = (await session.execute(_BEGIN, asdict(target))).one_or_none()
    if begun is None:
        return False
    revision, imported = begun
    span = {"site_id": target.site_id, "start": target.start, "end": target.end}
    miners = list((await session.execute(_MINERS, span)).mappings())
    incidents = await incidents_of(session, target.site_id, target.start, target.end)
    for first in range(0, len(miners), MAX_ROWS):
        chunk = miners[first : first + MAX_ROWS]
        if imported:
            rows = await _told(session, settings, target, chunk, incidents)
        else:
            rows = await _rows(session, settings, target, chunk, incidents)
        await publish(session, target, revision, chunk, rows)
        await asyncio.sleep(0)  # the arithmetic of 500 machines is enough in one go
    kind = "closed" if revision == 1 else "revised"
    metrics.half_hours.labels(kind).inc()
    log.info("half_hour.stored", kind=kind, site_id=str(target.site_id), miners=len(miners))
    return True


async def _rows(
    session: AsyncSession,
    settings: Settings,
    target: Target,
    miners: Sequence[RowMapping],
    incidents: Sequence[RowMapping],
) -> dict[UUID, HalfHour]:
    slot_s = settings.slot_seconds
    ids = [row["id"] for row in miners]
    held_from = target.start - timedelta(seconds=settings.hold_slots * slot_s)
    span = {"ids": ids, "held_from": held_from, "start": target.start, "end": target.end}
    readings: defaultdict[UUID, list[SlotReading]] = defaultdict(list)
    for miner_id, slot, up, power_w, rate in (await session.execute(_SAMPLES, span)).all():
        index = round((slot - target.start).total_seconds() / slot_s)
        readings[miner_id].append(SlotReading(index, up, power_w, rate))
    slept: defaultdict[UUID, list[Interval]] = defaultdict(list)
    for miner_id, start, end in (await session.execute(_CURTAILMENTS, span)).all():
        slept[miner_id].append(_interval(target, slot_s, start, end, "economic", curtailed=True))
    closed: dict[UUID, HalfHour] = {}
    for miner_id in ids:
        closed[miner_id] = close_half_hour(
            readings[miner_id],
            [*slept[miner_id], *_of_incidents(target, slot_s, incidents, miner_id)],
            slots=HALF_HOUR_S // slot_s,
            slot_hours=slot_s / 3600,
            hold_slots=settings.hold_slots,
        )
        if len(closed) % _AT_ONCE == 0:
            await asyncio.sleep(0)  # polls and commands wait in the same loop
    return closed


async def incidents_of(
    session: AsyncSession, site_id: UUID, start: datetime, end: datetime
) -> list[RowMapping]:
    """Return the incidents of a site that touch a span."""
    span = {"site_id": site_id, "start": start, "end": end}
    return list((await session.execute(_INCIDENTS, span)).mappings())


async def _told(
    session: AsyncSession,
    settings: Settings,
    target: Target,
    miners: Sequence[RowMapping],
    incidents: Sequence[RowMapping],
) -> dict[UUID, HalfHour]:
    """Return the imported rows as they are, with what incidents now say of them."""
    known = await _known(session, target, [row["id"] for row in miners])
    return {
        miner_id: explained(row, settings.slot_seconds, target, incidents, miner_id)
        for miner_id, row in known.items()
    }


def explained(
    row: HalfHour,
    slot_s: int,
    target: Target,
    incidents: Sequence[RowMapping],
    miner_id: UUID,
) -> HalfHour:
    """Return a row that is known only as a whole, with its cause."""
    intervals = _of_incidents(target, slot_s, incidents, miner_id)
    return with_cause(row, intervals, slots=HALF_HOUR_S // slot_s)


def _of_incidents(
    target: Target, slot_s: int, incidents: Sequence[RowMapping], miner_id: UUID
) -> list[Interval]:
    """Return the incidents that touch a machine; one that names none touches the whole site."""
    return [
        _interval(target, slot_s, row["starts_at"], row["ends_at"], row["cause"])
        for row in incidents
        if not row["miner_ids"] or str(miner_id) in row["miner_ids"]
    ]


def _interval(
    target: Target,
    slot_s: int,
    start: datetime,
    end: datetime | None,
    cause: Cause,
    *,
    curtailed: bool = False,
) -> Interval:
    first = (start - target.start).total_seconds() / slot_s
    last = ((end or target.end) - target.start).total_seconds() / slot_s
    return Interval(first, last, cause, curtailed)


async def publish(
    session: AsyncSession,
    target: Target,
    revision: int,
    miners: Sequence[RowMapping],
    rows: dict[UUID, HalfHour],
) -> None:
    """Store the rows that are new or have changed, and announce them."""
    known = await _known(session, target, list(rows))
    changed = [
        miner
        for miner in miners
        if miner["id"] in rows and known.get(miner["id"]) != rows[miner["id"]]
    ]
    if not changed:
        return
    found = [rows[miner["id"]] for miner in changed]
    simulated = [is_simulated(miner["ip"]) for miner in changed]
    stored: dict[str, Any] = {
        "start": target.start,
        "site_id": target.site_id,
        "revision": revision,
        "ids": [miner["id"] for miner in changed],
        "clients": [miner["client_id"] for miner in changed],
        "kwh": [row.kwh for row in found],
        "th_h": [row.th_h for row in found],
        "states": [row.state for row in found],
        "causes": [row.cause for row in found],
        "coverages": [row.coverage for row in found],
        "simulated": simulated,
    }
    await session.execute(_STORE, stored)
    event = HalfHourClosed(
        organisation_id=target.organisation_id,
        version=revision,
        site_id=target.site_id,
        starts_at=target.start,
        revision=revision,
        simulated=any(simulated),
        rows=[
            HalfHourRow(miner_id=miner["id"], client_id=miner["client_id"], **asdict(row))
            for miner, row in zip(changed, found, strict=True)
        ],
    )
    session.add(Outbox.of(event))


async def _known(
    session: AsyncSession, target: Target, ids: Sequence[UUID]
) -> dict[UUID, HalfHour]:
    span = {"ids": ids, "start": target.start}
    return {
        row["miner_id"]: HalfHour(
            row["kwh"], row["th_h"], row["state"], row["cause"], row["coverage"]
        )
        for row in (await session.execute(_KNOWN, span)).mappings()
    }


def _floor(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // HALF_HOUR_S * HALF_HOUR_S, UTC)
