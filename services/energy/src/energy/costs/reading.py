"""What was used and what it cost between two instants: the questions other features ask.

A half-hour belongs to a span when it starts in it. Fixed charges count by the share of their day or
month (as far as it has gone) that lies in the span: whole days and months are exact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

import numpy as np
from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import Conflict
from energy.costs import machines
from energy.costs.charges import NO_CURRENCY
from energy.costs.counting import counted, daily_charge_counts, placed, sites_at
from energy.costs.days import days_between
from energy.costs.models import ElectricityCost, SiteCharge
from energy.costs.packing import UNRATED, Floats, Ints
from energy.costs.sums import ZERO, CostSum, Scope

HALF_HOUR: Final = timedelta(minutes=30)


class SeveralCurrencies(Conflict):
    title: ClassVar[str] = "The amounts are in several currencies"


@dataclass(frozen=True, slots=True)
class SiteHalfHours:
    """A site's half-hours in order, as columns; those of which nothing is known are absent."""

    starts_s: Ints
    kwh_e6: Ints
    th_h: Floats
    cost_nano: Ints
    """Billionths of the currency; `packing.UNRATED` where no tariff was in force."""
    coverage: Floats
    """Share of the reported machines whose energy is known."""
    machines: Ints
    currencies: Sequence[str | None]
    simulated: Sequence[bool]


async def cost_between(
    session: AsyncSession,
    *,
    site_id: UUID | None = None,
    client_id: UUID | None = None,
    miner_id: UUID | None = None,
    start: datetime,
    end: datetime,
    currency: str | None = None,
) -> CostSum:
    """Return what a site, client or machine (or everything) used and cost in a span.

    Raises:
        SeveralCurrencies: there are amounts in several, and none was named.
    """
    scope = Scope(site_id=site_id, client_id=client_id, miner_id=miner_id)
    sums = await costs_between(session, scope, start, end)
    if currency is not None:
        return sums.get(currency) or sums.get(None) or CostSum(None)
    return the_one(sums)


def the_one(sums: dict[str | None, CostSum]) -> CostSum:
    """Return the sum of the only currency, with what is not rated in any.

    Raises:
        SeveralCurrencies: there are several.
    """
    rated = sorted(currency for currency in sums if currency is not None)
    if len(rated) > 1:
        raise SeveralCurrencies(f"Ask for one of {', '.join(rated)}.", field="currency")
    whole = CostSum(rated[0] if rated else None)
    for one in sums.values():
        whole = whole.plus(one)
    return whole


async def costs_between(
    session: AsyncSession, scope: Scope, start: datetime, end: datetime
) -> dict[str | None, CostSum]:
    """Return the sums by currency; what is not rated stands under None."""
    found: dict[str | None, CostSum] = {}
    for one in await _parts(session, scope, start, end):
        found[one.currency] = found.get(one.currency, CostSum(one.currency)).plus(one)
    return found


async def _parts(
    session: AsyncSession, scope: Scope, start: datetime, end: datetime
) -> list[CostSum]:
    if scope.whole_sites():
        return [
            *await _records(session, scope, start, end),
            *(_share(row, start, end) for row in await _charges(session, scope, start, end)),
        ]
    by_hand = await _records(session, scope, start, end)
    if scope.one_machine():
        known = scope.miner_id is not None
        return [*by_hand, *(await _machine(session, scope, start, end) if known else [])]
    return [*by_hand, *await _client(session, scope, start, end)]


async def _records(
    session: AsyncSession, scope: Scope, start: datetime, end: datetime
) -> list[CostSum]:
    """Return the sums of the records: half-hours of whole sites, and what was made by hand."""
    table = ElectricityCost

    def summed(column: Any, name: str, *only: ColumnElement[bool]) -> Any:
        return func.coalesce(func.sum(column).filter(*only or (true(),)), ZERO).label(name)

    rows = await session.execute(
        select(
            table.currency,
            summed(table.total_kwh, "kwh"),
            summed(table.total_kwh, "unrated_kwh", table.rate_id.is_(None)),
            func.sum(table.th_h).label("th_h"),
            summed(table.energy_cost_usd, "energy_cost"),
            summed(table.service_charge_usd, "service_charge", daily_charge_counts()),
            func.count().label("records"),
            func.sum(table.machines).label("machine_half_hours"),
            func.sum(table.unknown).label("unknown_half_hours"),
            func.count().filter(table.split).label("split_records"),
            func.bool_or(table.simulated).label("simulated"),
        )
        .where(
            counted(scope), *placed(scope), table.period_start >= start, table.period_start < end
        )
        .group_by(table.currency)
    )
    return [CostSum(**row) for row in rows.mappings()]


async def _charges(
    session: AsyncSession, scope: Scope, start: datetime, end: datetime
) -> list[SiteCharge]:
    """Return what sites pay beside energy for days and months that the span touches."""
    query = select(SiteCharge).where(
        SiteCharge.starts_at < end, SiteCharge.ends_at > start, SiteCharge.currency != NO_CURRENCY
    )
    if scope.site_id is not None:
        query = query.where(SiteCharge.site_id == scope.site_id)
    if scope.location is not None:
        query = query.where(SiteCharge.site_id.in_(sites_at(scope.location)))
    return list(await session.scalars(query))


