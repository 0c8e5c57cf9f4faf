"""TA-Lib behind a typed surface: every parameter explicit, arrays in, arrays as long out.

Inputs hold no NaN (one poisons all that follows); outputs are NaN where not yet defined. Wilder's
averages and EMAs are seeded by a simple average, the deviation of the bands is the population's.
"""

from functools import cache
from typing import Any

from intelligence.domain.indicators import Column


@cache
def _library() -> Any:
    # It imports pandas where that is installed: 0.8 s that only the first computation pays.
    import talib  # noqa: PLC0415

    return talib


def rsi(close: Column) -> Column:
    """Relative strength index over 14 bars; 0 (not NaN) where nothing moves."""
    return _library().RSI(close, timeperiod=14)


def macd(close: Column) -> tuple[Column, Column, Column]:
    """Return EMA 12 less EMA 26, its EMA 9, and their difference."""
    return _library().MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)


def bollinger(close: Column) -> tuple[Column, Column, Column]:
    """Return the upper, middle and lower band: SMA 20, two standard deviations around it."""
    return _library().BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0, matype=0)


def ema(close: Column, bars: int) -> Column:
    """Exponential moving average."""
    return _library().EMA(close, timeperiod=bars)


def sma(close: Column, bars: int) -> Column:
    """Return the simple moving average."""
    return _library().SMA(close, timeperiod=bars)


def stochastic(high: Column, low: Column, close: Column) -> tuple[Column, Column]:
    """Return %K over 14 bars smoothed by 3, and %D, its average of 3; 0 where nothing moves."""
    return _library().STOCH(
        high, low, close, fastk_period=14, slowk_period=3, slowk_matype=0,
        slowd_period=3, slowd_matype=0,
    )  # fmt: skip


def adx(high: Column, low: Column, close: Column) -> Column:
    """Average directional index over 14 bars; 0 where nothing moves."""
    return _library().ADX(high, low, close, timeperiod=14)


def plus_di(high: Column, low: Column, close: Column) -> Column:
    """Return the index of rises over 14 bars; 0 where nothing moves."""
    return _library().PLUS_DI(high, low, close, timeperiod=14)


def minus_di(high: Column, low: Column, close: Column) -> Column:
    """Return the index of falls over 14 bars; 0 where nothing moves."""
    return _library().MINUS_DI(high, low, close, timeperiod=14)


def atr(high: Column, low: Column, close: Column) -> Column:
    """Average true range over 14 bars."""
    return _library().ATR(high, low, close, timeperiod=14)


def obv(close: Column, volume: Column) -> Column:
    """On-balance volume, beginning with the first bar's."""
    return _library().OBV(close, volume)


def highest(values: Column, bars: int) -> Column:
    """Return the greatest of the last `bars` values."""
    return _library().MAX(values, timeperiod=bars)


def lowest(values: Column, bars: int) -> Column:
    """Return the least of the last `bars` values."""
    return _library().MIN(values, timeperiod=bars)
