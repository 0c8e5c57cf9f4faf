"""TA-Lib against closed forms written here, pandas, and an example published by others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from intelligence.domain.indicators import NEEDS, Bars, Column, reasons
from intelligence.domain.signals import score
from intelligence.indicators.compute import WARM_UP, compute

Walk = Callable[..., Bars]

FIRST = {
    "rsi": 14, "macd": 33, "macd_signal": 33, "macd_histogram": 33, "bb_upper": 19,
    "bb_middle": 19, "bb_lower": 19, "ema_12": 11, "ema_20": 19, "ema_26": 25, "sma_20": 19,
    "stoch_k": 17, "stoch_d": 17, "adx": 27, "plus_di": 14, "minus_di": 14, "atr": 14, "obv": 0,
    "vwap": 0, "ichimoku_conversion": 8, "ichimoku_base": 25, "ichimoku_span_a": 51,
    "ichimoku_span_b": 77,
}  # fmt: skip


def _pandas(values: Column) -> Any:
    return pd.Series(values)  # only partly typed


def _wilder(values: Column, period: int = 14) -> Column:
    """Wilder's average, seeded by the mean of the first `period` values."""
    found = np.full(len(values), np.nan)
    found[period - 1] = values[:period].mean()
    for bar in range(period, len(values)):
        found[bar] = (found[bar - 1] * (period - 1) + values[bar]) / period
    return found


def _ema(values: Column, period: int) -> Column:
    found = np.full(len(values), np.nan)
    found[period - 1] = values[:period].mean()
    for bar in range(period, len(values)):
        found[bar] = found[bar - 1] + 2 / (period + 1) * (values[bar] - found[bar - 1])
    return found


def _true_range(bars: Bars) -> Column:
    before = bars.close[:-1]
    high, low = bars.high[1:], bars.low[1:]
    return np.maximum(high - low, np.maximum(np.abs(high - before), np.abs(low - before)))


def _same(found: Column, expected: Column) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)


def test_rsi_of_the_example_of_chartschool() -> None:
    """Closes and RSI 14 of StockCharts' worked example, rounded there to two places."""
    close = np.array(
        [44.34, 44.09, 44.15, 43.61, 44.33, 44.83, 45.10, 45.42, 45.84, 46.08, 45.89, 46.03, 45.61,
         46.28, 46.28, 46.00, 46.03, 46.41, 46.22, 45.64, 46.21]
    )  # fmt: skip
    bars = Bars(np.arange(21.0), close, close, close, close, np.ones(21))
    found = compute(bars).rsi
    assert np.isnan(found[:14]).all()
    np.testing.assert_allclose(
        found[14:], [70.46, 66.25, 66.48, 69.35, 66.29, 57.92, 62.88], atol=0.006
    )


def test_rsi_is_wilders(walk: Walk) -> None:
    bars = walk(400)
    change = np.diff(bars.close)
    gain, loss = _wilder(np.maximum(change, 0)), _wilder(np.maximum(-change, 0))
    _same(compute(bars).rsi[1:], 100 * gain / (gain + loss))


def test_macd_is_of_emas_that_begin_together(walk: Walk) -> None:
    bars = walk(400)
    fast = np.full(400, np.nan)
    fast[14:] = _ema(bars.close[14:], 12)  # seeded by the mean of bars 14 to 25, as the slow one
    line = fast - _ema(bars.close, 26)
    signal = np.full(400, np.nan)
    signal[25:] = _ema(line[25:], 9)
    found = compute(bars)
    _same(found.macd[33:], line[33:])
    _same(found.macd_signal, signal)
    _same(found.macd_histogram, line - signal)


def test_averages_are_seeded_by_simple_ones(walk: Walk) -> None:
    bars = walk(200)
    found = compute(bars)
    for period, column in ((12, found.ema_12), (20, found.ema_20), (26, found.ema_26)):
        _same(column, _ema(bars.close, period))
    _same(found.sma_20, _pandas(bars.close).rolling(20).mean().to_numpy())


def test_bands_use_the_deviation_of_the_population(walk: Walk) -> None:
    bars = walk(300)
    rolling = _pandas(bars.close).rolling(20)
    middle, width = rolling.mean().to_numpy(), 2 * rolling.std(ddof=0).to_numpy()
    found = compute(bars)
    _same(found.bb_upper, middle + width)
    _same(found.bb_middle, middle)
    _same(found.bb_lower, middle - width)


def test_stochastic_is_14_3_3(walk: Walk) -> None:
    bars = walk(300)
    lowest = _pandas(bars.low).rolling(14).min()
    highest = _pandas(bars.high).rolling(14).max()
    fast = 100 * (_pandas(bars.close) - lowest) / (highest - lowest)
    slow = fast.rolling(3).mean()
    found = compute(bars)
    _same(found.stoch_k[17:], slow.to_numpy()[17:])
    _same(found.stoch_d, slow.rolling(3).mean().to_numpy())