@dataclass(frozen=True, slots=True)
class MonthCharges:
    """Charges of months before taxes: what lies in a span, and what one whole month comes to."""

    inside: Decimal
    whole: Decimal
    starts_at: datetime
    ends_at: datetime
    """Of the months that the span touches, as far as they are known."""


async def month_charges(
    session: AsyncSession, scope: Scope, start: datetime, end: datetime
) -> MonthCharges | None:
    """Return the months' own charges, or None where there are none.

    A peak is charged for its month however much of that has passed: so a whole month is, per site,
    the mean of its months.
    """
    rows = [one for one in await _charges(session, scope, start, end) if one.kind == "month"]
    if not rows:
        return None
    inside, months = Decimal(0), dict[Any, list[Decimal]]()
    for row in rows:
        share = _share(row, start, end)
        inside += share.total_cost - share.taxes
        months.setdefault((row.site_id, row.currency), []).append(
            row.service_charge + row.demand_charge + row.other_charges
        )
    return MonthCharges(
        inside=inside,
        whole=sum((sum(one, ZERO) / len(one) for one in months.values()), ZERO),
        starts_at=min(row.starts_at for row in rows),
        ends_at=max(row.ends_at for row in rows),
    )


def _share(row: SiteCharge, start: datetime, end: datetime) -> CostSum:
    whole = row.ends_at - row.starts_at
    inside = min(end, row.ends_at) - max(start, row.starts_at)
    share = Decimal(inside // timedelta(seconds=1)) / (whole // timedelta(seconds=1))
    return CostSum(
        currency=row.currency,
        service_charge=row.service_charge * share,
        demand_charge=row.demand_charge * share,
        other_charges=row.other_charges * share,
        taxes=row.taxes * share,
    )


async def _client(
    session: AsyncSession, scope: Scope, start: datetime, end: datetime
) -> list[CostSum]:
    days = await days_between(
        session, client_id=scope.client_id, sites=await sites_of(session, scope),
        start=start, end=end,
    )  # fmt: skip
    sums: list[CostSum] = []
    for day in days:
        inside = day.between(start, end)
        kwh, cost = day.kwh_e6[inside], day.cost_nano[inside]
        told, unrated = day.machines[inside] > 0, cost == UNRATED
        if told.any():
            sums.append(
                CostSum(
                    currency=day.currency if (told & ~unrated).any() else None,
                    kwh=e6(kwh),
                    unrated_kwh=e6(kwh[unrated]),
                    th_h=float(day.th_h[inside].sum()),
                    energy_cost=nano(cost[~unrated]),
                    records=int(told.sum()),
                    machine_half_hours=int(day.machines[inside].sum()),
                    unknown_half_hours=int(day.unknown[inside].sum()),
                    split_records=int(day.split[inside].sum()),
                    simulated=day.simulated,
                )
            )
    return sums


async def _machine(
    session: AsyncSession, scope: Scope, start: datetime, end: datetime
) -> list[CostSum]:
    assert scope.miner_id is not None
    sites = await sites_of(session, scope)
    return [
        one.cost_sum()
        for one in await machines.days_of(session, scope.miner_id, start=start, end=end)
        if (sites is None or one.site_id in sites)
        and (scope.client_id is None or one.client_id == scope.client_id)
    ]


async def sites_of(session: AsyncSession, scope: Scope) -> set[UUID] | None:
    """Return the sites of a scope, None for all."""
    if scope.location is None:
        return None if scope.site_id is None else {scope.site_id}
    found = set(await session.scalars(sites_at(scope.location)))
    return found if scope.site_id is None else found & {scope.site_id}


async def site_half_hours(
    session: AsyncSession, site_id: UUID, start: datetime, end: datetime
) -> SiteHalfHours:
    """Return a site's half-hours that start in a span. A client sees none: they are of all."""
    table = ElectricityCost
    rows = (
        await session.execute(
            select(
                table.period_start,
                table.total_kwh,
                table.th_h,
                table.energy_cost_usd,
                table.machines,
                table.unknown,
                table.currency,
                table.simulated,
            )
            .where(
                table.site_id == site_id,
                table.source == "telemetry",
                table.period_start >= start,
                table.period_start < end,
            )
            .order_by(table.period_start)
        )
    ).all()
    counts = np.array([row.machines for row in rows], np.int64)
    unknown = np.array([row.unknown for row in rows], np.int64)
    return SiteHalfHours(
        starts_s=np.array([int(row.period_start.timestamp()) for row in rows], np.int64),
        kwh_e6=np.array([int(row.total_kwh.scaleb(6)) for row in rows], np.int64),
        th_h=np.array([row.th_h for row in rows], np.float64),
        cost_nano=np.array([_nano_or_unrated(row.energy_cost_usd) for row in rows], np.int64),
        coverage=(counts - unknown) / np.maximum(counts, 1),
        machines=counts,
        currencies=[row.currency for row in rows],
        simulated=[row.simulated for row in rows],
    )


def _nano_or_unrated(amount: Decimal | None) -> int:
    return UNRATED if amount is None else int(amount.scaleb(9))


def e6(values: Ints) -> Decimal:
    """Return a sum of millionths."""
    return Decimal(int(values.sum())).scaleb(-6)


def nano(values: Ints | Iterable[int]) -> Decimal:
    """Return a sum of billionths."""
    return Decimal(sum(int(one) for one in values)).scaleb(-9)
