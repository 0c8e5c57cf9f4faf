"""The 12 x 24 schedules of a Utility Rate Database document as rows of a schedule of ours."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from energy.tariffs.urdb_document import (
    EnergyTier,
    UrdbRate,
    charges_by_hours,
    demand_steps,
    limits_of,
    refusal,
    rows_of,
)

_ENERGY = "energyratestructure"
_DAYS = {"weekday": [0, 1, 2, 3, 4], "weekend": [5, 6]}


class Cell(NamedTuple):
    """What an hour of a month and kind of day is to the document."""

    energy: int
    demand: int | None


def energy_fields(rate: UrdbRate) -> dict[str, Any]:
    """Return the energy prices: one, steps, or a schedule that also holds demand by hours."""
    periods = rate.periods()
    if periods[-1] >= len(rate.energyratestructure):
        raise refusal(_ENERGY, f"has no period {periods[-1]}, which its schedule names")
    if len(periods) == 1 and not charges_by_hours(rate):
        tiers = _tiers(rate.energyratestructure[periods[0]])
        if len(tiers) == 1:
            return {"rate_type": "flat", "flat_rate_usd_per_kwh": tiers[0]["rate"]}
        return {"rate_type": "tiered", "tiered_rates": tiers}
    return {"tou_schedule": [_row(rate, row) for row in _rows(rate)]}


def _tiers(period: Sequence[EnergyTier]) -> list[dict[str, Any]]:
    limits = limits_of(_ENERGY, period)
    return [
        {"up_to_kwh": limit, "rate": tier.price()}
        for limit, tier in zip(limits, period, strict=True)
    ]


Hours = tuple[Cell, int, int, tuple[int, ...], tuple[int, ...]]
"""A cell, from and to which hour, in which months and on which days."""


def _rows(rate: UrdbRate) -> Iterator[Hours]:
    """Yield the schedule's cells as rows, the same hours of months and of days together."""
    months: dict[tuple[str, int, int, Cell], list[int]] = {}
    for kind, month, cells in _days(rate):
        hour = 0
        for cell, run in groupby(cells):
            length = len(list(run))
            months.setdefault((kind, hour, hour + length, cell), []).append(month)
            hour += length
    days: dict[tuple[int, int, Cell, tuple[int, ...]], list[int]] = {}
    for (kind, start, end, cell), found in months.items():
        days.setdefault((start, end, cell, tuple(found)), []).extend(_DAYS[kind])
    for (start, end, cell, found), weekdays in days.items():
        yield cell, start, end, found, tuple(sorted(weekdays))


def _days(rate: UrdbRate) -> Iterator[tuple[str, int, list[Cell]]]:
    """Yield each month's day of each kind, hour by hour."""
    grids = {
        "weekday": (rate.energyweekdayschedule, rate.demandweekdayschedule),
        "weekend": (rate.energyweekendschedule, rate.demandweekendschedule),
    }
    by_hours = charges_by_hours(rate)
    for kind, (energy, demand) in grids.items():
        if by_hours and demand is None:
            raise refusal(f"demand{kind}schedule", "is missing beside demandratestructure")
        for month in range(12):
            charged = demand[month] if by_hours and demand is not None else [None] * 24
            cells = [Cell(*pair) for pair in zip(energy[month], charged, strict=True)]
            yield kind, month + 1, cells


def _row(rate: UrdbRate, hours: Hours) -> dict[str, Any]:
    """Return a row of a schedule."""
    cell, start, end, months, days = hours
    tiers = _tiers(rate.energyratestructure[cell.energy])
    row: dict[str, Any] = {
        "name": f"Period {cell.energy + 1}",
        "days": list(days),
        "months": list(months),
        "start_hour": start,
        "end_hour": end,
    }
    row |= {"rate": tiers[0]["rate"]} if len(tiers) == 1 else {"tiers": tiers}
    if cell.demand is not None:
        steps = demand_steps("demandratestructure", rate.demandratestructure, cell.demand)
        row |= {"demand_period": f"period {cell.demand + 1}"} if steps else {}
        if len(steps) == 1:
            row["demand_charge_usd_per_kw"] = steps[0][1]
        elif steps:
            row["demand_tiers"] = rows_of(steps)
    return row
