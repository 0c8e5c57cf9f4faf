"""What a record by hand costs: what it adds to the bill of what its month already holds.

So the records of a place add up to its month's steps, in whatever order they are made. The meter's
total decides them: what telemetry told, and what another tariff priced, counts as well.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.counting import counted, of_fleet
from energy.costs.models import ElectricityCost
from energy.costs.pricing import stepped
from energy.costs.sums import ZERO, Scope
from energy.domain.billing import Bill, bill
from energy.domain.load import IndexPrices, Load
from energy.domain.tariff import Tariff
from energy.domain.zone import day_parts, day_start, instant_of, month_of, seconds_of
from energy.tariffs.places import is_folded
from energy.tariffs.reading import RatedTariff, index_prices, tariff_by_id

Reading = tuple[int, int, int]
"""Start and end in UTC seconds, and energy in millionths of a kWh."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What an interval adds to the cost of its place."""

    energy_cost: Decimal
    breakdown: dict[str, Decimal]
    """Of the energy cost, by the period's name."""
    daily_service: Decimal
    split: bool
    """Whether the price changes inside the interval."""


async def priced(
    session: AsyncSession,
    rated: RatedTariff,
    load: Load,
    zone: ZoneInfo,
    *,
    at: ColumnElement[bool],
    whole_fleet: bool,
) -> Priced:
    """Return what one interval costs at a place; `at` says which records are of it.

    The place's own days and months (`zone`) are billed, whichever zone a rate's hours are of.

    Raises:
        Unbillable: it cannot be priced.
    """
    tariff = replace(rated.tariff, billing_timezone=zone.key)
    start_s, end_s = load.span_s()
    index: IndexPrices | None = None
    if rated.index_series_id is not None:
        start, end = instant_of(start_s), instant_of(end_s)
        index = await index_prices(session, rated.index_series_id, start, end)
    alone = bill(tariff, load, index=index)
    daily = (one for one in alone.lines if one.kind == "service" and one.unit == "day")
    cost, breakdown = alone.energy_cost, alone.breakdown
    if stepped(tariff):
        found = await _recorded(session, load, zone, at=at, whole_fleet=whole_fleet)
        cost, breakdown = _added(
            bill(tariff, _stacked([*found, (start_s, end_s, int(load.energy_mwh_e6[0]))])),
            bill(tariff, _stacked(found)),
        )
    return Priced(
        cost, breakdown, sum((one.amount for one in daily), ZERO), alone.split_intervals > 0
    )


def at_place(site_id: UUID | None, location: str | None) -> ColumnElement[bool]:
    """Return which records are of a site, or of a location that is no site's."""
    table = ElectricityCost
    if site_id is not None:
        return table.site_id == site_id
    named = table.location.is_(None) if location is None else is_folded(table.location, location)
    return and_(table.site_id.is_(None), named)


async def notes_on_missing(
    session: AsyncSession, held: Iterable[tuple[UUID | None, int | None, bool]]
) -> list[str]:
    """Say which charges some records by hand do not hold; nothing where they hold all.

    `held`: a rate, its version, and whether the record is of a whole fleet.
    """
    names: set[str] = set()
    for rate_id, version, whole_fleet in held:
        rated = await tariff_by_id(session, rate_id, version) if rate_id is not None else None
        if rated is not None:
            names |= _missing(rated.tariff, whole_fleet=whole_fleet)
    return [f"Not in records by hand: {', '.join(sorted(names))}."] if names else []


def _missing(tariff: Tariff, *, whole_fleet: bool) -> set[str]:
    """Return what is a matter of whole months, or of a site and no machine."""
    charges = {
        "credits": tariff.credits,
        "daily service": tariff.daily_service_charge and not whole_fleet,
        "demand": tariff.charges_demand(),
        "minimum": tariff.has_minimum(),
        "monthly service": tariff.monthly_service_charge,
        "taxes": tariff.taxes,
    }
    return {name for name, there in charges.items() if there}


def _added(after: Bill, before: Bill) -> tuple[Decimal, dict[str, Decimal]]:
    """Return what the energy of a bill costs more, in all and by period."""
    by_name = {
        name: after.breakdown.get(name, ZERO) - before.breakdown.get(name, ZERO)
        for name in {**before.breakdown, **after.breakdown}
    }
    changed = {name: amount for name, amount in by_name.items() if amount}
    return after.energy_cost - before.energy_cost, changed


async def _recorded(
    session: AsyncSession,
    load: Load,
    zone: ZoneInfo,
    *,
    at: ColumnElement[bool],
    whole_fleet: bool,
) -> list[Reading]:
    """Return what the months of an interval already hold beside it.

    A fleet's record and those of its machines are the same energy: of the same time, one counts.
    """
    table = ElectricityCost
    start, end = (instant_of(one) for one in load.span_s())
    first, last = _months(load, zone.key)
    same_time = and_(table.period_start < end, table.period_end > start)
    rows = await session.execute(
        select(table.period_start, table.period_end, func.sum(table.total_kwh))
        .where(
            counted(Scope()),
            at,
            table.period_start >= first,
            table.period_start < last,
            ~(same_time if whole_fleet else and_(same_time, of_fleet())),
        )
        .group_by(table.period_start, table.period_end)
    )
    return [(seconds_of(row[0]), seconds_of(row[1]), int(row[2].scaleb(6))) for row in rows]


def _months(load: Load, timezone: str) -> tuple[datetime, datetime]:
    """Return where the local months begin and end that a load touches."""
    days = [day for day, _ in day_parts(timezone, *load.span_s())]
    first, following = month_of(days[0]).first_day(), month_of(days[-1]).after(1).first_day()
    return instant_of(day_start(timezone, first)), instant_of(day_start(timezone, following))


def _stacked(readings: Sequence[Reading]) -> Load:
    """Return readings, some of them of one time, as one load: uniform inside each, and exact."""
    edges = sorted({instant for one in readings for instant in one[:2]})
    energy = [0] * len(edges)
    for start, end, whole in readings:
        done = 0
        for place in range(bisect_left(edges, start), bisect_left(edges, end)):
            upto = whole * (edges[place + 1] - start) // (end - start)
            energy[place] += upto - done
            done = upto
    starts, ends, used = (np.array(one, np.int64) for one in (edges[:-1], edges[1:], energy[:-1]))
    return Load(starts, ends, used)
