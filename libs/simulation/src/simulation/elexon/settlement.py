"""Half-hours of the British settlement day, and the runs that issue their figures anew."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
HALF_HOUR = timedelta(minutes=30)
USUAL_PERIODS = 48
MOST_PERIODS = 50
PUBLISHED_AFTER = timedelta(minutes=15)  # from a period's end to its first figures


class Run(StrEnum):
    """Which issue of the figures it is; each replaces the one before."""

    INDICATIVE = "indicative"
    II = "II"
    SF = "SF"
    R1 = "R1"
    R2 = "R2"
    R3 = "R3"
    RF = "RF"


RUNS = tuple(Run)
AGE_DAYS = {
    Run.INDICATIVE: 0,
    Run.II: 5,
    Run.SF: 22,
    Run.R1: 57,
    Run.R2: 122,
    Run.R3: 219,
    Run.RF: 427,
}


@lru_cache(maxsize=4096)
def first_instant(day: date) -> datetime:
    """Return the start of period 1: midnight in London, in UTC."""
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


def periods_in(day: date) -> int:
    """Return 48; 46 on the day the clocks go forward, 50 when they go back."""
    return (first_instant(day + timedelta(days=1)) - first_instant(day)) // HALF_HOUR


def start_of(day: date, period: int) -> datetime:
    """Return the instant at which a period of a day begins."""
    return first_instant(day) + (period - 1) * HALF_HOUR


def settlement_of(instant: datetime) -> tuple[date, int]:
    """Return the settlement day and period that an instant lies in."""
    day = instant.astimezone(LONDON).date()
    return day, (instant - first_instant(day)) // HALF_HOUR + 1


def run_at(day: date, now: datetime) -> Run:
    """Return the newest run that has been issued for a day by now."""
    age_days = (now - first_instant(day)).days
    return max(
        (run for run in RUNS if AGE_DAYS[run] <= max(age_days, 0)), key=lambda run: AGE_DAYS[run]
    )


def created_at(day: date, period: int, run: Run) -> datetime:
    """Return when a run issued a period's figures."""
    if run is Run.INDICATIVE:
        return start_of(day, period) + HALF_HOUR + PUBLISHED_AFTER
    return first_instant(day) + timedelta(days=AGE_DAYS[run], hours=11, seconds=7 * period)


def iso(instant: datetime) -> str:
    """Write an instant as the provider does."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
