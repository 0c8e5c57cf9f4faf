"""What was used and what it cost by local day: rows to add up to months, sites, clients.

A day is the site's own; what is recorded by hand without a site has the day of UTC.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Date, cast, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs import machines
from energy.costs.charges import NO_CURRENCY
from energy.costs.counting import counted, daily_charge_counts, placed, sites_at
from energy.costs.models import CostDay, ElectricityCost, Roster, SiteCharge
from energy.costs.packing import Floats, Ints, floats, ints
from energy.costs.reading import sites_of
from energy.costs.sums import ZERO, CostSum, Scope
from energy.facts.models import Site

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DaySum:
    """A day of a site as a whole, of a client there, or of a machine."""

    site_id: UUID | None
    client_id: UUID | None
    day: date
    cost: CostSum


async def days_of(session: AsyncSession, scope: Scope, first: date, last: date) -> list[DaySum]:
    """Return the days from `first` to `last`, both included; several of one day by currency."""
    records = await _records(session, scope, first, last)
    if scope.whole_sites():
        return records + await _charges(session, scope, first, last)
    if scope.one_machine():
        known = scope.miner_id is not None
        return records + (await _machine(session, scope, first, last) if known else [])
    return records + await client_days(session, scope, first, last)


async def _records(session: AsyncSession, scope: Scope, first: date, last: date) -> list[DaySum]:
    table = ElectricityCost
    zone = func.coalesce(Site.timezone, "UTC")
    day = cast(func.timezone(zone, table.period_start), Date).label("day")
    low, high = _around(first, last)

    def summed(column: Any, name: str, *only: Any) -> Any:
        return func.coalesce(func.sum(column).filter(*only or (true(),)), ZERO).label(name)

    rows = await session.execute(
        select(
            table.site_id,
            day,
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
        .outerjoin(Site, Site.id == table.site_id)
        .where(
            counted(scope),
            *placed(scope),
            table.period_start >= low,
            table.period_start < high,
            day >= first,
            day <= last,
        )
        .group_by(table.site_id, day, table.currency)
    )
    found: list[DaySum] = []
    for row in rows.mappings():
        values = dict(row)
        site_id, on = values.pop("site_id"), values.pop("day")
        found.append(DaySum(site_id, None, on, CostSum(**values)))
    return found


def _around(first: date, last: date) -> tuple[datetime, datetime]:
    """Return instants that no zone's days go beyond."""
    return (
        datetime.combine(first, time(), UTC) - _DAY,
        datetime.combine(last, time(), UTC) + 2 * _DAY,
    )


async def _charges(session: AsyncSession, scope: Scope, first: date, last: date) -> list[DaySum]:
    """Return what sites pay beside energy: a month's charges by equal parts for its days so far."""
    low, high = _around(first, last)
    query = select(SiteCharge, Site.timezone).join(Site, Site.id == SiteCharge.site_id)
    query = query.where(
        SiteCharge.starts_at < high, SiteCharge.ends_at > low, SiteCharge.currency != NO_CURRENCY
    )
    if scope.site_id is not None:
        query = query.where(SiteCharge.site_id == scope.site_id)
    if scope.location is not None:
        query = query.where(SiteCharge.site_id.in_(sites_at(scope.location)))
    found: list[DaySum] = []
    for charge, zone in await session.execute(query):
        if not any(
            (charge.service_charge, charge.demand_charge, charge.other_charges, charge.taxes)
        ):
            continue
        for day, share in _days_of_charge(charge, zone):
            if first <= day <= last:
                cost = CostSum(
                    currency=charge.currency,
                    service_charge=charge.service_charge * share,
                    demand_charge=charge.demand_charge * share,
                    other_charges=charge.other_charges * share,
                    taxes=charge.taxes * share,
                )
                found.append(DaySum(charge.site_id, None, day, cost))
    return found


