"""What a bill follows from: energy by month and price, peaks, shares of days. Exact.

In numpy and whole numbers; `measures_exact` finds the same with nothing but fractions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

import numpy as np

from energy.domain import demand, tiers
from energy.domain.load import (
    MILLIWATT_HOURS,
    NANO,
    IndexPrices,
    IntArray,
    Integers,
    Load,
    Pieces,
    Unbillable,
    cut,
    rows_at,
    sums,
)
from energy.domain.prices import price_keys, tiers_of
from energy.domain.tariff import Tariff
from energy.domain.timeline import Timeline, timeline
from energy.domain.zone import YearMonth, day_seconds, day_start, month_of, seconds_of

NOTHING = Fraction(0)


@dataclass
class MonthMeasure:
    """One local month, as far as it is billed. Energy in kWh."""

    month: YearMonth
    days: Fraction = NOTHING
    """Shares of its local days."""
    used: dict[int, Fraction] = field(default_factory=dict[int, Fraction])
    """By slot."""
    index_cost: dict[int, Fraction] = field(default_factory=dict[int, Fraction])
    """What the index alone makes of it, by slot."""
    stepped: dict[tuple[int, int], Fraction] = field(
        default_factory=dict[tuple[int, int], Fraction]
    )
    """By slot and step, with chronological tiers."""
    exported: Fraction = NOTHING
    peak_kw: Fraction = NOTHING
    billed_kw: Fraction = NOTHING
    ratchet: YearMonth | None = None
    """The earlier month whose peak decides what is billed."""
    period_peaks_kw: dict[str, Fraction] = field(default_factory=dict[str, Fraction])
    coincident_kwh: Fraction = NOTHING
    coincident_hours: Fraction = NOTHING

    def total(self) -> Fraction:
        """Return all energy taken."""
        return sum(self.used.values(), NOTHING)

    def share(self) -> Fraction:
        """Return how much of the month is billed."""
        return self.days / self.month.days()


@dataclass(frozen=True)
class Measures:
    """All months of a bill."""

    months: list[MonthMeasure]
    split_intervals: int
    longest_s: int
    """Of the readings; 0 when the power is stated to be constant."""


@dataclass(frozen=True, eq=False)
class Laid:
    """A load laid on a tariff's timeline: where each piece lies."""

    line: Timeline
    pieces: Pieces
    hours: list[tuple[int, int]]
    """The system's peak hours."""
    months: list[YearMonth]
    anchors: IntArray
    """First second of each month."""
    row: IntArray
    """Of the timeline."""
    month_of_row: IntArray
    taken: Integers
    """Units of energy that are no export."""
    index: IntArray | None
    """Nano-currency per MWh."""

    @cached_property
    def month(self) -> IntArray:
        """Which month each piece lies in."""
        return self.month_of_row[self.row]

    @cached_property
    def slot(self) -> IntArray:
        """Which slot prices each piece."""
        return self.line.slot[self.row]

    @cached_property
    def day(self) -> IntArray:
        """Which day each piece lies in, from the first of the span."""
        return self.line.day[self.row] - self.line.day.min()

    def sums(self, units: Integers, group_of_row: IntArray, groups: int) -> list[int]:
        """Return the units' sum by a group of the timeline's rows."""
        total = np.concatenate((units[:0], [0], np.cumsum(units)))
        reached = np.searchsorted(self.row, np.arange(len(group_of_row) + 1))
        return sums(np.diff(total[reached]), group_of_row, groups)


