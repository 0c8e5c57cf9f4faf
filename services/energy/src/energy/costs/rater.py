"""Works off the days that are due, for ever, and sees that none is forgotten."""

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.clock import now
from common.runtime import Runtime
from energy.costs import intake
from energy.costs.rating import rate_days
from energy.costs.rerating import mark_changed
from energy.facts.models import Site

log = get_logger()
_PAUSE_S: Final = 1.0
_SWEEP: Final = timedelta(minutes=10)
_DAYS_AT_ONCE: Final = 10
PARTS_KEPT: Final = timedelta(days=800)
"""So long a changed tariff re-rates machines; two years and a season, to compare with."""

_DUE_SITES = text(
    "SELECT DISTINCT organisation_id, site_id FROM energy.rating_due WHERE due_at <= now()"
)
_DUE_DAYS = text(
    "DELETE FROM energy.rating_due WHERE (site_id, day) IN (SELECT site_id, day "
    "FROM energy.rating_due WHERE site_id = :site_id AND due_at <= now() ORDER BY day LIMIT :most) "
    "RETURNING day, reason"
)
_LOCAL_DAYS = text(
    "SELECT DISTINCT (starts_at AT TIME ZONE :zone)::date FROM energy.half_hour_part "
    "WHERE site_id = :site_id AND starts_at >= :first AND starts_at < :last"
)
_POSTPONE = text(
    "UPDATE energy.rating_due SET due_at = now() + interval '1 second' * :seconds "
    "WHERE site_id = :site_id AND due_at <= now() AND day IN (SELECT day FROM energy.rating_due "
    "WHERE site_id = :site_id AND due_at <= now() ORDER BY day LIMIT :most)"
)
_UNFINISHED = text(
    # Days that are over, but whose daily charge was worked out before they were; and days of which
    # nothing was told, between those of which something was.
    "INSERT INTO energy.rating_due (organisation_id, site_id, day, reason) "
    "SELECT s.organisation_id, s.id, d.day, 'the day is over' FROM energy.site s "
    "CROSS JOIN LATERAL (SELECT min(c.starts_on) AS first FROM energy.site_charge c "
    "WHERE c.site_id = s.id AND c.kind = 'day') AS known "
    "CROSS JOIN LATERAL (SELECT day::date FROM generate_series("
    "greatest(known.first, (now() AT TIME ZONE s.timezone)::date - 40)::timestamp, "
    "((now() AT TIME ZONE s.timezone)::date - 1)::timestamp, interval '1 day') AS day) AS d "
    "WHERE NOT s.removed AND known.first IS NOT NULL AND NOT EXISTS (SELECT 1 "
    "FROM energy.site_charge c WHERE c.site_id = s.id AND c.kind = 'day' AND c.starts_on = d.day "
    "AND c.ends_at >= ((d.day + 1)::timestamp AT TIME ZONE s.timezone)) "
    "ON CONFLICT (site_id, day) DO NOTHING"
)
_UNRATED = text(
    "SELECT DISTINCT c.organisation_id, c.site_id FROM energy.electricity_costs c "
    "WHERE c.source = 'telemetry' AND c.rate_id IS NULL "
    "AND c.period_start >= now() - interval '40 days'"
)
_MOVED = text(
    "SELECT DISTINCT s.organisation_id, s.id FROM energy.site s JOIN energy.cost_day d "
    "ON d.site_id = s.id WHERE d.timezone <> s.timezone"
)
_FORGET_DAYS = (
    text("DELETE FROM energy.cost_day WHERE site_id = :site_id"),
    text("DELETE FROM energy.site_charge WHERE site_id = :site_id"),
)
_ALL_DAYS = text(
    "INSERT INTO energy.rating_due (organisation_id, site_id, day, reason) "
    "SELECT DISTINCT p.organisation_id, p.site_id, (p.starts_at AT TIME ZONE s.timezone)::date, "
    "'the site has another zone' FROM energy.half_hour_part p JOIN energy.site s "
    "ON s.id = p.site_id WHERE p.site_id = :site_id ON CONFLICT (site_id, day) DO NOTHING"
)
_PRUNE = text(
    "DELETE FROM energy.half_hour_part WHERE id IN (SELECT id FROM energy.half_hour_part "
    "WHERE starts_at < :before ORDER BY starts_at LIMIT 20000)"
)