def test_range_and_direction_are_wilders(walk: Walk) -> None:
    bars = walk(300)
    found = compute(bars)
    _same(found.atr[1:], _wilder(_true_range(bars)))
    up, down = np.diff(bars.high), -np.diff(bars.low)
    moves = np.where((up > down) & (up > 0), up, 0), np.where((down > up) & (down > 0), down, 0)
    # The sums begin with the first 13 moves, and lose a fourteenth of themselves at every bar.
    plus, minus, ranges = (_summed(one) for one in (*moves, _true_range(bars)))
    _same(found.plus_di[1:], 100 * plus / ranges)
    _same(found.minus_di[1:], 100 * minus / ranges)
    directed = 100 * np.abs(plus - minus) / (plus + minus)
    _same(found.adx[14:], _wilder(directed[13:]))


def _summed(values: Column) -> Column:
    found = np.full(len(values), np.nan)
    total = values[:13].sum()
    for bar in range(13, len(values)):
        total = total - total / 14 + values[bar]
        found[bar] = total
    return found


def test_volume_on_balance(walk: Walk) -> None:
    bars = walk(50)
    signs = np.sign(np.diff(bars.close, prepend=bars.close[0]))
    expected = bars.volume[0] + np.cumsum(np.where(np.arange(50) > 0, signs * bars.volume, 0))
    _same(compute(bars).obv, expected)


def test_ichimoku(walk: Walk) -> None:
    bars = walk(200)
    found = compute(bars)
    conversion, base, slow = (
        ((_pandas(bars.high).rolling(n).max() + _pandas(bars.low).rolling(n).min()) / 2)
        for n in (9, 26, 52)
    )
    _same(found.ichimoku_conversion, conversion.to_numpy())
    _same(found.ichimoku_base, base.to_numpy())
    _same(found.ichimoku_span_a, ((conversion + base) / 2).shift(26).to_numpy())
    _same(found.ichimoku_span_b, slow.shift(26).to_numpy())
    _same(found.ichimoku_lagging, _pandas(bars.close).shift(-26).to_numpy())


def test_pandas_that_seeds_otherwise_agrees_after_the_warm_up(walk: Walk) -> None:
    bars = walk(600)
    gain, loss = (
        _pandas(np.maximum(sign * np.diff(bars.close), 0)).ewm(alpha=1 / 14, adjust=False).mean()
        for sign in (1, -1)
    )
    theirs = (100 * gain / (gain + loss)).to_numpy()
    ours = compute(bars).rsi[1:]
    assert abs(ours[13] - theirs[13]) > 0.1
    np.testing.assert_allclose(ours[300:], theirs[300:], atol=1e-6)


def test_the_first_value_comes_where_it_is_defined_and_none_is_missing_after(walk: Walk) -> None:
    columns = compute(walk(200)).columns()
    for name, first in FIRST.items():
        defined = np.isfinite(columns[name])
        assert not defined[:first].any(), name
        assert defined[first:].all(), name
        assert NEEDS[name][0] == first + 1, name
    assert np.isfinite(columns["ichimoku_lagging"][:-26]).all()


@pytest.mark.parametrize("bars", [0, 1, 2, 13, 14, 27, 28])
def test_warm_up_is_null_and_never_0(walk: Walk, bars: int) -> None:
    series = walk(bars)
    found = compute(series)
    for name, first in FIRST.items():
        column = found.columns()[name]
        assert len(column) == bars
        assert np.isnan(column[:first]).all()
        assert (name in reasons(series, found)) == (bars <= first)


def test_fewer_than_15_closes_leave_the_rsi_null_with_the_reason(walk: Walk) -> None:
    series = walk(14)
    found = compute(series)
    assert np.isnan(found.rsi).all()
    assert reasons(series, found)["rsi"] == "It needs 15 candles with close; there are 14."


def test_a_flat_series_has_no_rsi_stochastic_or_adx() -> None:
    flat = np.full(120, 60_000.1)
    series = Bars(3600 * np.arange(120.0), flat, flat, flat, flat, np.ones(120))
    found = compute(series)
    why = reasons(series, found)
    for name in ("rsi", "stoch_k", "stoch_d", "adx", "plus_di", "minus_di"):
        assert np.isnan(found.columns()[name]).all()
        assert why[name] == "The price does not move: it would be zero divided by zero."
    assert found.sma_20[-1] == found.bb_upper[-1] == found.bb_lower[-1] == pytest.approx(60_000.1)
    assert found.atr[-1] == found.macd_histogram[-1] == 0  # nothing moved: that is the value


