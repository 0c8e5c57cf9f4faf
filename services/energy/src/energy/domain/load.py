"""What was used, when: intervals of uniform power, cut exactly where a tariff needs it."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from energy.domain.zone import instant_of, seconds_of

IntArray = NDArray[np.int64]
Given = TypeVar("Given")
Integers = NDArray[Any]
"""Of int64; of Python integers where these would not do."""

MOST_POWER_W = Decimal(10**10)
MOST_KWH_A_SECOND = MOST_POWER_W / 3_600_000
MOST_PRICE_PER_MWH = Decimal(10**6)
MILLIWATT_HOURS = 1_000_000  # in a kWh
NANO = 1_000_000_000
FIRST_S, LAST_S = 0, seconds_of(datetime.fromisoformat("2200-01-01T00:00:00+00:00"))
LONGEST_S = 3660 * 86_400
ROOM = 2**62


class Unbillable(ValueError):
    """What was given cannot be priced; code and field say what."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field

    def at(self, place: str) -> "Unbillable":
        """Return the same, its field named from further out."""
        return Unbillable(self.code, f"{place}.{self.field}".rstrip("."), str(self))


@dataclass(frozen=True, slots=True)
class Interval:
    """One reading: energy or mean power; negative energy is export."""

    start: datetime
    end: datetime
    kwh: Decimal | None = None
    power_w: Decimal | None = None
    price_per_mwh: Decimal | None = None
    """Of the index."""


def second_of(instant: datetime, field: str) -> int:
    """Return an instant's second, or say what is wrong with it."""
    if instant.tzinfo is None:
        raise Unbillable("naive_time", field, "A time needs its offset or Z.")
    if instant.microsecond:
        raise Unbillable("fraction_of_second", field, "Times are whole seconds.")
    second = int(instant.timestamp())
    if not FIRST_S <= second <= LAST_S:
        raise Unbillable("time_out_of_range", field, "Times lie between 1970 and 2200.")
    return second


def span_of(start: datetime, end: datetime) -> tuple[int, int]:
    """Return the seconds of a span that ends after it starts."""
    start_s, end_s = second_of(start, "start"), second_of(end, "end")
    if end_s <= start_s:
        raise Unbillable("end_before_start", "end", "The end must lie after the start.")
    if end_s - start_s > LONGEST_S:
        raise Unbillable("span_too_long", "end", "A span is at most ten years.")
    return start_s, end_s


def _energy_of_power(power_w: Decimal, seconds: int) -> int:
    if not power_w.is_finite() or not 0 <= power_w <= MOST_POWER_W:
        raise Unbillable("power_out_of_range", "power_w", "Power lies between 0 and 1e10 W.")
    nano_watts = int((power_w * NANO).to_integral_value(ROUND_HALF_UP))
    return (nano_watts * seconds * 5 + 9 * NANO) // (18 * NANO)


def _energy_of(interval: Interval, seconds: int) -> int:
    kwh = interval.kwh
    if (kwh is None) == (interval.power_w is None):
        raise Unbillable("energy_or_power", "", "Give kwh or power_w, one of them.")
    if kwh is None:
        assert interval.power_w is not None
        return _energy_of_power(interval.power_w, seconds)
    if not kwh.is_finite() or abs(kwh) > MOST_KWH_A_SECOND * seconds:
        raise Unbillable("energy_out_of_range", "kwh", "More than 1e10 W for the time.")
    return int((kwh * MILLIWATT_HOURS).to_integral_value(ROUND_HALF_UP))


def _row(interval: Interval) -> tuple[int, int, int]:
    start_s, end_s = span_of(interval.start, interval.end)
    return start_s, end_s, _energy_of(interval, end_s - start_s)


def _price_row(row: tuple[datetime, datetime, Decimal]) -> tuple[int, int, int]:
    start, end, price = row
    if not price.is_finite() or abs(price) > MOST_PRICE_PER_MWH:
        raise Unbillable("price_out_of_range", "", "A price is within 1e6 per MWh.")
    return (*span_of(start, end), int((price * NANO).to_integral_value(ROUND_HALF_UP)))


