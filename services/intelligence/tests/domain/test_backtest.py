import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from intelligence.domain.backtest import YEAR_S, backtest
from intelligence.domain.indicators import Column

HOUR_S = 3600.0


def _array(*values: float) -> Column:
    return np.array(values, dtype=np.float64)


def _signal(*values: int) -> NDArray[np.int8]:
    return np.array(values, dtype=np.int8)


def test_an_example_worked_by_hand() -> None:
    """Buy is said at bar 0 and done at 100; sell is said at bar 2 and done at 120; 1 % each."""
    opened = _array(90, 100, 110, 120, 130)
    close = _array(95, 108, 115, 125, 128)
    found = backtest(opened, close, _signal(1, 0, -1, 0, 0), cost_percent=1, bar_s=HOUR_S)
    np.testing.assert_allclose(
        found.equity, [1, 0.99 * 1.08, 0.99 * 1.15, 0.99 * 1.2 * 0.99, 0.99 * 1.2 * 0.99]
    )
    [trade] = found.trades
    assert (trade.bought, trade.sold) == (1, 3)
    assert trade.return_percent == pytest.approx(100 * (1.2 * 0.99**2 - 1))
    assert found.win_rate_percent == 100
    assert found.exposure_percent == 40
    np.testing.assert_allclose(found.held, [1, *(0.99 * close[1:] / 100)])
    assert found.buy_and_hold.return_percent == pytest.approx(100 * (0.99 * 1.28 - 1))


def test_drawdown_is_from_the_peak_the_beginning_included() -> None:
    opened = _array(100, 100, 100, 100)
    close = _array(100, 50, 75, 150)
    found = backtest(opened, close, _signal(1, 0, 0, 0), cost_percent=0, bar_s=HOUR_S)
    assert found.strategy.max_drawdown_percent == pytest.approx(50)
    assert found.win_rate_percent is None  # the only trade is open
    assert found.trades[0].sold is None
    assert found.trades[0].return_percent == pytest.approx(50)


def test_sharpe_is_mean_by_deviation_per_year() -> None:
    opened, close = _array(100, 100, 101, 100, 102), _array(100, 101, 100, 102, 103)
    found = backtest(opened, close, _signal(1, 0, 0, 0, 0), cost_percent=0, bar_s=HOUR_S)
    returns = np.diff(np.concatenate(([1.0, 1.0], close[1:] / 100))) / np.concatenate(
        ([1.0, 1.0], close[1:-1] / 100)
    )
    expected = returns.mean() / returns.std(ddof=1) * np.sqrt(YEAR_S / HOUR_S)
    assert found.strategy.sharpe == pytest.approx(expected)


def test_a_signal_that_says_nothing_earns_and_loses_nothing() -> None:
    prices = _array(100, 110, 90, 95)
    found = backtest(prices, prices, _signal(0, 0, 0, 0), cost_percent=1, bar_s=HOUR_S)
    assert (found.strategy.return_percent, found.strategy.max_drawdown_percent) == (0, 0)
    assert found.strategy.sharpe is None
    assert found.win_rate_percent is None
    assert (found.exposure_percent, found.trades) == (0, [])


def test_a_sell_without_a_purchase_and_a_second_buy_change_nothing() -> None:
    prices = _array(100, 110, 90, 95, 99)
    found = backtest(prices, prices, _signal(-1, 1, 1, 0, 0), cost_percent=1, bar_s=HOUR_S)
    assert [(trade.bought, trade.sold) for trade in found.trades] == [(2, None)]


def test_no_bars_and_one_bar() -> None:
    for count in (0, 1):
        prices = np.full(count, 100.0)
        signal = np.ones(count, dtype=np.int8)
        found = backtest(prices, prices, signal, cost_percent=1, bar_s=HOUR_S)
        assert (found.strategy.return_percent, found.strategy.sharpe) == (0, None)
        assert found.trades == []


PRICE = st.floats(1, 1000)
BARS = st.lists(st.tuples(PRICE, PRICE, st.sampled_from([-1, 0, 1])), min_size=2, max_size=60)


def _columns(bars: list[tuple[float, float, int]]) -> tuple[Column, Column, NDArray[np.int8]]:
    return (
        _array(*(bar[0] for bar in bars)),
        _array(*(bar[1] for bar in bars)),
        _signal(*(bar[2] for bar in bars)),
    )


@given(BARS, BARS)
def test_the_future_changes_nothing_before_it(
    bars: list[tuple[float, float, int]], later: list[tuple[float, float, int]]
) -> None:
    opened, close, signal = _columns(bars + later)
    now = len(bars)
    whole = backtest(opened, close, signal, cost_percent=0.2, bar_s=HOUR_S)
    part = backtest(opened[:now], close[:now], signal[:now], cost_percent=0.2, bar_s=HOUR_S)
    np.testing.assert_array_equal(whole.equity[:now], part.equity)


@given(BARS)
def test_the_last_signal_is_never_acted_upon(bars: list[tuple[float, float, int]]) -> None:
    opened, close, signal = _columns(bars)
    changed = signal.copy()
    changed[-1] = 1 - changed[-1]
    first = backtest(opened, close, signal, cost_percent=0.2, bar_s=HOUR_S)
    second = backtest(opened, close, changed, cost_percent=0.2, bar_s=HOUR_S)
    np.testing.assert_array_equal(first.equity, second.equity)


@given(BARS)
def test_it_is_what_an_account_would_show(bars: list[tuple[float, float, int]]) -> None:
    """Money and coins counted one by one, against the products of the vectors."""
    opened, close, signal = _columns(bars)
    found = backtest(opened, close, signal, cost_percent=0.5, bar_s=HOUR_S)
    money, coins, said = 1.0, 0.0, 0
    for bar in range(len(bars)):
        if said == 1 and not coins:
            money, coins = 0.0, money * 0.995 / opened[bar]
        elif said == -1 and coins:
            money, coins = coins * opened[bar] * 0.995, 0.0
        assert found.equity[bar] == pytest.approx(money + coins * close[bar], rel=1e-9)
        said = int(signal[bar]) or said


@given(BARS)
def test_costs_never_help(bars: list[tuple[float, float, int]]) -> None:
    opened, close, signal = _columns(bars)
    free = backtest(opened, close, signal, cost_percent=0, bar_s=HOUR_S)
    dear = backtest(opened, close, signal, cost_percent=1, bar_s=HOUR_S)
    assert (dear.equity <= free.equity * (1 + 1e-12)).all()


def test_always_buying_is_holding() -> None:
    random = np.random.default_rng(1)
    prices = 100 * np.exp(np.cumsum(random.normal(0, 0.01, 200)))
    signal = np.ones(200, dtype=np.int8)
    found = backtest(prices, prices, signal, cost_percent=0.1, bar_s=HOUR_S)
    assert found.strategy == found.buy_and_hold
