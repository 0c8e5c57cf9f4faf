"""Costs over time, and sites beside each other."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.asking import Question
from energy.costs.daily import DaySum, days_of
from energy.costs.schemas import Amounts, SiteComparison, SiteCosts, TrendPoint, Trends
from energy.costs.views import amounts_of, by_currency
from energy.facts.models import Site

Interval = Literal["day", "month", "season"]
_SEASONS = {12: "winter", 3: "spring", 6: "summer", 9: "autumn"}
_DAY = timedelta(days=1)


def _month_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def start_of(day: date, interval: Interval) -> date:
    """Return the first day of the day's month or season; seasons are meteorological."""
    if interval == "day":
        return day
    if interval == "month":
        return day.replace(day=1)
    return _month_after(day, -(day.month % 3))


def end_of(start: date, interval: Interval) -> date:
    """Return the day after a point's last."""
    if interval == "day":
        return start + _DAY
    return _month_after(start, 1 if interval == "month" else 3)


def label_of(start: date, interval: Interval) -> str:
    """Return how a point is called; a winter has the year in which it ends."""
    if interval == "day":
        return str(start)
    if interval == "month":
        return f"{start:%Y-%m}"
    year = start.year + (start.month == 12)  # noqa: PLR2004  (December)
    return f"{year} {_SEASONS[start.month]}"


def year_before(start: date) -> date | None:
    """Return the same day a year earlier; 29 February has none."""
    try:
        return start.replace(year=start.year - 1)
    except ValueError:
        return None


async def trends(
    session: AsyncSession,
    asked: Question,
    interval: Interval,
    compare: Literal["previous_year"] | None,
) -> Trends:
    """Return the points that a span touches, whole ones where telemetry has told of them."""
    first, last = asked.days()
    first, last = start_of(first, interval), end_of(start_of(last, interval), interval) - _DAY
    now_ = _grouped(await days_of(session, asked.scope, first, last), interval)
    before: dict[date, dict[str | None, Amounts]] = {}
    earliest = year_before(first)
    if compare is not None:
        since = earliest or first - 366 * _DAY
        until = year_before(last) or last - 366 * _DAY
        before = _grouped(await days_of(session, asked.scope, since, until), interval)
    points = [
        _point(start, interval, amounts, _then(before, start).get(currency))
        for start in sorted(now_)
        for currency, amounts in now_[start].items()
    ]
    return Trends(ok=True, interval=interval, compare=compare, points=points, count=len(points))


def _then(before: dict[date, dict[str | None, Amounts]], start: date) -> dict[str | None, Amounts]:
    earlier = year_before(start)
    return before.get(earlier, {}) if earlier else {}


def _grouped(days: Iterable[DaySum], interval: Interval) -> dict[date, dict[str | None, Amounts]]:
    def key(one: DaySum) -> date:
        return start_of(one.day, interval)

    return _sums(days, key)


def _sums(
    days: Iterable[DaySum], key: Callable[[DaySum], Any]
) -> dict[Any, dict[str | None, Amounts]]:
    rows: dict[Any, list[DaySum]] = {}
    for one in days:
        rows.setdefault(key(one), []).append(one)
    return {
        place: {
            currency: amounts_of(one)
            for currency, one in by_currency(row.cost for row in found).items()
        }
        for place, found in rows.items()
    }


def _point(start: date, interval: Interval, amounts: Amounts, before: Amounts | None) -> TrendPoint:
    change: Decimal | None = None
    if before is not None and before.total_cost_usd:
        change = 100 * (amounts.total_cost_usd - before.total_cost_usd) / before.total_cost_usd
    return TrendPoint(
        label=label_of(start, interval), start=start, end=end_of(start, interval),
        amounts=amounts, previous_year=before, change_percent=change,
    )  # fmt: skip


async def compare_sites(session: AsyncSession, asked: Question) -> SiteComparison:
    """Return each site's costs, the cheapest energy first; what is not rated comes last."""
    first, last = asked.days()
    sums = _sums(await days_of(session, asked.scope, first, last), lambda one: one.site_id)
    query = select(Site.id, Site.name, Site.location)
    known = {row.id: row for row in await session.execute(query)}
    sites = [
        SiteCosts(
            site_id=site_id,
            name=known[site_id].name if site_id in known else "Recorded by hand",
            location=known[site_id].location if site_id in known else None,
            amounts=list(amounts.values()),
        )
        for site_id, amounts in sums.items()
    ]
    sites.sort(key=_cheapest)
    return SiteComparison(ok=True, first_day=first, last_day=last, sites=sites, count=len(sites))


def _cheapest(site: SiteCosts) -> tuple[bool, Decimal, str]:
    rates = [one.avg_rate_usd_per_kwh for one in site.amounts]
    known = [rate for rate in rates if rate is not None]
    return not known, min(known, default=Decimal(0)), site.name
