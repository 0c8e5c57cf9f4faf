"""The same measures with fractions alone, minute by minute: the referee of the fast ones.

Nothing is shared with them but the rules of the limits and of the ratchet. Each minute's local
time is asked of the zone itself, and each minute's window of the tariff's rows.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from energy.domain.demand import billed_kw
from energy.domain.load import NANO, IndexPrices, Load, Unbillable
from energy.domain.measures import (
    NOTHING,
    Measures,
    MonthMeasure,
    clipped,
    demand_period,
)
from energy.domain.prices import rate_of, tiers_of
from energy.domain.tariff import Tariff
from energy.domain.tiers import limits_kwh
from energy.domain.zone import YearMonth

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Moment:
    """A minute, or less of it where a reading or a price changes."""

    start_s: int
    end_s: int
    day: date
    slot: int
    interval: int | None
    taken: Fraction
    """kWh."""
    given: Fraction
    price: Fraction
    """Of the index, per kWh."""

    def month(self) -> YearMonth:
        """Return its local month."""
        return YearMonth(self.day.year, self.day.month)


def _day_type(tariff: Tariff, day: date) -> str:
    if day in tariff.holidays:
        return "holiday"
    return "weekend" if day.weekday() in (5, 6) else "weekday"


def _in_season(tariff: Tariff, month: int) -> bool:
    if tariff.season_start_month is None or tariff.season_end_month is None:
        return True
    length = (tariff.season_end_month - tariff.season_start_month) % 12
    return (month - tariff.season_start_month) % 12 <= length


def _slot(tariff: Tariff, local: datetime) -> int:
    minute = 60 * local.hour + local.minute
    for slot, window in enumerate(tariff.windows, start=1):
        day = local.date()
        if window.start_minute < window.end_minute:
            inside = window.start_minute <= minute < window.end_minute
        else:
            inside = minute >= window.start_minute or minute < window.end_minute
            if minute < window.end_minute and tariff.wrap_day == "start":
                day -= timedelta(days=1)
        holds = (
            day.weekday() in window.days
            and day.month in window.months
            and (window.day_type is None or window.day_type == _day_type(tariff, day))
            and _in_season(tariff, day.month)
        )
        if inside and holds:
            return slot
    return 0


def _moments(
    tariff: Tariff, load: Load, index: IndexPrices | None, span_s: tuple[int, int]
) -> list[Moment]:
    zone, calendar = ZoneInfo(tariff.timezone), ZoneInfo(tariff.calendar())
    first = span_s[0] + -span_s[0] % MINUTE_S
    cuts = {*span_s, *range(first, span_s[1], MINUTE_S)}
    cuts |= {second for hour in clipped(tariff, span_s) for second in hour}
    cuts |= set(load.starts_s.tolist()) | set(load.ends_s.tolist())
    if index is not None:
        cuts |= {edge for edge in index.edges().tolist() if span_s[0] < edge < span_s[1]}
    edges = sorted(cuts)
    starts, ends = load.starts_s.tolist(), load.ends_s.tolist()
    energies = load.energy_mwh_e6.tolist()
    found: list[Moment] = []
    for low, high in pairwise(edges):
        local, billed = (datetime.fromtimestamp(low, one) for one in (zone, calendar))
        row = bisect_right(starts, low) - 1
        inside = row >= 0 and low < ends[row]
        energy = NOTHING
        if inside:
            energy = Fraction(energies[row] * (high - low), 10**6 * (ends[row] - starts[row]))
        taken = max(energy, NOTHING)
        price = _price(tariff, index, low) if taken else NOTHING
        found.append(
            Moment(
                low,
                high,
                billed.date(),
                _slot(tariff, local),
                row if inside else None,
                taken,
                max(-energy, NOTHING),
                price,
            )
        )
    return found


def _price(tariff: Tariff, index: IndexPrices | None, second: int) -> Fraction:
    if tariff.rate_type != "index":
        return NOTHING
    row = -1 if index is None else bisect_right(index.starts_s.tolist(), second) - 1
    if index is not None and row >= 0 and second < index.ends_s[row]:
        return Fraction(int(index.nano_per_mwh[row]), 1000 * NANO)
    raise Unbillable("price_missing", "index", "The index has no price.")


def measure_exactly(
    tariff: Tariff,
    load: Load,
    index: IndexPrices | None,
    earlier: Mapping[YearMonth, Decimal],
    span_s: tuple[int, int],
) -> Measures:
    """Measure a load under a tariff, slowly."""
    moments = _moments(tariff, load, index, span_s)
    by_month: dict[YearMonth, list[Moment]] = {}
    for moment in moments:
        by_month.setdefault(moment.month(), []).append(moment)
    found = {month: MonthMeasure(month) for month in by_month}
    for month, inside in by_month.items():
        _sum_up(tariff, found[month], inside)
        _measure_peaks(tariff, found[month], inside)
    peaks = {month: one.peak_kw for month, one in found.items()}
    for month, one in found.items():
        one.billed_kw, one.ratchet = billed_kw(tariff, month, peaks, earlier)
        if tariff.tier_rule == "chronological":
            _step(tariff, one, by_month[month])
    _measure_coincidence(tariff, found, moments, span_s)
    longest = max((load.ends_s - load.starts_s).tolist(), default=0)
    split = 0 if load.constant else _split(tariff, moments)
    return Measures(list(found.values()), split, 0 if load.constant else longest)


def _midnight(zone: ZoneInfo, day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


@lru_cache(maxsize=256)
def _seconds(zone: ZoneInfo, day: date) -> int:
    """Count a day's minutes: the clock may go back over midnight, and a day come twice."""
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=zone).timestamp())
    minutes = range(noon - 15 * 3600, noon + 15 * 3600, MINUTE_S)
    return MINUTE_S * sum(datetime.fromtimestamp(one, zone).date() == day for one in minutes)


