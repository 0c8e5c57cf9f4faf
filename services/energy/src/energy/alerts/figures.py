"""The figures that rules look at: what a kWh costs, and what a site costs by hour and day."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import Problem
from energy.ahead import cost_ahead, local_day
from energy.costs.packing import UNRATED
from energy.costs.reading import CostSum, SiteHalfHours, cost_between, site_half_hours
from energy.currencies.reading import conversion
from energy.facts.models import Site
from energy.signals.pricing import PriceNow, price_now

HALF_HOUR = timedelta(minutes=30)
RECENT = timedelta(hours=2)
"""A closed hour that ended before that says nothing about now."""
ENOUGH = 0.95
"""Share of machine half-hours that must be known for a figure to be called low."""
_NANO = Decimal(10) ** -9


@dataclass(frozen=True, slots=True)
class Figure:
    """A value in a rule's currency, and what it was computed from."""

    value: Decimal
    details: dict[str, Any] = field(default_factory=dict[str, Any])
    partial: bool = False
    """Something is missing from it: it may be too low, never too high."""


async def figure_of(
    session: AsyncSession, metric: str, site: Site, currency: str, at: datetime
) -> Figure | None:
    """Return a site's figure in a currency, or None: it is not known, which is not 0."""
    match metric:
        case "price_now":
            found = await _price(session, site, at)
        case "cost_per_hour":
            found = await _hour(session, site, at)
        case "cost_per_day":
            found = await _day(session, site, at)
        case _:
            found = await _whole_day(session, site, at)
    if found is None:
        return None
    source, figure = found
    return await _in(session, figure, source, currency, at)


def together(figures: Sequence[Figure | None]) -> Figure | None:
    """Return the sum of the sites' figures, as far as they are known."""
    known = [one for one in figures if one is not None]
    if not known:
        return None
    missing = len(figures) - len(known)
    return Figure(
        value=sum((one.value for one in known), Decimal(0)),
        details={"sites": len(known), "sites_not_known": missing},
        partial=bool(missing) or any(one.partial for one in known),
    )


async def _in(
    session: AsyncSession, figure: Figure, source: str, wanted: str, at: datetime
) -> Figure | None:
    if source == wanted:
        return figure
    try:
        found = await conversion(session, source, wanted, at.date())
    except Problem:
        return None
    details = figure.details | {"converted_from": source, "reference_rate": f"{found.rate:.6f}"}
    return Figure(found.rate * figure.value, details, figure.partial)


async def _price(session: AsyncSession, site: Site, at: datetime) -> tuple[str, Figure] | None:
    price = await price_now(session, site.id, at)
    if not isinstance(price, PriceNow):
        return None
    details = {
        "period": price.period,
        "until": price.until.isoformat(),
        "rate": price.rated.name,
        "rate_version": price.rated.version,
    }
    return price.rated.tariff.currency, Figure(price.price, details)


async def _hour(session: AsyncSession, site: Site, at: datetime) -> tuple[str, Figure] | None:
    """Return what the energy of the last closed hour cost."""
    found = await site_half_hours(session, site.id, at - RECENT, at)
    rated = [i for i in range(len(found.starts_s)) if found.cost_nano[i] != UNRATED]
    last_two = [i for i in rated[-2:] if found.starts_s[rated[-1]] - found.starts_s[i] <= 1800]  # noqa: PLR2004  (seconds of a half-hour)
    if len(last_two) < 2 or rated[-1] != len(found.starts_s) - 1:  # noqa: PLR2004  (an hour)
        return None
    currency = found.currencies[last_two[-1]]
    if currency is None or found.currencies[last_two[0]] != currency:
        return None
    cost = sum(int(found.cost_nano[i]) for i in last_two) * _NANO
    kwh = sum(int(found.kwh_e6[i]) for i in last_two)
    coverage = float(np.mean(found.coverage[last_two]))
    details = {
        "hour_from": _moment(int(found.starts_s[last_two[0]])),
        "kwh": f"{Decimal(kwh) / 10**6:f}",
        "coverage_percent": f"{coverage * 100:.1f}",
    }
    return currency, Figure(cost, details, partial=coverage < ENOUGH)


async def _day(session: AsyncSession, site: Site, at: datetime) -> tuple[str, Figure] | None:
    """Return what the local day has cost so far, with its charges."""
    start, _ = local_day(at, site.timezone)
    so_far = await cost_between(session, site_id=site.id, start=start, end=at)
    if so_far.currency is None:
        return None
    details = {"day_from": start.isoformat(), "kwh": f"{so_far.kwh:f}"}
    return so_far.currency, Figure(so_far.total_cost, details, _partial(so_far))


async def _whole_day(session: AsyncSession, site: Site, at: datetime) -> tuple[str, Figure] | None:
    """Return what the local day will have cost: so far, and the rest as 24 hours before."""
    start, end = local_day(at, site.timezone)
    past = await site_half_hours(session, site.id, at - timedelta(days=1), at)
    if not len(past.starts_s):
        return None
    so_far = await cost_between(session, site_id=site.id, start=start, end=at)
    known_until = min(end, max(start, _after(past)))
    rest = await cost_ahead(
        session, site.id, past, repeats=timedelta(days=1), start=known_until, end=end
    )
    if rest is None or so_far.currency not in (None, rest.currency):
        return None
    details = {
        "so_far": f"{so_far.total_cost:.6f}",
        "known_until": known_until.isoformat(),
        "method": "the rest of the day as 24 hours before, at the tariff's prices",
    }
    value = so_far.total_cost + rest.total
    return rest.currency, Figure(value, details, _partial(so_far))


def _partial(so_far: CostSum) -> bool:
    coverage = so_far.coverage_percent
    return bool(so_far.unrated_kwh) or (coverage is not None and coverage < 100 * ENOUGH)


def _after(past: SiteHalfHours) -> datetime:
    """Return the end of the last half-hour that is known."""
    return datetime.fromtimestamp(int(past.starts_s[-1]) + 1800, ZoneInfo("UTC"))


def _moment(second: int) -> str:
    return datetime.fromtimestamp(second, ZoneInfo("UTC")).isoformat()
