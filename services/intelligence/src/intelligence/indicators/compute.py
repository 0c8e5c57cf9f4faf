"""All indicators of one series.

A candle without a close (or range, or volume) is left out of the indicators that need it: each is
computed on the candles that do have it, as charts do, and is null at the others. Carrying a value
forward would invent a bar without movement, and a zero volume.
"""

from collections.abc import Callable

import numpy as np

from intelligence.domain.indicators import (
    CLOSES,
    RANGES,
    STILL,
    TRADES,
    VOLUMES,
    Bars,
    Column,
    Indicators,
    Mask,
    lingering,
    moving,
    shifted,
    usable,
    vwap,
)
from intelligence.indicators import ta_lib

WARM_UP = 300
"""Candles computed before the first one shown: a seed then weighs less than 1e-9 in an average."""
_DISPLACEMENT = 26


def compute(bars: Bars) -> Indicators:
    """Compute every indicator; the candles are in order of time and not repeated."""
    return Indicators(
        **_on(bars, usable(bars, CLOSES), _of_closes),
        **_on(bars, usable(bars, RANGES), _of_ranges),
        **_on(bars, usable(bars, VOLUMES), _on_balance),
        **_on(bars, usable(bars, TRADES), _averaged),
    )


def _on(
    bars: Bars, defined: Mask, function: Callable[[Bars], dict[str, Column]]
) -> dict[str, Column]:
    """Compute on the candles that have what is needed; NaN at the others."""
    if defined.all():
        return function(bars)
    found = function(bars.take(defined))
    return {name: _scattered(column, defined) for name, column in found.items()}


def _scattered(values: Column, defined: Mask) -> Column:
    column = np.full(len(defined), np.nan)
    column[defined] = values
    return column


def _where(defined: Mask, values: Column) -> Column:
    return np.where(defined, values, np.nan)


def _of_closes(bars: Bars) -> dict[str, Column]:
    close = bars.close
    macd, macd_signal, macd_histogram = ta_lib.macd(close)
    bb_upper, bb_middle, bb_lower = ta_lib.bollinger(close)
    # The denominator of the RSI, average gain plus average loss, is the average true range of
    # candles that are only a close.
    change = ta_lib.atr(close, close, close)
    return {
        "rsi": _where(change >= STILL, ta_lib.rsi(close)),
        "macd": macd,
        "macd_signal": macd_signal,
        "macd_histogram": macd_histogram,
        "bb_upper": bb_upper,
        "bb_middle": bb_middle,
        "bb_lower": bb_lower,
        "ema_12": ta_lib.ema(close, 12),
        "ema_20": ta_lib.ema(close, 20),
        "ema_26": ta_lib.ema(close, 26),
        "sma_20": ta_lib.sma(close, 20),
    }


def _of_ranges(bars: Bars) -> dict[str, Column]:
    found = _directional(bars)
    high, low, close = bars.high, bars.low, bars.close
    stoch_k, stoch_d = ta_lib.stochastic(high, low, close)
    # A bar whose 14 bars have no range has no %K of its own: three smoothed ones hold it, and
    # five averages of those.
    flat = ta_lib.highest(high, 14) == ta_lib.lowest(low, 14)
    return found | {
        "stoch_k": _where(~lingering(flat, 3), stoch_k),
        "stoch_d": _where(~lingering(flat, 5), stoch_d),
        **_ichimoku(bars),
    }


def _directional(bars: Bars) -> dict[str, Column]:
    candles = (bars.high, bars.low, bars.close)
    atr, plus, minus = ta_lib.atr(*candles), ta_lib.plus_di(*candles), ta_lib.minus_di(*candles)
    directed = moving(plus + minus, atr)
    seeded = np.cumsum(directed) >= 14  # noqa: PLR2004  (its period)
    return {
        "atr": atr,
        "plus_di": _where(atr >= STILL, plus),
        "minus_di": _where(atr >= STILL, minus),
        "adx": _where(directed & seeded, ta_lib.adx(*candles)),
    }


def _ichimoku(bars: Bars) -> dict[str, Column]:
    """Compute Ichimoku 9/26/52; the spans are shown 26 bars later, the close 26 bars earlier."""
    conversion, base, slow = (_middle(bars, length) for length in (9, 26, 52))
    return {
        "ichimoku_conversion": conversion,
        "ichimoku_base": base,
        "ichimoku_span_a": shifted((conversion + base) / 2, _DISPLACEMENT),
        "ichimoku_span_b": shifted(slow, _DISPLACEMENT),
        "ichimoku_lagging": shifted(bars.close, -_DISPLACEMENT),
    }


def _middle(bars: Bars, length: int) -> Column:
    return (ta_lib.highest(bars.high, length) + ta_lib.lowest(bars.low, length)) / 2


def _on_balance(bars: Bars) -> dict[str, Column]:
    return {"obv": ta_lib.obv(bars.close, bars.volume)}


def _averaged(bars: Bars) -> dict[str, Column]:
    return {"vwap": vwap(bars)}