def _sum_up(tariff: Tariff, one: MonthMeasure, moments: list[Moment]) -> None:
    zone = ZoneInfo(tariff.calendar())
    covered: dict[date, int] = {}
    for moment in moments:
        covered[moment.day] = covered.get(moment.day, 0) + moment.end_s - moment.start_s
        one.exported += moment.given
        if moment.taken:
            slot = moment.slot
            one.used[slot] = one.used.get(slot, NOTHING) + moment.taken
            cost = one.index_cost.get(slot, NOTHING) + moment.taken * moment.price
            one.index_cost[slot] = cost
    for day, seconds in covered.items():
        one.days += Fraction(seconds, _seconds(zone, day))


def _measure_peaks(tariff: Tariff, one: MonthMeasure, moments: list[Moment]) -> None:
    find = _fixed_peak if tariff.demand_window == "fixed" else _sliding_peak
    one.peak_kw = find(tariff, moments)
    periods = {demand_period(tariff, moment.slot) for moment in moments} - {None}
    for period in periods:
        assert period is not None
        inside = [moment for moment in moments if demand_period(tariff, moment.slot) == period]
        if peak := find(tariff, inside):
            one.period_peaks_kw[period] = peak


def _fixed_peak(tariff: Tariff, moments: list[Moment]) -> Fraction:
    seconds = tariff.demand_interval_minutes * 60
    anchor = _midnight(ZoneInfo(tariff.calendar()), moments[0].day.replace(day=1))
    bins: dict[int, Fraction] = {}
    for moment in moments:
        number = (moment.start_s - anchor) // seconds
        bins[number] = bins.get(number, NOTHING) + moment.taken
    return max(bins.values()) * 3600 / seconds


def _sliding_peak(tariff: Tariff, moments: list[Moment]) -> Fraction:
    seconds = tariff.demand_interval_minutes * 60
    starts = [moment.start_s for moment in moments]
    before = [NOTHING]
    for moment in moments:
        before.append(before[-1] + moment.taken)

    def until(second: int) -> Fraction:
        row = bisect_right(starts, second) - 1
        if row < 0:
            return NOTHING
        moment = moments[row]
        inside = min(second, moment.end_s) - moment.start_s
        return before[row] + moment.taken * inside / (moment.end_s - moment.start_s)

    edges = {*starts, *(moment.end_s for moment in moments)}
    begins = edges | {edge - seconds for edge in edges}
    return max(until(begin + seconds) - until(begin) for begin in begins) * 3600 / seconds


def _step(tariff: Tariff, one: MonthMeasure, moments: list[Moment]) -> None:
    running, day = NOTHING, moments[0].day
    for moment in moments:
        if tariff.tier_unit == "kwh_per_day" and moment.day > day:
            running, day = NOTHING, moment.day
        if steps := tiers_of(tariff, moment.slot):
            low = running
            limits = limits_kwh(tariff, steps, one.days, one.billed_kw)
            for step, limit in enumerate([*limits, running + moment.taken]):
                top = max(low, min(limit, running + moment.taken))
                if top > low:
                    key = moment.slot, step
                    one.stepped[key] = one.stepped.get(key, NOTHING) + top - low
                low = top
        running += moment.taken


def _measure_coincidence(
    tariff: Tariff,
    found: dict[YearMonth, MonthMeasure],
    moments: list[Moment],
    span_s: tuple[int, int],
) -> None:
    for low, high in clipped(tariff, span_s):
        for moment in moments:
            if low <= moment.start_s < high:
                one = found[moment.month()]
                one.coincident_kwh += moment.taken
                one.coincident_hours += Fraction(moment.end_s - moment.start_s, 3600)


def _split(tariff: Tariff, moments: list[Moment]) -> int:
    prices: dict[int, set[object]] = {}
    for moment in moments:
        if moment.interval is not None:
            slot = moment.slot
            window = tariff.windows[slot - 1].name if slot else None
            key = (window, rate_of(tariff, slot), tiers_of(tariff, slot), moment.price)
            prices.setdefault(moment.interval, set()).add(key)
    return sum(len(found) > 1 for found in prices.values())
