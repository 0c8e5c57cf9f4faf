"""Rates again what was rated by another tariff than the one that now counts.

Of itself: a version that begins in the past, an activation or a removal marks just the days whose
half-hours stand under another version. On order: a job rates a span anew and says what it changed.
"""

from collections.abc import Iterable
from copy import deepcopy
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.consumer import Reactions, Received
from common.errors import NotFound
from common.jobs import Jobs, Progress, Step
from common.runtime import Runtime
from energy.costs import intake
from energy.costs.keeping import money
from energy.costs.models import CostDay, ElectricityCost
from energy.costs.rating import rate_days
from energy.costs.schemas import RerateAccepted, RerateOrder
from energy.db import Job
from energy.facts.models import Site
from energy.facts.reading import SiteUnknown
from energy.tariffs.reading import tariffs_between

KIND: Final = "rerate_costs"
_DAYS_A_STEP: Final = 5
reactions = Reactions(group="costs")
"""In the half-hours' group: both mark days, and need not wait for each other's locks."""

_OTHERS = text(
    "INSERT INTO energy.rating_due (organisation_id, site_id, day, reason) "
    "SELECT DISTINCT c.organisation_id, c.site_id, (c.period_start AT TIME ZONE :zone)::date, "
    "'another tariff' FROM energy.electricity_costs c LEFT JOIN unnest("
    "CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]), CAST(:rates AS uuid[]), "
    "CAST(:versions AS int[])) AS held (since, before, rate_id, version) "
    # A half-hour is named after what holds at its end.
    "ON c.period_end - interval '1 second' >= held.since "
    "AND c.period_end - interval '1 second' < held.before "
    "WHERE c.site_id = :site_id AND c.source = 'telemetry' "
    "AND (c.rate_id IS DISTINCT FROM held.rate_id "
    "OR c.rate_version IS DISTINCT FROM held.version) "
    "ON CONFLICT (site_id, day) DO UPDATE SET due_at = now(), reason = excluded.reason"
)
_DAYS = text(
    "SELECT DISTINCT c.site_id, (c.period_start AT TIME ZONE s.timezone)::date AS day "
    "FROM energy.electricity_costs c JOIN energy.site s ON s.id = c.site_id "
    "WHERE c.source = 'telemetry' AND c.site_id = ANY(CAST(:sites AS uuid[])) "
    "AND (c.period_start AT TIME ZONE s.timezone)::date BETWEEN CAST(:first AS date) "
    "AND CAST(:last AS date) AND (c.site_id, (c.period_start AT TIME ZONE s.timezone)::date) > "
    "(CAST(:site_id AS uuid), CAST(:day AS date)) ORDER BY 1, 2"
)


class NothingToRate(NotFound):
    title: ClassVar[str] = "There are no recorded half-hours to rate"


class TariffChanged(BaseModel):
    rate_id: UUID
    site_id: UUID | None = None
    changed_at: AwareDatetime | None = None


@reactions.on("energy.tariff.changed.v1")
async def tariff_changed(session: AsyncSession, event: Received[TariffChanged]) -> None:
    """Mark the days that another version of a tariff now decides."""
    query = select(Site).where(Site.organisation_id == event.organisation_id)
    if event.data.site_id is not None:
        query = query.where(Site.id == event.data.site_id)
    await mark_changed(session, list(await session.scalars(query.order_by(Site.id))))


class IndexPricesChanged(BaseModel):
    series_id: UUID
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None


@reactions.on("energy.index-prices.changed.v1")
async def index_prices_changed(session: AsyncSession, event: Received[IndexPricesChanged]) -> None:
    """Mark the recorded days that prices of an index decide."""
    told = event.data
    start, end = told.starts_at, told.ends_at or now() + timedelta(days=1)
    if start >= end:
        return
    query = select(Site).where(Site.organisation_id == event.organisation_id).order_by(Site.id)
    for site in list(await session.scalars(query)):
        held = await tariffs_between(session, site_id=site.id, start=start, end=end)
        if any(rated.index_series_id == told.series_id for _, _, rated in held):
            await mark_span(session, [site], start, end, reason="prices of an index")


async def mark_changed(session: AsyncSession, sites: Iterable[Site]) -> None:
    """Mark the days of which a half-hour stands under another tariff than the one in force."""
    found = list(sites)
    await intake.lock_shared(session, [site.id for site in found])
    for site in found:
        first = await session.scalar(
            select(func.min(ElectricityCost.period_start)).where(
                ElectricityCost.site_id == site.id, ElectricityCost.source == "telemetry"
            )
        )
        if first is None:
            continue
        end = now() + timedelta(days=1)
        held = await tariffs_between(session, site_id=site.id, start=first, end=end)
        await session.execute(
            _OTHERS,
            {
                "site_id": site.id,
                "zone": site.timezone,
                "starts": [since for since, _, _ in held],
                "ends": [before for _, before, _ in held],
                "rates": [rated.rate_id for _, _, rated in held],
                "versions": [rated.version for _, _, rated in held],
            },
        )