def span_of(load: Load, span_s: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the billed span: the load's own unless a longer one is given; None without either."""
    if not len(load):
        return span_s
    own = load.span_s()
    if span_s is None:
        return own
    if span_s[0] > own[0] or span_s[1] < own[1]:
        raise Unbillable("outside_span", "intervals", "An interval lies outside start and end.")
    return span_s


def clipped(tariff: Tariff, span_s: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the system's peak hours inside the span, in seconds."""
    found: list[tuple[int, int]] = []
    for start, end in tariff.coincident_hours:
        low, high = max(seconds_of(start), span_s[0]), min(seconds_of(end), span_s[1])
        if low < high:
            found.append((low, high))
    return found


def lay(
    tariff: Tariff,
    load: Load,
    index: IndexPrices | None,
    span_s: tuple[int, int],
    priced_s: tuple[int, int] | None = None,
) -> Laid:
    """Cut a load wherever this tariff could need it, and say where each piece lies.

    `priced_s`: the part of it that the tariff prices; of the rest no index price is asked.
    """
    line = timeline(tariff, *span_s)
    first = int(line.day.min())
    by_day = [month_of(day) for day in range(first, int(line.day.max()) + 1)]
    months = list(dict.fromkeys(by_day))
    anchors = np.array([day_start(tariff.calendar(), m.first_day()) for m in months], np.int64)
    edges = [line.starts_s, anchors]
    hours = clipped(tariff, span_s)
    edges += [np.array(hour, np.int64) for hour in hours]
    if tariff.demand_window == "fixed":
        edges += demand.bin_edges(load, anchors, span_s[1], tariff.demand_interval_minutes * 60)
    if index is not None:
        edges.append(index.edges())
    if priced_s is not None:
        edges.append(np.array(priced_s, np.int64))
    pieces = cut(load, edges)
    numbers = {month: number for number, month in enumerate(months)}
    month_of_day = np.array([numbers[month] for month in by_day], np.int64)
    taken = pieces.units if (pieces.units >= 0).all() else np.maximum(pieces.units, 0)
    return Laid(
        line=line,
        pieces=pieces,
        hours=hours,
        months=months,
        anchors=anchors,
        row=rows_at(line.starts_s, pieces.starts_s),
        month_of_row=month_of_day[line.day - first],
        taken=taken,
        index=_index_prices(tariff, index, pieces, taken * pieces.within(priced_s or span_s)),
    )


def _index_prices(
    tariff: Tariff, index: IndexPrices | None, pieces: Pieces, taken: Integers
) -> IntArray | None:
    """Return each piece's price of the index; where nothing is taken none is asked for."""
    if tariff.rate_type != "index":
        return None
    if index is None:
        raise Unbillable("price_missing", "index", "An index tariff needs the index's prices.")
    prices = np.zeros(len(pieces.starts_s), np.int64)
    some = taken != 0
    prices[some] = index.at(pieces.starts_s[some])
    return prices


def measure(
    tariff: Tariff,
    load: Load,
    index: IndexPrices | None,
    earlier: Mapping[YearMonth, Decimal],
    span_s: tuple[int, int],
) -> Measures:
    """Measure a load under a tariff."""
    return measure_laid(tariff, lay(tariff, load, index, span_s), load, earlier)


def measure_laid(
    tariff: Tariff, laid: Laid, load: Load, earlier: Mapping[YearMonth, Decimal]
) -> Measures:
    """Measure a load that is laid on its tariff's timeline."""
    found = [MonthMeasure(month) for month in laid.months]
    _days(tariff, found, laid.line)
    _energy(tariff, laid, found)
    _peaks(tariff, laid, found, earlier)
    _coincident(laid, found)
    for (slot, month, step), kwh in chronological(tariff, laid, found).items():
        found[month].stepped[slot, step] = kwh
    lengths = load.ends_s - load.starts_s
    return Measures(
        found,
        0 if load.constant else _split_intervals(tariff, laid, load),
        0 if load.constant else int(lengths.max(initial=0)),
    )


def _days(tariff: Tariff, found: list[MonthMeasure], line: Timeline) -> None:
    first = int(line.day.min())
    covered = np.zeros(int(line.day.max()) - first + 1, np.int64)
    np.add.at(covered, line.day - first, line.ends_s - line.starts_s)
    lengths = day_seconds(tariff.calendar(), first, first + len(covered) - 1)
    by_month = {one.month: one for one in found}
    whole: dict[YearMonth, int] = {}
    for day, seconds in enumerate(covered.tolist(), start=first):
        if seconds == lengths[day]:
            whole[month_of(day)] = whole.get(month_of(day), 0) + (seconds > 0)
        else:
            by_month[month_of(day)].days += Fraction(seconds, lengths[day])
    for month, days in whole.items():
        by_month[month].days += days


def _energy(tariff: Tariff, laid: Laid, found: list[MonthMeasure]) -> None:
    slots = len(tariff.windows) + 1
    group = laid.month_of_row * slots + laid.line.slot
    for row, units in enumerate(laid.sums(laid.taken, group, len(found) * slots)):
        if units:
            found[row // slots].used[row % slots] = laid.pieces.kwh(units)
    if laid.taken is not laid.pieces.units:
        given = laid.taken - laid.pieces.units
        for row, units in enumerate(laid.sums(given, laid.month_of_row, len(found))):
            found[row].exported = laid.pieces.kwh(units)
    if laid.index is None:
        return
    cost = laid.taken.astype(object) * laid.index.astype(object)
    for row, units in enumerate(laid.sums(cost, group, len(found) * slots)):
        if units:
            amount = laid.pieces.kwh(units) / (1000 * NANO)
            found[row // slots].index_cost[row % slots] = amount


def demand_period(tariff: Tariff, slot: int) -> str | None:
    """Return under which name a slot's demand is charged."""
    if not slot:
        return None
    window = tariff.windows[slot - 1]
    return (window.demand_period or window.name) if window.own_demand_steps() else None


def _peaks(
    tariff: Tariff,
    laid: Laid,
    found: list[MonthMeasure],
    earlier: Mapping[YearMonth, Decimal],
) -> None:
    pieces = laid.pieces
    draws = demand.Draws(pieces.starts_s, pieces.ends_s, laid.taken, pieces.scale, laid.month)
    for one, peak in zip(found, demand.peaks_kw(tariff, draws, laid.anchors), strict=True):
        one.peak_kw = peak
    periods = [demand_period(tariff, slot) for slot in range(len(tariff.windows) + 1)]
    for period in dict.fromkeys(name for name in periods if name is not None):
        chosen = np.array([name == period for name in periods])[laid.slot]
        inside = draws.where(chosen)
        for one, peak in zip(found, demand.peaks_kw(tariff, inside, laid.anchors), strict=True):
            if peak:
                one.period_peaks_kw[period] = peak
    peaks = {one.month: one.peak_kw for one in found}
    for one in found:
        one.billed_kw, one.ratchet = demand.billed_kw(tariff, one.month, peaks, earlier)


def _coincident(laid: Laid, found: list[MonthMeasure]) -> None:
    """Measure the system's peak hours; those over a month's end are of both months, in parts."""
    starts, line = laid.pieces.starts_s, laid.line
    for low, high in laid.hours:
        inside = (starts >= low) & (starts < high)
        units = sums(laid.taken[inside], laid.month[inside], len(found))
        lasting = np.minimum(line.ends_s, high) - np.maximum(line.starts_s, low)
        seconds = sums(np.maximum(lasting, 0), laid.month_of_row, len(found))
        for one, energy, length in zip(found, units, seconds, strict=True):
            one.coincident_kwh += laid.pieces.kwh(energy)
            one.coincident_hours += Fraction(length, 3600)


def _split_intervals(tariff: Tariff, laid: Laid, load: Load) -> int:
    interval = laid.pieces.interval
    if len(interval) == len(load):
        return 0
    keys = price_keys(tariff)[laid.slot]
    change = keys[1:] != keys[:-1]
    if laid.index is not None:
        change |= laid.index[1:] != laid.index[:-1]
    return len(np.unique(interval[1:][change & (interval[1:] == interval[:-1])]))


def chronological(
    tariff: Tariff, laid: Laid, found: list[MonthMeasure]
) -> dict[tuple[int, int, int], Fraction]:
    """Return kWh by (slot, month, step) where the running total decides."""
    parts: dict[tuple[int, int, int], Fraction] = {}
    for slot, steps in running_steps(tariff, laid, found).items():
        chosen = laid.slot == slot
        month = laid.month[chosen]
        for step, units in enumerate(steps.parts):
            for number, total in enumerate(sums(units[chosen], month, len(found))):
                parts[slot, number, step] = laid.pieces.kwh(total)
        for piece, step, part in steps.moved:
            if chosen[piece]:
                moved = part / (laid.pieces.scale * MILLIWATT_HOURS)
                parts[slot, int(laid.month[piece]), step] += moved
    return {key: kwh for key, kwh in parts.items() if kwh}


def running_steps(tariff: Tariff, laid: Laid, found: list[MonthMeasure]) -> dict[int, tiers.Steps]:
    """Return the steps of every piece as each slot's own limits would have them."""
    if tariff.tier_rule != "chronological":
        return {}
    known: dict[tuple[tuple[Fraction, ...], ...], tiers.Steps] = {}
    result: dict[int, tiers.Steps] = {}
    daily = tariff.tier_unit == "kwh_per_day"
    # A clock that goes back over midnight does not begin the day or month before anew.
    group = np.maximum.accumulate(laid.day if daily else laid.month)
    for slot in np.unique(laid.slot).tolist():
        if not (steps := tiers_of(tariff, slot)):
            continue
        limits = [tuple(tiers.limits_kwh(tariff, steps, m.days, m.billed_kw)) for m in found]
        if daily:
            limits = limits[:1] * (int(laid.day.max()) + 1)
        key = tuple(limits)
        if key not in known:
            known[key] = tiers.by_running_total(laid.taken, laid.pieces.scale, group, limits)
        result[slot] = known[key]
    return result
