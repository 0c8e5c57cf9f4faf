"""Settlement days and periods of Great Britain: half-hours of the local day, counted from 1.

A day has 48 of them; 46 when the clocks go forward, 50 when they go back. A period is named by the
date and its number; its start is an instant.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/London")
HALF_HOUR = timedelta(minutes=30)
EARLIEST_DAY = date(2009, 1, 1)
"""The settlement stacks do not reach further back."""


class NoSuchPeriod(ValueError):
    """The day has no period of this number."""


@dataclass(frozen=True, slots=True)
class Period:
    """A settlement period and the instant (UTC) at which it starts."""

    number: int
    start: datetime

    @property
    def end(self) -> datetime:
        """Return the instant at which it ends."""
        return self.start + HALF_HOUR


def day_start(day: date) -> datetime:
    """Return the instant at which a settlement day begins: local midnight, in UTC."""
    return datetime.combine(day, time(), ZONE).astimezone(UTC)


@lru_cache(maxsize=4096)
def _length(day: date) -> int:
    return (day_start(day + timedelta(days=1)) - day_start(day)) // HALF_HOUR


def periods_in(day: date) -> int:
    """Return how many periods a day has: 48, on the days of the clock change 46 and 50."""
    return _length(day)


def periods_of(day: date) -> list[Period]:
    """Return the periods of a day, in order."""
    start = day_start(day)
    return [
        Period(number, start + (number - 1) * HALF_HOUR) for number in range(1, _length(day) + 1)
    ]


def period_start(day: date, number: int) -> datetime:
    """Return the instant at which a period starts.

    Raises:
        NoSuchPeriod: the day has none of this number.
    """
    if not 1 <= number <= _length(day):
        msg = f"{day} has the settlement periods 1 to {_length(day)}, not {number}"
        raise NoSuchPeriod(msg)
    return day_start(day) + (number - 1) * HALF_HOUR


def day_of(instant: datetime) -> date:
    """Return the settlement day in which an instant lies."""
    return instant.astimezone(ZONE).date()


def period_at(instant: datetime) -> tuple[date, int]:
    """Return day and number of the period that runs at an instant."""
    day = day_of(instant)
    return day, (instant - day_start(day)) // HALF_HOUR + 1


def days_between(first: date, last: date) -> list[date]:
    """Return the days from the first to the last, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