async def mark_span(
    session: AsyncSession, sites: Iterable[Site], start: datetime, end: datetime, *, reason: str
) -> None:
    """Mark all recorded days of some sites that touch a span: their prices have changed."""
    for site in sites:
        await intake.lock_shared(session, [site.id])
        rows = await session.execute(
            select(CostDay.day)
            .where(CostDay.site_id == site.id, CostDay.starts_at < end, CostDay.ends_at > start)
            .distinct()
        )
        days = {(site.id, row.day) for row in rows}
        await intake.mark(session, site.organisation_id, days, reason=reason)


async def order(session: AsyncSession, caller: Principal, wish: RerateOrder) -> RerateAccepted:
    """Enqueue the rating of a span.

    Raises:
        SiteUnknown: there is no such site.
        NothingToRate: nothing is recorded in the span.
    """
    query = select(Site.id).where(Site.organisation_id == caller.organisation_id)
    if wish.site_id is not None:
        query = query.where(Site.id == wish.site_id)
    sites = sorted(await session.scalars(query))
    if not sites:
        raise SiteUnknown("There is no site of this id.", field="site_id")
    arguments = {
        "sites": [str(one) for one in sites],
        "first": str(wish.start_date or date(2000, 1, 1)),
        "last": str(wish.end_date or date(2100, 1, 1)),
    }
    days = len(await _days(session, arguments, {}))
    if not days:
        raise NothingToRate("Nothing is recorded there in these days.")
    job = await Jobs(Job).enqueue(session, caller, KIND, arguments | {"days": days})
    assert job is not None  # without a key to tell jobs apart none is refused
    return RerateAccepted(job_id=job.id, days=days)


def kinds(runtime: Runtime, jobs: Jobs) -> None:
    """Register what the job queue does for costs."""
    del runtime

    @jobs.kind(KIND)
    async def rerate(session: AsyncSession, step: Step) -> Progress:
        return await _step(session, step)


async def _step(session: AsyncSession, step: Step) -> Progress:
    # A copy: what is changed in place is not written.
    cursor = deepcopy(step.cursor) or {"done": 0, "changed": 0, "before": {}, "after": {}}
    left = await _days(session, step.arguments, cursor)
    if not left:
        result = {name: cursor[name] for name in ("changed", "before", "after")}
        return Progress(percent=100, step="done", cursor=cursor,
                        result={"days": cursor["done"], **result})  # fmt: skip
    site_id = left[0][0]
    days = [day for site, day in left if site == site_id][:_DAYS_A_STEP]
    await intake.lock(session, site_id)
    site = await session.get_one(Site, site_id)
    _add(cursor["before"], await _costs(session, site_id, days))
    cursor["changed"] += await rate_days(session, site, days)
    _add(cursor["after"], await _costs(session, site_id, days))
    cursor |= {
        "done": cursor["done"] + len(days), "site_id": str(site_id), "day": str(days[-1]),
    }  # fmt: skip
    percent = min(99, 100 * cursor["done"] // max(1, step.arguments["days"]))
    return Progress(percent=percent, step=f"{site.name} {days[-1]}", cursor=cursor)


async def _days(
    session: AsyncSession, arguments: dict[str, Any], cursor: dict[str, Any]
) -> list[tuple[UUID, date]]:
    """Return the days of an order that come after a cursor."""
    rows = await session.execute(
        _DAYS,
        {
            "sites": [UUID(one) for one in arguments["sites"]],
            "first": date.fromisoformat(arguments["first"]),
            "last": date.fromisoformat(arguments["last"]),
            "site_id": UUID(cursor.get("site_id", str(UUID(int=0)))),
            "day": date.fromisoformat(cursor.get("day", "1970-01-01")),
        },
    )
    return [(row.site_id, row.day) for row in rows]


async def _costs(session: AsyncSession, site_id: UUID, days: list[date]) -> dict[str, Decimal]:
    rows = await session.execute(
        select(CostDay.currency, func.sum(CostDay.energy_cost))
        .where(CostDay.site_id == site_id, CostDay.day.in_(days), CostDay.currency.is_not(None))
        .group_by(CostDay.currency)
    )
    return {str(row[0]): Decimal(row[1]) for row in rows}


def _add(totals: dict[str, str], amounts: dict[str, Decimal]) -> None:
    for currency, amount in amounts.items():
        totals[currency] = money(Decimal(totals.get(currency, "0")) + amount)