def _table(
    given: Iterable[Given], row_of: Callable[[Given], tuple[int, int, int]], field: str
) -> IntArray:
    """Return three columns, or say in which row something is wrong."""
    found: list[tuple[int, int, int]] = []
    try:
        for one in given:
            found.append(row_of(one))  # noqa: PERF401 its length tells which row is wrong
    except Unbillable as error:
        raise error.at(f"{field}[{len(found)}]") from error
    columns = np.array(found, np.int64).reshape(-1, 3).T
    return np.ascontiguousarray(columns)


def _in_order(starts_s: IntArray, ends_s: IntArray, field: str) -> None:
    wrong = np.flatnonzero(starts_s[1:] < ends_s[:-1])
    if wrong.size:
        row = int(wrong[0]) + 1
        raise Unbillable(
            "intervals_overlap",
            f"{field}[{row}].start",
            f"It starts before the one before it ends: {instant_of(int(starts_s[row])):%FT%TZ}.",
        )


@dataclass(frozen=True, eq=False)
class Load:
    """Energy by interval, ascending and not overlapping; uniform inside an interval."""

    starts_s: IntArray
    ends_s: IntArray
    energy_mwh_e6: IntArray
    """Milliwatt-hours (1e-6 kWh)."""
    constant: bool = False
    """The power is stated to be constant: a cut inside an interval is no estimate."""

    @classmethod
    def of_power(cls, start: datetime, end: datetime, power_w: Decimal) -> Self:
        """Return a constant power's load."""
        start_s, end_s = span_of(start, end)
        energy = _energy_of_power(power_w, end_s - start_s)
        return cls(*(np.array([one], np.int64) for one in (start_s, end_s, energy)), constant=True)

    @classmethod
    def of_intervals(cls, intervals: Sequence[Interval]) -> Self:
        """Return the readings' load; they ascend and may leave gaps."""
        starts_s, ends_s, energy = _table(intervals, _row, "intervals")
        _in_order(starts_s, ends_s, "intervals")
        return cls(starts_s, ends_s, energy)

    @classmethod
    def of_half_hours(cls, starts_s: IntArray, energy_mwh_e6: IntArray) -> Self:
        """Return half-hours' load."""
        ends_s = starts_s + 1800
        _in_order(starts_s, ends_s, "half_hours")
        return cls(starts_s, ends_s, energy_mwh_e6)

    def __len__(self) -> int:
        return len(self.starts_s)

    def span_s(self) -> tuple[int, int]:
        """Return first start and last end."""
        return int(self.starts_s[0]), int(self.ends_s[-1])


@dataclass(frozen=True, eq=False)
class IndexPrices:
    """Prices of an index by interval, ascending and not overlapping."""

    starts_s: IntArray
    ends_s: IntArray
    nano_per_mwh: IntArray

    @classmethod
    def of(cls, rows: Iterable[tuple[datetime, datetime, Decimal]], field: str = "index") -> Self:
        """Return the prices of (start, end, price per MWh)."""
        starts_s, ends_s, prices = _table(rows, _price_row, field)
        _in_order(starts_s, ends_s, field)
        return cls(starts_s, ends_s, prices)

    @classmethod
    def of_intervals(cls, intervals: Sequence[Interval]) -> Self | None:
        """Return the prices that readings carry; None when none carries one."""
        if all(one.price_per_mwh is None for one in intervals):
            return None
        rows: list[tuple[datetime, datetime, Decimal]] = []
        for row, one in enumerate(intervals):
            if one.price_per_mwh is None:
                raise Unbillable("price_missing", f"intervals[{row}]", "Its price is missing.")
            rows.append((one.start, one.end, one.price_per_mwh))
        return cls.of(rows, "intervals")

    def edges(self) -> IntArray:
        """Return every instant at which a price begins or ends."""
        return np.concatenate((self.starts_s, self.ends_s))

    def at(self, seconds: IntArray) -> IntArray:
        """Return the prices in nano-currency per MWh at these instants."""
        rows = np.searchsorted(self.starts_s, seconds, side="right") - 1
        known = rows >= 0
        if len(self.starts_s):
            known &= seconds < self.ends_s[rows]
        if not known.all():
            missing = instant_of(int(seconds[np.flatnonzero(~known)[0]]))
            raise Unbillable(
                "price_missing", "index", f"The index has no price at {missing:%FT%TZ}."
            )
        return self.nano_per_mwh[rows]


