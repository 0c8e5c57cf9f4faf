"""The bill of a load under a tariff: exact to the last digit, rounded once.

`bill` measures in whole numbers with numpy, `bill_exact` in fractions, second by second; a
property test holds one to the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from energy.domain.charges import Charge, Kind, charges
from energy.domain.load import (
    MILLIWATT_HOURS,
    IndexPrices,
    IntArray,
    Load,
)
from energy.domain.measures import (
    NOTHING,
    Measures,
    MonthMeasure,
    lay,
    measure,
    measure_laid,
    span_of,
)
from energy.domain.measures_exact import measure_exactly
from energy.domain.prices import name_of
from energy.domain.shares import cost_of_pieces
from energy.domain.tariff import Tariff
from energy.domain.zone import YearMonth

PLACES = 6
NO_PEAKS: Mapping[YearMonth, Decimal] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill. The amounts of all lines make up the total exactly."""

    kind: Kind
    name: str
    month: YearMonth
    quantity: Decimal
    unit: str
    rate: Decimal
    amount: Decimal
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Amounts of a month or of a whole bill, by what they are for; each the sum of its lines."""

    energy_cost: Decimal
    demand_charge: Decimal
    coincident_charge: Decimal
    service_charge: Decimal
    minimum_top_up: Decimal
    credits: Decimal
    """What is taken off, as a positive amount."""
    taxes: Decimal
    export_credit: Decimal
    """What is paid for energy given, as a positive amount."""
    total_cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthBill(Sums):
    """One local month of a bill."""

    month: YearMonth
    days: Decimal
    """Shares of local days billed."""
    kwh: Decimal
    exported_kwh: Decimal
    peak_kw: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill(Sums):
    """What a load costs."""

    total_kwh: Decimal
    """Taken; what was given is not subtracted."""
    exported_kwh: Decimal
    avg_rate: Decimal | None
    """Everything, per kWh taken; None when that is none."""
    avg_energy_rate: Decimal | None
    """The energy alone, per kWh taken."""
    breakdown: dict[str, Decimal]
    """Energy cost by the period's name."""
    months: list[MonthBill]
    lines: list[Line]
    split_intervals: int
    """Readings inside which the price changes: their energy was taken to be uniform."""
    peaks_kw: dict[YearMonth, Decimal]
    currency: str
    notes: tuple[str, ...]


def bill(
    tariff: Tariff,
    load: Load,
    *,
    index: IndexPrices | None = None,
    earlier_peaks_kw: Mapping[YearMonth, Decimal] = NO_PEAKS,
    span_s: tuple[int, int] | None = None,
) -> Bill:
    """Return the bill of a load; `span_s` is what is billed when the readings leave gaps."""
    if (span := span_of(load, span_s)) is None:
        return _settled(tariff, Measures([], 0, 0))
    return _settled(tariff, measure(tariff, load, index, earlier_peaks_kw, span))


def bill_exact(
    tariff: Tariff,
    load: Load,
    *,
    index: IndexPrices | None = None,
    earlier_peaks_kw: Mapping[YearMonth, Decimal] = NO_PEAKS,
    span_s: tuple[int, int] | None = None,
) -> Bill:
    """Return the same bill, measured in fractions. Slow: a load of days, not of years."""
    if (span := span_of(load, span_s)) is None:
        return _settled(tariff, Measures([], 0, 0))
    return _settled(tariff, measure_exactly(tariff, load, index, earlier_peaks_kw, span))


def rounded(value: Fraction, places: int = PLACES) -> Decimal:
    """Return a fraction as a decimal, half away from zero."""
    over, under = abs(value.numerator) * 10**places, value.denominator
    whole = (2 * over + under) // (2 * under)
    return Decimal(whole if value >= 0 else -whole).scaleb(-places)


