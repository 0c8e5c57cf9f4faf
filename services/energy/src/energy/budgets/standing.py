"""How a budget's month stands: what it has cost, and what it will."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import Problem
from energy.ahead import Ahead, cost_ahead
from energy.budgets.models import Budget
from energy.budgets.schemas import Method
from energy.costs.days import days_between
from energy.costs.reading import CostSum, Scope, costs_between, site_half_hours
from energy.currencies.reading import conversion
from energy.domain.budgeting import run_rate
from energy.facts.models import Site

WEEK = timedelta(days=7)
_UTC = ZoneInfo("UTC")
_HOUR = timedelta(hours=1)
_NOTHING = Ahead("XXX", Decimal(0), Decimal(0), Decimal(0), Decimal(0))
"""Of a site of which a week has told nothing: it adds nothing, and hides nothing."""
_SHORTEST_PAST = Decimal(6)
"""Hours: from less nothing is foretold."""


@dataclass(slots=True)
class Standing:
    """A budget's month, in the budget's currency."""

    month: date
    as_of: datetime
    actual: Decimal | None = None
    forecast: Decimal | None = None
    method: Method = "unknown"
    kwh: Decimal = Decimal(0)
    unrated_kwh: Decimal = Decimal(0)
    coverage_percent: Decimal | None = None
    other_currencies: list[str] = field(default_factory=list[str])
    simulated: bool = False


def month_of(at: datetime, timezone: str) -> date:
    """Return the first day of the local month in which an instant lies."""
    return at.astimezone(ZoneInfo(timezone)).date().replace(day=1)


def span_of(month: date, timezone: str) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a local month, in UTC."""
    zone = ZoneInfo(timezone)
    after = (month + timedelta(days=32)).replace(day=1)
    first, last = (datetime.combine(day, time(), zone).astimezone(_UTC) for day in (month, after))
    return first, last


Foreseen = dict[tuple[UUID, datetime, datetime], Ahead | None]
"""What sites will cost, for several budgets that are looked at together."""


async def standing_of(
    session: AsyncSession,
    budget: Budget,
    month: date,
    at: datetime,
    foreseen: Foreseen | None = None,
) -> Standing:
    """Return how a month of a budget stands at an instant."""
    start, end = span_of(month, budget.timezone)
    until = max(start, min(at, end))
    scope = Scope(site_id=budget.site_id, client_id=budget.client_id)
    found = Standing(month=month, as_of=until)
    sums = await costs_between(session, scope, start, until)
    found.actual = await _in_currency(session, budget.currency, sums, found)
    whole = CostSum(None)
    for one in sums.values():
        whole = whole.plus(one)
    found.kwh, found.unrated_kwh = whole.kwh, whole.unrated_kwh
    found.coverage_percent, found.simulated = whole.coverage_percent, whole.simulated
    if until == end:
        found.method, found.forecast = "month_over", found.actual
    else:
        await _forecast(session, budget, found, end, {} if foreseen is None else foreseen)
    return found


async def _in_currency(
    session: AsyncSession, wanted: str, sums: dict[str | None, CostSum], found: Standing
) -> Decimal | None:
    """Return the sum in a budget's currency; None where nothing of it is known."""
    total: Decimal | None = None
    for currency, one in sorted(sums.items(), key=lambda item: item[0] or ""):
        if currency is None:
            continue
        rate = await _rate(session, currency, wanted, found.as_of)
        if rate is None:
            found.other_currencies.append(currency)
        else:
            total = (total or Decimal(0)) + one.total_cost * rate
    return total


async def _rate(session: AsyncSession, source: str, wanted: str, at: datetime) -> Decimal | None:
    if source == wanted:
        return Decimal(1)
    try:
        return (await conversion(session, source, wanted, at.date())).rate
    except Problem:
        return None


async def _forecast(
    session: AsyncSession, budget: Budget, found: Standing, end: datetime, foreseen: Foreseen
) -> None:
    """Write into a standing what the whole month will cost, and how that was reckoned."""
    so_far = found.actual or Decimal(0)
    if budget.client_id is None:
        rest = await _weekly_pattern(session, budget, found.as_of, end, foreseen)
        if rest is not None:
            found.forecast, found.method = so_far + rest, "weekly_pattern"
            return
    scope = Scope(site_id=budget.site_id, client_id=budget.client_id)
    past = await costs_between(session, scope, found.as_of - WEEK, found.as_of)
    ignored = Standing(month=found.month, as_of=found.as_of)
    cost = await _in_currency(session, budget.currency, past, ignored)
    hours = await _hours_known(session, budget, found.as_of)
    if cost is not None and hours >= _SHORTEST_PAST:
        left = Decimal((end - found.as_of) / _HOUR)
        found.forecast = run_rate(so_far, cost, hours, left)
        found.method = "run_rate_7d"


async def _hours_known(session: AsyncSession, budget: Budget, until: datetime) -> Decimal:
    """Return of how many hours of the last week something is known."""
    if budget.client_id is None:
        return Decimal(WEEK / _HOUR)
    sites = None if budget.site_id is None else {budget.site_id}
    days = await days_between(
        session, client_id=budget.client_id, sites=sites, start=until - WEEK, end=until
    )
    known: set[int] = set()
    for day in days:
        inside = day.between(until - WEEK, until)
        known.update(day.starts_s[inside][day.machines[inside] > 0].tolist())
    return Decimal(len(known)) / 2


async def _weekly_pattern(
    session: AsyncSession, budget: Budget, start: datetime, end: datetime, foreseen: Foreseen
) -> Decimal | None:
    """Return what the rest of a month costs as the last week went; None: it cannot be said."""
    query = select(Site).where(Site.removed.is_(False)).order_by(Site.id)
    if budget.site_id is not None:
        query = query.where(Site.id == budget.site_id)
    total: Decimal | None = None
    for site in await session.scalars(query):
        key = (site.id, start, end)
        if key not in foreseen:
            foreseen[key] = await _of_site(session, site, start, end)
        ahead = foreseen[key]
        if ahead is _NOTHING:
            continue
        if ahead is None:
            return None
        rate = await _rate(session, ahead.currency, budget.currency, start)
        if rate is None:
            return None
        total = (total or Decimal(0)) + ahead.total * rate
    return total


async def _of_site(
    session: AsyncSession, site: Site, start: datetime, end: datetime
) -> Ahead | None:
    past = await site_half_hours(session, site.id, start - WEEK, start)
    if not len(past.starts_s):
        return _NOTHING
    known_until = datetime.fromtimestamp(int(past.starts_s[-1]) + 1800, _UTC)
    begins = min(max(known_until, start - timedelta(days=1)), end)
    return await cost_ahead(session, site.id, past, repeats=WEEK, start=begins, end=end)