@dataclass(frozen=True, eq=False)
class Pieces:
    """A load cut at given instants: each piece's energy is a whole number of units, exactly."""

    starts_s: IntArray
    ends_s: IntArray
    interval: IntArray
    """Which interval of the load the piece is of."""
    units: Integers
    scale: int
    """Units of one milliwatt-hour."""

    def within(self, span_s: tuple[int, int]) -> "NDArray[np.bool_]":
        """Return which pieces lie in a span, at whose ends the load is cut."""
        return (self.starts_s >= span_s[0]) & (self.starts_s < span_s[1])

    def kwh(self, units: int) -> Fraction:
        """Return so many units in kWh."""
        return Fraction(int(units), self.scale * MILLIWATT_HOURS)


def ascending(*instants: IntArray) -> IntArray:
    """Return all of them once, in order: they come nearly sorted, so sorting beats hashing."""
    joined = np.sort(np.concatenate(instants), kind="stable")
    return joined[np.diff(joined, prepend=joined[:1] - 1) != 0]


def rows_at(starts_s: IntArray, instants: IntArray) -> IntArray:
    """Return the row that began last at each of ascending instants; -1 before the first."""
    reached = np.searchsorted(instants, starts_s)
    counts = np.diff(reached, prepend=0, append=len(instants))
    return np.repeat(np.arange(-1, len(starts_s), dtype=np.int64), counts)


def _inside(load: Load, edges: IntArray) -> IntArray:
    """Return those edges that fall inside an interval."""
    if not len(load):
        return edges[:0]
    rows = np.searchsorted(load.starts_s, edges, side="right") - 1
    return edges[(rows >= 0) & (edges > load.starts_s[rows]) & (edges < load.ends_s[rows])]


def cut(load: Load, edges: Iterable[IntArray]) -> Pieces:
    """Cut a load at every edge that falls inside an interval.

    A part of an interval has a rational energy. All are brought to the least common denominator:
    1 when no interval is cut, 2 when each is halved. It may outgrow int64 for odd cuts; then the
    units are Python integers.
    """
    inner = _inside(load, np.concatenate([load.starts_s[:0], *edges]))
    if not len(inner):
        every = np.arange(len(load), dtype=np.int64)
        return Pieces(load.starts_s, load.ends_s, every, load.energy_mwh_e6, 1)
    points = ascending(load.starts_s, load.ends_s, inner)
    starts, ends = points[:-1], points[1:]
    rows = rows_at(load.starts_s, starts)
    inside = (rows >= 0) & (starts < load.ends_s[rows])
    starts, ends, rows = starts[inside], ends[inside], rows[inside]
    lengths, parts = (load.ends_s - load.starts_s)[rows], ends - starts
    energy = load.energy_mwh_e6[rows]  # of a load of pieces, these may be Python integers
    whole = energy // lengths
    rest = (energy - whole * lengths) * parts
    whole, rest = whole * parts + rest // lengths, rest % lengths
    odd = rest != 0
    scale = math.lcm(*set((lengths[odd] // np.gcd(lengths[odd], rest[odd])).tolist()))
    total = int(np.abs(whole).sum()) + len(whole)
    if max(total, int(lengths.max(initial=1))) * scale < ROOM:
        units = whole * scale + rest * scale // lengths
    else:
        units = whole.astype(object) * scale + rest.astype(object) * scale // lengths
    return Pieces(starts, ends, rows, units, scale)


def sums(units: Integers, group: IntArray, groups: int) -> list[int]:
    """Return the units' sum by group, as Python integers."""
    found = np.zeros(groups, units.dtype)
    np.add.at(found, group, units)
    return [int(one) for one in found]