def _amounts(found: Sequence[Charge]) -> list[Decimal]:
    """Round all amounts so that their sum is the rounded total.

    What rounding down leaves over goes, a millionth each, to those that lost most.
    """
    floors = [one.amount.numerator * 10**PLACES // one.amount.denominator for one in found]
    lost = [one.amount - Fraction(low, 10**PLACES) for one, low in zip(found, floors, strict=True)]
    total = sum(lost, Fraction(sum(floors), 10**PLACES))
    over = int(rounded(total).scaleb(PLACES)) - sum(floors)
    for row in sorted(range(len(found)), key=lambda row: (-lost[row], row))[:over]:
        floors[row] += 1
    return [Decimal(one).scaleb(-PLACES) for one in floors]


def _settled(tariff: Tariff, measures: Measures) -> Bill:
    found = list(charges(tariff, measures))
    lines = [
        Line(
            one.kind,
            one.name,
            one.month,
            rounded(one.quantity),
            one.unit,
            rounded(one.rate, 9).normalize(),
            amount,
            one.note,
        )
        for one, amount in zip(found, _amounts(found), strict=True)
    ]
    kwh = sum((one.total() for one in measures.months), NOTHING)
    whole = _sums(lines)
    breakdown: dict[str, Decimal] = {}
    for line in lines:
        if line.kind == "energy":
            breakdown[line.name] = breakdown.get(line.name, Decimal(0)) + line.amount
    return Bill(
        **whole,
        total_kwh=rounded(kwh),
        exported_kwh=rounded(sum((one.exported for one in measures.months), NOTHING)),
        avg_rate=_per_kwh(whole["total_cost"], kwh),
        avg_energy_rate=_per_kwh(whole["energy_cost"], kwh),
        breakdown=breakdown,
        months=[_month(one, lines) for one in measures.months],
        lines=lines,
        split_intervals=measures.split_intervals,
        peaks_kw={one.month: rounded(one.peak_kw) for one in measures.months},
        currency=tariff.currency,
        notes=_notes(measures),
    )


def _per_kwh(amount: Decimal, kwh: Fraction) -> Decimal | None:
    return rounded(Fraction(amount) / kwh) if kwh else None


def _notes(measures: Measures) -> tuple[str, ...]:
    if not measures.split_intervals:
        return ()
    count = measures.split_intervals
    told = "a reading; its" if count == 1 else f"{count} readings; their"
    return (f"The price changes inside {told} energy was taken to be uniform.",)


def _sums(lines: Sequence[Line]) -> dict[str, Decimal]:
    totals: dict[Kind, Decimal] = {}
    for line in lines:
        totals[line.kind] = totals.get(line.kind, Decimal(0)) + line.amount
    zero = Decimal(0)
    return {
        "energy_cost": totals.get("energy", zero),
        "demand_charge": totals.get("demand", zero),
        "coincident_charge": totals.get("coincident", zero),
        "service_charge": totals.get("service", zero),
        "minimum_top_up": totals.get("minimum", zero),
        "credits": -totals.get("credit", zero),
        "taxes": totals.get("tax", zero),
        "export_credit": -totals.get("export", zero),
        "total_cost": sum(totals.values(), zero),
    }


def _month(one: MonthMeasure, lines: Sequence[Line]) -> MonthBill:
    return MonthBill(
        **_sums([line for line in lines if line.month == one.month]),
        month=one.month,
        days=rounded(one.days),
        kwh=rounded(one.total()),
        exported_kwh=rounded(one.exported),
        peak_kw=rounded(one.peak_kw),
    )


@dataclass(frozen=True, eq=False)
class HalfHourCosts:
    """What the energy of half-hours costs, in nano-currency."""

    nano: IntArray
    by_period: list[dict[str, int]]
    """By the period's name; they add up to `nano` exactly."""


def energy_cost_by_half_hour(
    tariff: Tariff,
    starts_s: IntArray,
    site_mwh_e6: IntArray,
    *,
    index: IndexPrices | None = None,
    earlier_peaks_kw: Mapping[YearMonth, Decimal] = NO_PEAKS,
    priced_s: tuple[int, int] | None = None,
) -> HalfHourCosts:
    """Return what the energy of each half-hour costs a site.

    Tiers are those of the energy given: pass a whole local month (or all of it that is known), for
    its total decides. `priced_s` is the span in which the tariff holds: what was used outside of
    it counts for the tiers and costs nothing here. What is given to the grid costs nothing either;
    the bill pays for it.
    """
    if not len(starts_s):
        return HalfHourCosts(np.zeros(0, np.int64), [])
    load = Load.of_half_hours(starts_s, site_mwh_e6)
    laid = lay(tariff, load, index, load.span_s(), priced_s)
    found = measure_laid(tariff, laid, load, earlier_peaks_kw).months
    cost, denominator = cost_of_pieces(tariff, laid, found)
    per_nano = denominator * laid.pieces.scale * MILLIWATT_HOURS
    inside = laid.pieces.within(priced_s or load.span_s())
    exact, booked = [0] * len(load), [0] * len(load)
    by_period: list[dict[str, int]] = [{} for _ in booked]
    rows: list[int] = laid.pieces.interval[inside].tolist()
    parts: list[int] = cost[inside].tolist()
    for row, slot, part in zip(rows, laid.slot[inside].tolist(), parts, strict=True):
        exact[row] += part
        reached = (2 * exact[row] + per_nano) // (2 * per_nano)
        name, amounts = name_of(tariff, slot), by_period[row]
        amounts[name] = amounts.get(name, 0) + reached - booked[row]
        booked[row] = reached
    return HalfHourCosts(np.array(booked, np.int64), by_period)