async def keep_rated(runtime: Runtime) -> None:
    """Rate what is due, for ever: the background task."""
    swept = now() - _SWEEP
    while True:
        if now() - swept >= _SWEEP:
            await sweep(runtime)
            swept = now()
        if not await rate_due(runtime):
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_S):
                    await runtime.stopping.wait()
                    return


async def rate_due(runtime: Runtime) -> int:
    """Rate the days that are due now; return how many that were."""
    async with runtime.worker_session() as session:
        due = [(row.organisation_id, row.site_id) for row in await session.execute(_DUE_SITES)]
    done = 0
    for organisation_id, site_id in due:
        while days := await _some(runtime, organisation_id, site_id):
            done += days
    return done


async def _some(runtime: Runtime, organisation_id: UUID, site_id: UUID) -> int:
    """Rate a few due days of a site; one that fails waits, and keeps no other from it."""
    for most in (_DAYS_AT_ONCE, 1):
        try:
            async with runtime.tenant_session(organisation_id) as session:
                return await _rate(session, site_id, most)
        except Exception:
            log.exception("costs.rating_failed", site_id=str(site_id), days=most)
    async with runtime.tenant_session(organisation_id) as session:
        await session.execute(_POSTPONE, {"site_id": site_id, "most": 1, "seconds": 300})
    return 0


async def _rate(session: AsyncSession, site_id: UUID, most: int) -> int:
    await intake.lock(session, site_id)
    site = await session.get(Site, site_id)
    if site is None:
        # Half-hours of a site that has not been heard of yet: their days have no bounds.
        await session.execute(_POSTPONE, {"site_id": site_id, "most": 1000, "seconds": 30})
        return 0
    # Marks that rating itself makes must stay: the days are taken off the list before.
    due = (await session.execute(_DUE_DAYS, {"site_id": site_id, "most": most})).all()
    days: set[date] = {row.day for row in due if row.reason != intake.SITE_UNKNOWN}
    for row in due:
        if row.reason == intake.SITE_UNKNOWN:
            days |= await _local_days(session, site, row.day)
    if days:
        await rate_days(session, site, sorted(days))
    return len(due)


async def _local_days(session: AsyncSession, site: Site, day: date) -> set[date]:
    """Return on which days of the site the half-hours of a day of UTC fall."""
    first = datetime.combine(day, time(), UTC)
    span = {"first": first, "last": first + timedelta(days=1)}
    place = {"site_id": site.id, "zone": site.timezone}
    return set(await session.scalars(_LOCAL_DAYS, place | span))


async def sweep(runtime: Runtime) -> None:
    """Mark days that are over, or not rated, or of a site with another zone; forget old parts."""
    async with runtime.worker_session() as session:
        await session.execute(_UNFINISHED)
        unrated = [(row.organisation_id, row.site_id) for row in await session.execute(_UNRATED)]
        moved = [row.id for row in await session.execute(_MOVED)]
        await session.execute(_PRUNE, {"before": now() - PARTS_KEPT})
    for organisation_id, site_id in unrated:
        async with runtime.tenant_session(organisation_id) as session:
            site = await session.get(Site, site_id)
            if site is not None:
                await mark_changed(session, [site])
    for site_id in moved:
        async with runtime.worker_session() as session:
            await intake.lock(session, site_id)
            for forget in _FORGET_DAYS:
                await session.execute(forget, {"site_id": site_id})
            await session.execute(_ALL_DAYS, {"site_id": site_id})
