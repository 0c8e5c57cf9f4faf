"""What is worth telling about a site: medians, and what lies outside three median deviations.

The rule, for every kind: the last seven whole days are compared with the (up to) 28 whole days
before them, at least ten. The recent median is a finding when it lies more than three scaled median
absolute deviations (3 * 1.4826 * MAD, for normal values three standard deviations) from the earlier
median, and by at least a least share, so that a series that hardly moves does not cry at trifles.
Medians, because one blackout must neither hide a drift nor make one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Final, Literal

Severity = Literal["info", "warning", "critical"]

RECENT_DAYS: Final = 7
EARLIER_DAYS: Final = 28
LEAST_EARLIER: Final = 10
LEAST_RECENT: Final = 4
DEVIATIONS: Final = 3.0
MAD_TO_SIGMA: Final = 1.4826

LEAST_DRIFT: Final = 0.02
"""Of J/TH: what a warm week may do by itself."""
LEAST_LOAD_CHANGE: Final = 0.05
OVER_NAMEPLATE: Final = 0.05
"""Ratings are off by so much on healthy machines; beyond it something is to be found."""
_WARNING: Final = 0.05
_CRITICAL: Final = 0.10


@dataclass(frozen=True, slots=True)
class Daily:
    """A whole local day's value."""

    day: date
    value: float


@dataclass(frozen=True, slots=True)
class Deviation:
    """A recent median outside what the days before make likely."""

    recent: float
    usual: float
    low: float
    high: float
    first_day: date
    last_day: date
    compared_from: date

    @property
    def change(self) -> float:
        """Return the change as a share of what was usual."""
        return self.recent / self.usual - 1

    @property
    def severity(self) -> Severity:
        """Return how grave a change of this size is."""
        return severity_of(abs(self.change))


def severity_of(share: float) -> Severity:
    """Return info below 5 %, a warning below 10 %, and critical from there on."""
    if share >= _CRITICAL:
        return "critical"
    return "warning" if share >= _WARNING else "info"


def recent_of(days: Sequence[Daily], today: date) -> list[Daily]:
    """Return the whole days of the last week."""
    first = today - timedelta(days=RECENT_DAYS)
    return [one for one in days if first <= one.day < today]


def deviation(days: Sequence[Daily], today: date, *, least_change: float) -> Deviation | None:
    """Return how the last week deviates from the weeks before it; None where it does not."""
    recent = recent_of(days, today)
    split = today - timedelta(days=RECENT_DAYS)
    first = split - timedelta(days=EARLIER_DAYS)
    earlier = [one for one in days if first <= one.day < split]
    if len(recent) < LEAST_RECENT or len(earlier) < LEAST_EARLIER:
        return None
    usual = median(one.value for one in earlier)
    mad = median(abs(one.value - usual) for one in earlier)
    spread = max(DEVIATIONS * MAD_TO_SIGMA * mad, least_change * usual)
    found = median(one.value for one in recent)
    if usual <= 0 or abs(found - usual) <= spread:
        return None
    return Deviation(
        recent=found,
        usual=usual,
        low=usual - spread,
        high=usual + spread,
        first_day=recent[0].day,
        last_day=recent[-1].day,
        compared_from=earlier[0].day,
    )
