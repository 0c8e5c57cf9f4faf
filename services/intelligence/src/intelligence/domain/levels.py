"""Support and resistance: turning points of the price, clustered."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from intelligence.domain.indicators import RANGES, Bars, Column, Mask, Rows, usable

REACH = 5
"""A pivot is the extreme of this many bars on either side."""
_TOLERANCE_RANGES = 0.5
_MOST = 5


class Side(StrEnum):
    """Which side of the price a level is on."""

    SUPPORT = "support"
    RESISTANCE = "resistance"


@dataclass(frozen=True, slots=True)
class Level:
    """A price at which the market has turned."""

    side: Side
    usd: float
    """The mean of its pivots."""
    touches: int
    last_touched_s: float
    distance_percent: float
    """From the last close: below it negative."""


def pivots(bars: Bars) -> tuple[Mask, Mask]:
    """Return at which bars the price turned down (a high) and up (a low).

    The first of equal extremes counts. The last five bars cannot be judged yet.
    """
    high, low = np.zeros(len(bars), dtype=np.bool_), np.zeros(len(bars), dtype=np.bool_)
    if len(bars) > 2 * REACH:
        inner = slice(REACH, len(bars) - REACH)
        high[inner] = _peaks(bars.high)
        low[inner] = _peaks(-bars.low)
    return high, low


def _peaks(values: Column) -> Mask:
    windows = sliding_window_view(values, 2 * REACH + 1)
    middle = windows[:, REACH]
    before, after = windows[:, :REACH].max(axis=1), windows[:, REACH + 1 :].max(axis=1)
    return (middle > before) & (middle >= after)


def levels(bars: Bars) -> list[Level]:
    """Return at most five levels on either side of the last close, the nearest first.

    Pivots nearer to each other than half the average range of a bar are one level. When there are
    too many, those touched once give way, then the farthest.
    """
    bars = bars.take(usable(bars, RANGES))
    if not len(bars):
        return []
    at_high, at_low = pivots(bars)
    usd = np.concatenate((bars.high[at_high], bars.low[at_low]))
    time_s = np.concatenate((bars.time_s[at_high], bars.time_s[at_low]))
    tolerance = _TOLERANCE_RANGES * float(np.mean(bars.high - bars.low))
    close = float(bars.close[-1])
    found = [
        Level(
            Side.SUPPORT if (mean := float(usd[rows].mean())) < close else Side.RESISTANCE,
            mean,
            len(rows),
            float(time_s[rows].max()),
            100 * (mean / close - 1),
        )
        for rows in _clusters(usd, tolerance)
    ]
    return [level for side in Side for level in _chosen(found, side)]


def _clusters(values: Column, tolerance: float) -> list[Rows]:
    """Group values, walking upwards: one joins while it is near the mean of those before it."""
    found: list[list[int]] = []
    total = 0.0
    for row in np.argsort(values, kind="stable"):
        value = float(values[row])
        if found and value - total / len(found[-1]) <= tolerance:
            found[-1].append(int(row))
            total += value
        else:
            found.append([int(row)])
            total = value
    return [np.array(rows, dtype=np.intp) for rows in found]


def _chosen(found: list[Level], side: Side) -> list[Level]:
    mine = [level for level in found if level.side is side]
    near = sorted(mine, key=lambda level: (level.touches == 1, abs(level.distance_percent)))[:_MOST]
    return sorted(near, key=lambda level: abs(level.distance_percent))