def test_a_range_without_direction_has_no_adx() -> None:
    close = np.full(60, 100.0)
    series = Bars(3600 * np.arange(60.0), close, close + 1, close - 1, close, np.ones(60))
    found = compute(series)
    assert np.isnan(found.adx).all()
    assert found.plus_di[-1] == found.minus_di[-1] == 0
    assert found.stoch_k[-1] == pytest.approx(50)


def test_a_flat_stretch_inside_a_series(walk: Walk) -> None:
    moving = walk(900)
    stretch = slice(100, 760)
    columns = {name: getattr(moving, name).copy() for name in ("open", "high", "low", "close")}
    for column in columns.values():
        column[stretch] = moving.close[99]
    found = compute(replace(moving, **columns))
    # Wilder's averages only fade: the RSI stays as it was, until nothing is left to divide by.
    np.testing.assert_allclose(found.rsi[101:200], found.rsi[100], rtol=1e-6)
    assert np.isnan(found.rsi[759])
    assert np.isnan(found.adx[759])
    assert not (found.rsi == 0).any()
    # The window of the stochastic holds nothing else after 14 bars; %K averages 3 of those.
    assert np.isfinite(found.stoch_k[112])
    assert np.isnan(found.stoch_k[113:760]).all()
    for column in (found.rsi, found.stoch_k, found.stoch_d, found.adx):
        assert np.isfinite(column[780:]).all()


def test_rising_only_is_100_and_falling_only_is_a_true_0() -> None:
    rising = np.arange(1.0, 61)
    for close, expected in ((rising, 100.0), (rising[::-1].copy(), 0.0)):
        found = compute(Bars(rising, close, close, close, close, np.ones(60)))
        assert found.rsi[-1] == expected


@pytest.mark.parametrize("missing", [0, 5, 14, 60, 119])
def test_a_missing_close_is_null_and_poisons_nothing(walk: Walk, missing: int) -> None:
    series = walk(120)
    close = series.close.copy()
    close[missing] = np.nan
    found = compute(replace(series, close=close))
    without = compute(series.take(np.arange(120) != missing))
    for name, column in found.columns().items():
        assert np.isnan(column[missing]), name
        np.testing.assert_array_equal(np.delete(column, missing), without.columns()[name])
    assert not (found.rsi == 0).any()


def test_a_missing_volume_costs_only_what_needs_it(walk: Walk) -> None:
    series = walk(60)
    volume = series.volume.copy()
    volume[30] = np.nan
    found, whole = compute(replace(series, volume=volume)), compute(series)
    assert np.isnan(found.obv[30])
    assert np.isnan(found.vwap[30])
    assert np.isfinite(found.obv[31:]).all()
    np.testing.assert_array_equal(found.rsi, whole.rsi)
    np.testing.assert_array_equal(found.adx, whole.adx)


def test_a_series_without_any_close_is_null_throughout(walk: Walk) -> None:
    series = replace(walk(40), close=np.full(40, np.nan))
    found = compute(series)
    assert all(np.isnan(column).all() for column in found.columns().values())
    assert reasons(series, found)["ema_12"] == "It needs 12 candles with close; there are 0."


def test_the_reason_names_a_last_candle_without_a_close(walk: Walk) -> None:
    series = walk(60)
    close = series.close.copy()
    close[-1] = np.nan
    series = replace(series, close=close, volume=np.zeros(60))
    why = reasons(series, compute(series))
    assert why["rsi"] == "The last candle lacks close."
    series = replace(walk(90), volume=np.zeros(90))
    assert reasons(series, compute(series)) == {"vwap": "Nothing was traded."}


@pytest.mark.parametrize("known", [40, 78, 150])
def test_no_value_and_no_signal_knows_the_future(walk: Walk, known: int) -> None:
    series = walk(300)
    whole, part = compute(series), compute(series.take(slice(0, known)))
    for name, column in part.columns().items():
        if name != "ichimoku_lagging":  # drawn backwards on purpose; no signal reads it
            np.testing.assert_allclose(column, whole.columns()[name][:known], rtol=1e-12)
    np.testing.assert_array_equal(
        score(series.take(slice(0, known)), part).signal, score(series, whole).signal[:known]
    )


def test_after_the_warm_up_the_beginning_of_the_series_does_not_matter(walk: Walk) -> None:
    series = walk(900)
    late = series.take(slice(550, None))
    whole, tail = compute(series).take(slice(550, None)), compute(late)
    for name in set(FIRST) - {"obv", "vwap"}:
        np.testing.assert_allclose(
            tail.columns()[name][WARM_UP:], whole.columns()[name][WARM_UP:], rtol=1e-6, atol=1e-3
        )
