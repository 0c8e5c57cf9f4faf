import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelligence.domain.indicators import Bars, Column
from intelligence.domain.levels import REACH, Side, levels, pivots


def _bars(middle: Column, half: float = 0.5) -> Bars:
    times = 3600 * np.arange(len(middle), dtype=np.float64)
    return Bars(times, middle, middle + half, middle - half, middle, np.ones(len(middle)))


def _waves(count: int, low: float = 100, high: float = 120, half_period: int = 10) -> Column:
    rise = np.linspace(low, high, half_period, endpoint=False)
    fall = np.linspace(high, low, half_period, endpoint=False)
    return np.tile(np.concatenate((rise, fall)), count)


def test_pivots_of_waves_are_their_tops_and_bottoms() -> None:
    high, low = pivots(_bars(_waves(4)))
    assert np.flatnonzero(high).tolist() == [10, 30, 50, 70]
    assert np.flatnonzero(low).tolist() == [20, 40, 60]


def test_of_equal_extremes_the_first_counts() -> None:
    middle = np.concatenate((np.arange(10.0), np.full(3, 10.0), np.arange(9.0, -1, -1)))
    assert np.flatnonzero(pivots(_bars(middle))[0]).tolist() == [10]


def test_the_last_bars_are_not_judged_yet() -> None:
    middle = np.concatenate((np.arange(20.0), np.arange(18.0, 14, -1)))
    assert not pivots(_bars(middle))[0].any()
    assert not pivots(_bars(np.arange(2.0 * REACH)))[0].any()


def test_a_flat_series_has_no_levels() -> None:
    assert levels(_bars(np.full(100, 5.0))) == []
    assert levels(_bars(np.empty(0))) == []


def test_waves_have_a_support_and_a_resistance() -> None:
    middle = np.append(_waves(4), np.linspace(100, 110, 6))
    support, resistance = levels(_bars(middle))
    assert (support.side, support.usd, support.touches) == (Side.SUPPORT, 99.5, 4)
    assert (resistance.side, resistance.usd, resistance.touches) == (Side.RESISTANCE, 120.5, 4)
    assert support.distance_percent == pytest.approx(100 * (99.5 / 110 - 1))
    assert resistance.last_touched_s == 70 * 3600


def test_pivots_apart_by_more_than_half_a_range_are_two_levels() -> None:
    tops = [120, 120.4, 130]
    middle = np.concatenate([_waves(1, high=top) for top in tops] + [np.linspace(100, 110, 6)])
    found = [level for level in levels(_bars(middle)) if level.side is Side.RESISTANCE]
    assert [(round(level.usd, 1), level.touches) for level in found] == [(120.7, 2), (130.5, 1)]


def test_at_most_five_a_side_those_touched_once_give_way() -> None:
    tops = [112, 114, 116, 118, 120, 122, 124, 124]
    middle = np.concatenate([_waves(1, high=top) for top in tops] + [np.linspace(100, 110, 6)])
    found = [level for level in levels(_bars(middle)) if level.side is Side.RESISTANCE]
    assert [round(level.usd, 1) for level in found] == [112.5, 114.5, 116.5, 118.5, 124.5]


def test_a_missing_range_is_left_out() -> None:
    middle = np.append(_waves(4), np.linspace(100, 110, 6))
    bars = _bars(middle)
    bars.high[15] = np.nan
    assert len(levels(bars)) == 2


@given(st.lists(st.floats(1, 1000), min_size=0, max_size=120))
def test_every_level_is_within_the_prices_and_on_its_side(prices: list[float]) -> None:
    bars = _bars(np.array(prices, dtype=np.float64))
    for level in levels(bars):
        assert bars.low.min() - 1e-9 <= level.usd <= bars.high.max() + 1e-9
        assert (level.side is Side.SUPPORT) == (level.distance_percent < 0)
        assert level.touches >= 1
