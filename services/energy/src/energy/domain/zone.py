"""Local time as spans of one UTC offset, and the local days that they make.

A local day is its number since 1970-01-01. Seconds are UTC seconds since 1970 unless `local`.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY_S = 86_400
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class YearMonth(NamedTuple):
    """A calendar month."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    def days(self) -> int:
        """Return how many days it has."""
        return self.after(1).first_day() - self.first_day()

    def first_day(self) -> int:
        """Return the number of its first day."""
        return number_of(date(self.year, self.month, 1))

    def after(self, months: int) -> "YearMonth":
        """Return the month so many months later."""
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return YearMonth(year, month + 1)


class OffsetSpan(NamedTuple):
    """A stretch of time with one offset: local = UTC + offset."""

    start_s: int
    end_s: int
    offset_s: int


def date_of(day: int) -> date:
    """Return the date of a day number."""
    return date.fromordinal(EPOCH_ORDINAL + day)


def number_of(day: date) -> int:
    """Return the number of a date."""
    return day.toordinal() - EPOCH_ORDINAL


@lru_cache(maxsize=8192)
def month_of(day: int) -> YearMonth:
    """Return the month of a day number."""
    on = date_of(day)
    return YearMonth(on.year, on.month)


def seconds_of(instant: datetime) -> int:
    """Return the UTC seconds of an aware instant, rounded down."""
    return int((instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)


def instant_of(second: int) -> datetime:
    """Return the aware instant of a UTC second."""
    return datetime.fromtimestamp(second, UTC)


def _offset_at(zone: ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


@lru_cache(maxsize=512)
def _offsets_of_year(timezone: str, year: int) -> tuple[OffsetSpan, ...]:
    """Look at each UTC day of a year and search the seconds at which the offset changes.

    The clock going twice within 24 hours has no precedent.
    """
    zone = ZoneInfo(timezone)
    first, end = (DAY_S * number_of(date(one, 1, 1)) for one in (year, year + 1))
    found: list[OffsetSpan] = []
    began, offset = first, _offset_at(zone, first)
    for day_s in range(first + DAY_S, end + 1, DAY_S):
        if (after := _offset_at(zone, day_s)) == offset:
            continue
        low, high = day_s - DAY_S, day_s
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset_at(zone, middle) == offset else (low, middle)
        found.append(OffsetSpan(began, high, offset))
        began, offset = high, after
    found.append(OffsetSpan(began, end, offset))
    return tuple(found)


def offsets(timezone: str, start_s: int, end_s: int) -> list[OffsetSpan]:
    """Return the spans of one offset that make up [start, end)."""
    found: list[OffsetSpan] = []
    years = (date_of(second // DAY_S).year for second in (start_s, end_s - 1))
    for year in range(next(years), next(years) + 1):
        for span in _offsets_of_year(timezone, year):
            low, high = max(span.start_s, start_s), min(span.end_s, end_s)
            if low >= high:
                continue
            if found and found[-1].offset_s == span.offset_s:
                low = found.pop().start_s
            found.append(OffsetSpan(low, high, span.offset_s))
    return found


def day_parts(timezone: str, start_s: int, end_s: int) -> Iterator[tuple[int, OffsetSpan]]:
    """Yield each local day of [start, end) with its span: twice, when its offset changes."""
    for low, high, offset in offsets(timezone, start_s, end_s):
        for day in range((low + offset) // DAY_S, (high - 1 + offset) // DAY_S + 1):
            midnight = day * DAY_S - offset
            span = OffsetSpan(max(low, midnight), min(high, midnight + DAY_S), offset)
            yield day, span


def day_seconds(timezone: str, first_day: int, last_day: int) -> dict[int, int]:
    """Return the real length of each local day, which is other when the clock changes."""
    lengths = dict.fromkeys(range(first_day, last_day + 1), 0)
    for day, span in day_parts(timezone, (first_day - 2) * DAY_S, (last_day + 3) * DAY_S):
        if day in lengths:
            lengths[day] += span.end_s - span.start_s
    return lengths


def day_start(timezone: str, day: int) -> int:
    """Return the first second of a local day; of a day that a zone skipped, of the next one."""
    parts = day_parts(timezone, (day - 2) * DAY_S, (day + 3) * DAY_S)
    return min(span.start_s for one, span in parts if one >= day)
