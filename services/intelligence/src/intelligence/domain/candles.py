"""Candles: what makes a bar credible, where bars are missing, and one series out of many venues.

Nothing is invented here: a bar that cannot be is left out and counted, a bar that nobody has stays
a hole.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from intelligence.domain.aggregate import disagree, outliers

INDEX = "index"
"""The venue of the consolidated series."""
HIGHEST_PRICE = Decimal(1_000_000_000)
MOST_VOLUME = Decimal(10**12)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Interval(StrEnum):
    """How long a bar lasts."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER = "15m"
    HOUR = "1h"
    FOUR_HOURS = "4h"
    DAY = "1d"

    @property
    def length(self) -> timedelta:
        """Return the time from one bar to the next."""
        return _LENGTHS[self]


_LENGTHS = {
    Interval.MINUTE: timedelta(minutes=1),
    Interval.FIVE_MINUTES: timedelta(minutes=5),
    Interval.QUARTER: timedelta(minutes=15),
    Interval.HOUR: timedelta(hours=1),
    Interval.FOUR_HOURS: timedelta(hours=4),
    Interval.DAY: timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Series:
    """Closed bars in the order of time, as columns; `time` is when a bar opened, epoch seconds."""

    interval: Interval
    time: NDArray[np.float64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    simulated: bool
    """Whether any of these bars came from a simulated venue."""

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar of one venue, or of the index."""

    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    simulated: bool = False
    venues: int = 1
    """Of how many venues it is the median."""
    disputed: bool = False
    """Whether those venues were so far apart that nobody can say which is right."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Consecutive bars that are missing: from the opening of the first to the end of the last."""

    starts_at: datetime
    ends_at: datetime
    bars: int


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The bars that can be used, in order; and how many were left out, by reason."""

    bars: list[Bar]
    rejected: Counter[str]
    duplicates: int
    out_of_order: int


def opening(at: datetime, interval: Interval) -> datetime:
    """Return when the bar opened that contains `at`; bars are counted from the epoch, in UTC."""
    return at - (at - _EPOCH) % interval.length


def fault_of(bar: Bar, interval: Interval, now: datetime) -> str | None:
    """Return why a bar cannot be, or None."""
    prices = (bar.open, bar.high, bar.low, bar.close)
    if not all(value.is_finite() for value in (*prices, bar.volume)):
        return "not_a_number"
    if min(prices) <= 0:
        return "not_positive"
    if max(prices) > HIGHEST_PRICE or bar.volume > MOST_VOLUME:
        return "out_of_range"
    if bar.volume < 0:
        return "negative_volume"
    return _disordered(bar) or _misplaced(bar.opened_at, interval, now)


def _disordered(bar: Bar) -> str | None:
    if bar.high < bar.low:
        return "high_below_low"
    if bar.high < max(bar.open, bar.close) or bar.low > min(bar.open, bar.close):
        return "outside_high_and_low"
    return None


def _misplaced(opened_at: datetime, interval: Interval, now: datetime) -> str | None:
    if opened_at > now:
        return "future"
    if opening(opened_at, interval) != opened_at:
        return "between_bars"
    return None


def clean(bars: Iterable[Bar], interval: Interval, now: datetime) -> Cleaned:
    """Put bars in order, one per time (the last said wins), without those that cannot be.

    The bar that has not closed yet is left out and not counted: it is right, only unfinished.
    """
    kept: dict[datetime, Bar] = {}
    rejected: Counter[str] = Counter()
    duplicates = out_of_order = 0
    latest = _EPOCH
    for bar in bars:
        fault = fault_of(bar, interval, now)
        if fault is not None:
            rejected[fault] += 1
            continue
        if bar.opened_at in kept:
            duplicates += 1
        elif bar.opened_at < latest:
            out_of_order += 1
        latest = max(latest, bar.opened_at)
        if bar.opened_at + interval.length <= now:
            kept[bar.opened_at] = bar
    return Cleaned([kept[at] for at in sorted(kept)], rejected, duplicates, out_of_order)


def holes(times: Sequence[datetime], interval: Interval) -> list[Hole]:
    """Return what is missing between bars that are in order."""
    step = interval.length
    found: list[Hole] = []
    for before, after in pairwise(times):
        missing = (after - before) // step - 1
        if missing > 0:
            found.append(Hole(before + step, after, missing))
    return found


def consolidate(venues: Mapping[str, Collection[Bar]]) -> list[Bar]:
    """Return the index: for each time the median of the venues that have a bar then.

    A venue whose close is an outlier is left out of that bar; the volume is the sum over the rest.
    As the median keeps order, high stays above open, close and low. Simulated bars count only
    where there is no real one.
    """
    by_time: dict[datetime, list[Bar]] = {}
    for bars in venues.values():
        for bar in bars:
            by_time.setdefault(bar.opened_at, []).append(bar)
    return [_middle(by_time[at]) for at in sorted(by_time)]


def _middle(bars: list[Bar]) -> Bar:
    real = [bar for bar in bars if not bar.simulated]
    fresh = real or bars
    closes = [bar.close for bar in fresh]
    dropped = outliers(closes)
    used = [bar for place, bar in enumerate(fresh) if place not in dropped]
    return Bar(
        opened_at=used[0].opened_at,
        open=median(bar.open for bar in used),
        high=median(bar.high for bar in used),
        low=median(bar.low for bar in used),
        close=median(bar.close for bar in used),
        volume=sum((bar.volume for bar in used), Decimal(0)),
        simulated=not real,
        venues=len(used),
        disputed=disagree([bar.close for bar in used]),
    )