def _days_of_charge(charge: SiteCharge, zone: str) -> list[tuple[date, Decimal]]:
    if charge.kind == "day":
        return [(charge.starts_on, Decimal(1))]
    ends_on = (charge.ends_at - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date()
    count = (ends_on - charge.starts_on).days + 1
    return [(charge.starts_on + place * _DAY, Decimal(1) / count) for place in range(count)]


def _of_days(scope: Scope, first: date, last: date, *columns: Any) -> Any:
    query: Any = select(*columns).where(CostDay.day >= first, CostDay.day <= last)
    if scope.site_id is not None:
        query = query.where(CostDay.site_id == scope.site_id)
    if scope.client_id is not None:
        query = query.where(CostDay.client_id == scope.client_id)
    if scope.location is not None:
        query = query.where(CostDay.site_id.in_(sites_at(scope.location)))
    return query


async def client_days(session: AsyncSession, scope: Scope, first: date, last: date) -> list[DaySum]:
    """Return the days of each client's machines, of all clients where the scope names none."""
    table = CostDay
    query = _of_days(
        scope, first, last, table.site_id, table.client_id, table.day, table.currency, table.kwh,
        table.unrated_kwh, table.th_h, table.energy_cost, table.machine_half_hours,
        table.unknown_half_hours, table.simulated,
    )  # fmt: skip
    found: list[DaySum] = []
    for row in (await session.execute(query.order_by(table.day, table.id))).mappings():
        values = dict(row)
        site_id, client_id = values.pop("site_id"), values.pop("client_id")
        on = values.pop("day")
        cost = CostSum(**values, records=1)
        found.append(DaySum(site_id, client_id, on, cost))
    return found


async def _machine(session: AsyncSession, scope: Scope, first: date, last: date) -> list[DaySum]:
    assert scope.miner_id is not None
    sites = await sites_of(session, scope)
    low, high = _around(first, last)
    found = await machines.days_of(session, scope.miner_id, start=low, end=high)
    return [
        DaySum(one.site_id, one.client_id, one.day, one.cost_sum())
        for one in found
        if first <= one.day <= last
        and (sites is None or one.site_id in sites)
        and (scope.client_id is None or one.client_id == scope.client_id)
    ]


@dataclass(frozen=True, slots=True)
class MachineDay:
    """A day of a client's machines at a site, as columns."""

    day: date
    site_id: UUID
    client_id: UUID | None
    currency: str | None
    miner_ids: Sequence[UUID]
    kwh_e6: Ints
    unrated_e6: Ints
    cost_nano: Ints
    th_h: Floats
    told: Ints
    unknown: Ints


async def machine_days(
    session: AsyncSession, scope: Scope, first: date, last: date
) -> list[MachineDay]:
    """Return every machine's days."""
    table = CostDay
    columns = (
        table.machine_kwh_e6, table.machine_unrated_e6, table.machine_cost_nano,
        table.machine_th_h, table.machine_told, table.machine_unknown,
    )  # fmt: skip
    query = _of_days(
        scope, first, last, table.day, table.site_id, table.client_id, table.currency,
        table.roster_id, *columns,
    )  # fmt: skip
    rows = (await session.execute(query.order_by(table.day, table.id))).all()
    rosters = await _rosters(session, {row.roster_id for row in rows})
    return [
        MachineDay(
            row.day,
            row.site_id,
            row.client_id,
            row.currency,
            rosters[row.roster_id],
            ints(row.machine_kwh_e6),
            ints(row.machine_unrated_e6),
            ints(row.machine_cost_nano),
            floats(row.machine_th_h),
            ints(row.machine_told, "<i2"),
            ints(row.machine_unknown, "<i2"),
        )
        for row in rows
    ]


async def _rosters(session: AsyncSession, ids: Iterable[int]) -> dict[int, Sequence[UUID]]:
    rows = await session.execute(select(Roster.id, Roster.miner_ids).where(Roster.id.in_(set(ids))))
    return {row.id: row.miner_ids for row in rows}
