"""The signal: a score from -100 (sell) to +100 (buy), the sum of six documented parts.

What is dear in a range is strong in a trend, so two groups of parts share the score, each weighing
100 by itself. The trend's share grows with the ADX: none at 15, all from 35. Every part leans
between -1 and +1; its points are lean times weight times its group's share.

| part       | group | weight | leans by                                                         |
|------------|-------|--------|------------------------------------------------------------------|
| ema        | trend | 40     | (EMA 12 - EMA 26), in average true ranges                        |
| macd       | trend | 30     | the histogram, in quarters of the average true range             |
| direction  | trend | 30     | twice (+DI - -DI) / (+DI + -DI)                                  |
| rsi        | range | 40     | (50 - RSI) / 20: below 30 fully to buy, above 70 fully to sell   |
| bollinger  | range | 35     | (middle - close), in half widths of the band                     |
| stochastic | range | 25     | (50 - %K) / 30: below 20 fully to buy, above 80 fully to sell    |

BUY from +50, SELL from -50. A part that is not defined counts nothing; when those that are weigh
less than 50 together, and while there is no ADX, the signal is NEUTRAL whatever they say.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from intelligence.domain.indicators import Bars, Column, Indicators

TREND_WEIGHTS = {"ema": 40, "macd": 30, "direction": 30}
RANGE_WEIGHTS = {"rsi": 40, "bollinger": 35, "stochastic": 25}
THRESHOLD = 50.0
LEAST_WEIGHT = 50
_NO_TREND_ADX, _ALL_TREND_ADX = 15, 35
TREND_BARS = 50
_TREND_ADX = 20
_STRONG_ADX = 40


class Signal(StrEnum):
    """What the score says."""

    BUY = "BUY"
    SELL = "SELL"
    NEUTRAL = "NEUTRAL"


class Direction(StrEnum):
    """Where the price is going."""

    UP = "up"
    DOWN = "down"
    SIDEWAYS = "sideways"


class Strength(StrEnum):
    """How decidedly: ADX below 20, below 40, from 40."""

    WEAK = "weak"
    MODERATE = "moderate"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Part:
    """One part at every bar; NaN where it is not defined."""

    lean: Column
    weight: Column
    """Its own weight times its group's share."""

    @property
    def points(self) -> Column:
        """Return what it adds to the score."""
        return self.lean * self.weight


@dataclass(frozen=True, slots=True)
class Scores:
    """Score, parts and signal of every bar."""

    parts: dict[str, Part]
    total: Column
    signal: NDArray[np.int8]
    """+1 buy, -1 sell, 0 neutral."""

    def said(self, bar: int = -1) -> Signal:
        """Return the signal of one bar."""
        return (Signal.NEUTRAL, Signal.BUY, Signal.SELL)[int(self.signal[bar])]


@dataclass(frozen=True, slots=True)
class Trend:
    """The direction of the last bars, with what it rests on."""

    direction: Direction
    strength: Strength
    slope_percent_per_bar: float
    """Of the least-squares line through the logarithms of the last 50 closes."""
    fit: float
    """R² of that line: 1 is a straight march."""


def score(bars: Bars, found: Indicators) -> Scores:
    """Score every bar. What a bar's score says was known when the bar closed."""
    share = np.clip((found.adx - _NO_TREND_ADX) / (_ALL_TREND_ADX - _NO_TREND_ADX), 0, 1)
    weights = {name: weight * share for name, weight in TREND_WEIGHTS.items()}
    weights |= {name: weight * (1 - share) for name, weight in RANGE_WEIGHTS.items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        leans = _leans(bars, found)
    parts = {name: Part(_lean(leans[name]), weight) for name, weight in weights.items()}
    points = np.array([part.points for part in parts.values()])
    total = np.nansum(points, axis=0)
    defined = np.where(np.isfinite(points), np.array(list(weights.values())), 0).sum(axis=0)
    said = np.sign(total) * ((np.abs(total) >= THRESHOLD) & (defined >= LEAST_WEIGHT))
    return Scores(parts=parts, total=total, signal=said.astype(np.int8))


def _leans(bars: Bars, found: Indicators) -> dict[str, Column]:
    plus, minus = found.plus_di, found.minus_di
    return {
        "ema": (found.ema_12 - found.ema_26) / found.atr,
        "macd": found.macd_histogram / (found.atr / 4),
        "direction": 2 * (plus - minus) / (plus + minus),
        "rsi": (50 - found.rsi) / 20,
        "bollinger": (found.bb_middle - bars.close) / (found.bb_upper - found.bb_middle),
        "stochastic": (50 - found.stoch_k) / 30,
    }


def _lean(value: Column) -> Column:
    return np.where(np.isfinite(value), np.clip(value, -1, 1), np.nan)


def trend(bars: Bars, found: Indicators) -> Trend | None:
    """Return the trend at the last bar; None while it is not defined.

    Up (down) when EMA 12 is above (below) EMA 26, the line through the last 50 closes rises
    (falls) and the ADX is at least 20; sideways otherwise.
    """
    closes = bars.close[np.isfinite(bars.close)][-TREND_BARS:]
    if len(closes) < TREND_BARS:
        return None
    fast_less_slow, adx = float(found.ema_12[-1] - found.ema_26[-1]), float(found.adx[-1])
    if not np.isfinite(adx + fast_less_slow):
        return None
    slope, fit = _line(np.log(closes))
    direction = Direction.SIDEWAYS
    if adx >= _TREND_ADX and fast_less_slow * slope > 0:
        direction = Direction.UP if slope > 0 else Direction.DOWN
    return Trend(direction, _strength(adx), 100 * float(np.expm1(slope)), fit)


def _strength(adx: float) -> Strength:
    if adx < _TREND_ADX:
        return Strength.WEAK
    return Strength.MODERATE if adx < _STRONG_ADX else Strength.STRONG


def _line(values: Column) -> tuple[float, float]:
    """Return the slope of the least-squares line, and its R²."""
    at = np.arange(len(values)) - (len(values) - 1) / 2
    around = values - values.mean()
    slope = float(at @ around / (at @ at))
    scatter = float(around @ around)
    return slope, 0.0 if scatter == 0 else slope * slope * float(at @ at) / scatter
