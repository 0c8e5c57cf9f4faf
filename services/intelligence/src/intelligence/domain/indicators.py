"""Candles as columns, what an indicator needs before it is defined, and those we add ourselves.

NaN stands for "no value" throughout; at the edge it becomes null. Never 0: a zero RSI is a signal.
"""

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Column: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]

DAY_S = 86_400
STILL = 2e-14
"""TA-Lib takes less than 1e-14 for zero and answers 0; we answer nothing, a little earlier."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles as columns of one length, a missing value as NaN. Times are seconds since 1970."""

    time_s: Column
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column

    def __len__(self) -> int:
        """Return the number of candles."""
        return len(self.time_s)

    def take(self, rows: Rows | Mask | slice) -> "Bars":
        """Return some of the candles."""
        return Bars(*(getattr(self, one.name)[rows] for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Indicators:
    """One array per indicator, each as long as the candles, NaN where it is not defined."""

    rsi: Column
    macd: Column
    macd_signal: Column
    macd_histogram: Column
    bb_upper: Column
    bb_middle: Column
    bb_lower: Column
    ema_12: Column
    ema_20: Column
    ema_26: Column
    sma_20: Column
    stoch_k: Column
    stoch_d: Column
    adx: Column
    plus_di: Column
    minus_di: Column
    atr: Column
    obv: Column
    vwap: Column
    ichimoku_conversion: Column
    ichimoku_base: Column
    ichimoku_span_a: Column
    ichimoku_span_b: Column
    ichimoku_lagging: Column

    def columns(self) -> dict[str, Column]:
        """Return the arrays by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def take(self, rows: Rows | Mask | slice) -> "Indicators":
        """Return the values of some of the candles."""
        return Indicators(**{name: column[rows] for name, column in self.columns().items()})


CLOSES = ("close",)
RANGES = ("high", "low", "close")
VOLUMES = ("close", "volume")
TRADES = ("high", "low", "close", "volume")
NEEDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "rsi": (15, CLOSES),
    "macd": (34, CLOSES),
    "macd_signal": (34, CLOSES),
    "macd_histogram": (34, CLOSES),
    "bb_upper": (20, CLOSES),
    "bb_middle": (20, CLOSES),
    "bb_lower": (20, CLOSES),
    "ema_12": (12, CLOSES),
    "ema_20": (20, CLOSES),
    "ema_26": (26, CLOSES),
    "sma_20": (20, CLOSES),
    "stoch_k": (18, RANGES),
    "stoch_d": (18, RANGES),
    "adx": (28, RANGES),
    "plus_di": (15, RANGES),
    "minus_di": (15, RANGES),
    "atr": (15, RANGES),
    "obv": (1, VOLUMES),
    "vwap": (1, TRADES),
    "ichimoku_conversion": (9, RANGES),
    "ichimoku_base": (26, RANGES),
    "ichimoku_span_a": (52, RANGES),
    "ichimoku_span_b": (78, RANGES),
}
"""How many candles with what make the first value; the lagging span has none at the end."""


def in_order(bars: Bars) -> tuple[Bars, Rows]:
    """Sort candles by time and drop repeated ones; of a repeated one the last sent counts.

    Also returns, for every candle sent, in order of time, which of the kept ones is its.
    """
    if not len(bars):
        return bars, np.empty(0, dtype=np.intp)
    order = np.argsort(bars.time_s, kind="stable")
    changes = np.diff(bars.time_s[order]) > 0
    kept = bars.take(order[np.append(changes, True)])
    return kept, np.concatenate(([0], np.cumsum(changes))).astype(np.intp)


def usable(bars: Bars, parts: tuple[str, ...]) -> Mask:
    """Return which candles have all these parts."""
    return np.logical_and.reduce([np.isfinite(getattr(bars, name)) for name in parts])


def lingering(mask: Mask, bars: int) -> Mask:
    """Return where the mask holds at a bar or at one of the `bars - 1` before it."""
    counted = np.concatenate((np.zeros(bars, dtype=np.intp), np.cumsum(mask)))
    return counted[bars:] > counted[:-bars]


def moving(directional: Column, average_range: Column) -> Mask:
    """Return where a directional index is no quotient of zero by zero."""
    return (average_range >= STILL) & (directional > 0)


def vwap(bars: Bars) -> Column:
    """Volume-weighted average of the typical price since the day began (UTC).

    For candles of a day or more, since the month began. The typical price is (high + low +
    close) / 3. NaN while nothing was traded.
    """
    if not len(bars):
        return np.empty(0)
    traded = bars.volume
    worth = (bars.high + bars.low + bars.close) / 3 * traded
    begins = np.diff(_period(bars.time_s), prepend=-1) != 0
    first = np.maximum.accumulate(np.where(begins, np.arange(len(bars)), 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return _since(worth, first) / _since(traded, first)


def _period(time_s: Column) -> NDArray[np.int64]:
    daily = len(time_s) > 1 and float(np.median(np.diff(time_s))) >= DAY_S
    if daily:
        return time_s.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    return np.floor_divide(time_s, DAY_S).astype(np.int64)


def _since(values: Column, first: Rows) -> Column:
    """Sum the values from each bar's period's first bar on."""
    total = np.cumsum(values)
    return total - (total - values)[first]


def shifted(values: Column, bars: int) -> Column:
    """Move values some bars later (or, below zero, earlier), NaN where none come from."""
    moved = np.full_like(values, np.nan)
    if 0 <= bars < len(values):
        moved[bars:] = values[: len(values) - bars]
    elif -len(values) < bars < 0:
        moved[:bars] = values[-bars:]
    return moved


def reasons(bars: Bars, indicators: Indicators) -> dict[str, str]:
    """Say for every indicator that is not defined at the last candle why that is so."""
    found: dict[str, str] = {}
    for name, column in indicators.columns().items():
        if name in NEEDS and not (len(bars) and np.isfinite(column[-1])):
            found[name] = _reason(bars, *NEEDS[name], still=name != "vwap")
    return found


def _reason(bars: Bars, needed: int, parts: tuple[str, ...], *, still: bool) -> str:
    defined, words = usable(bars, parts), " or ".join(parts)
    count = int(defined.sum())
    if count < needed:
        return f"It needs {needed} candles with {' and '.join(parts)}; there are {count}."
    if not defined[-1]:
        return f"The last candle lacks {words}."
    if still:
        return "The price does not move: it would be zero divided by zero."
    return "Nothing was traded."
