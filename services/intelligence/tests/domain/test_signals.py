from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from intelligence.domain.indicators import Bars, Column, Indicators
from intelligence.domain.signals import Direction, Signal, Strength, score, trend

Found = Callable[..., Indicators]
NAMES = Indicators.__dataclass_fields__


def _bars(close: Column) -> Bars:
    times = 3600 * np.arange(len(close), dtype=np.float64)
    return Bars(times, close, close, close, close, np.ones(len(close)))


def _march(bars: int, step: float) -> Column:
    return 100 * step ** np.arange(bars, dtype=np.float64)


def _found(**values: float) -> Indicators:
    """One bar, neutral in everything but what is given."""
    neutral = {
        "rsi": 50.0, "macd_histogram": 0.0, "ema_12": 100.0, "ema_26": 100.0, "bb_upper": 110.0,
        "bb_middle": 100.0, "bb_lower": 90.0, "stoch_k": 50.0, "adx": 25.0, "plus_di": 20.0,
        "minus_di": 20.0, "atr": 4.0,
    } | values  # fmt: skip
    return Indicators(**{name: np.array([neutral.get(name, np.nan)]) for name in NAMES})


def _score(close: float = 100, **values: float) -> tuple[float, Signal]:
    scores = score(_bars(np.array([close])), _found(**values))
    return float(scores.total[0]), scores.said()


def test_nothing_leaning_is_neutral() -> None:
    assert _score() == (0, Signal.NEUTRAL)


@pytest.mark.parametrize(("adx", "points"), [(10, 40), (15, 40), (25, 20), (35, 0), (60, 0)])
def test_an_oversold_rsi_counts_less_the_more_of_a_trend_there_is(
    adx: float, points: float
) -> None:
    assert _score(adx=adx, rsi=30)[0] == pytest.approx(points)
    assert _score(adx=adx, rsi=20)[0] == pytest.approx(points)  # leans no farther
    assert _score(adx=adx, rsi=70)[0] == pytest.approx(-points)


@pytest.mark.parametrize(
    ("values", "points"),
    [
        ({"ema_12": 104}, 40),
        ({"ema_12": 102}, 20),
        ({"ema_12": 99}, -10),
        ({"macd_histogram": 1}, 30),
        ({"macd_histogram": -0.5}, -15),
        ({"plus_di": 30, "minus_di": 10}, 30),
        ({"plus_di": 18, "minus_di": 22}, -6),
        ({"rsi": 20, "stoch_k": 0}, 0),
    ],
)
def test_in_a_trend_the_trend_counts(values: dict[str, float], points: float) -> None:
    assert _score(adx=35, **values)[0] == pytest.approx(points)


@pytest.mark.parametrize(
    ("close", "values", "points"),
    [
        (90, {}, 35),
        (105, {}, -17.5),
        (100, {"stoch_k": 20}, 25),
        (100, {"stoch_k": 65}, -12.5),
        (100, {"ema_12": 104, "macd_histogram": 9}, 0),
    ],
)
def test_in_a_range_the_range_counts(close: float, values: dict[str, float], points: float) -> None:
    assert _score(close, adx=15, **values)[0] == pytest.approx(points)


def test_from_50_it_buys_and_to_minus_50_it_sells() -> None:
    assert _score(90, adx=15, stoch_k=32) == (pytest.approx(50), Signal.BUY)
    assert _score(90, adx=15, stoch_k=33)[1] is Signal.NEUTRAL
    assert _score(110, adx=15, stoch_k=68) == (pytest.approx(-50), Signal.SELL)


def test_parts_add_up_to_the_score() -> None:
    bars = _bars(np.array([97.0]))
    scores = score(bars, _found(adx=28, rsi=41, ema_12=101, plus_di=25, stoch_k=33))
    assert sum(float(part.points[0]) for part in scores.parts.values()) == pytest.approx(
        float(scores.total[0])
    )
    assert sum(float(part.weight[0]) for part in scores.parts.values()) == pytest.approx(200 / 2)


def test_when_most_parts_are_unknown_it_is_neutral() -> None:
    known = _found(adx=15, rsi=10, stoch_k=0, bb_upper=np.nan)
    assert score(_bars(np.array([90.0])), known).said() is Signal.BUY
    one = _found(adx=15, rsi=10, stoch_k=np.nan, bb_upper=np.nan)
    scores = score(_bars(np.array([90.0])), one)
    assert scores.said() is Signal.NEUTRAL
    assert scores.total[0] == pytest.approx(40)
    assert np.isnan(scores.parts["bollinger"].points[0])


def test_without_an_adx_it_is_neutral() -> None:
    scores = score(_bars(np.array([80.0])), _found(adx=np.nan, rsi=5, stoch_k=0))
    assert (scores.total[0], scores.said()) == (0, Signal.NEUTRAL)


def test_a_flat_series_is_neutral() -> None:
    flat = _found(rsi=np.nan, adx=np.nan, stoch_k=np.nan, atr=0, bb_upper=100, bb_lower=100)
    assert score(_bars(np.array([100.0])), flat).said() is Signal.NEUTRAL


def _trend(close: Column, **values: float) -> tuple[Direction, Strength] | None:
    columns = {
        name: np.full(len(close), float(column[0]))
        for name, column in _found(**values).columns().items()
    }
    found = trend(_bars(close), Indicators(**columns))
    return None if found is None else (found.direction, found.strength)


def test_a_trend_needs_averages_line_and_strength_to_agree() -> None:
    rising = _march(60, 1.01)
    up = {"ema_12": 101.0, "ema_26": 100.0}
    assert _trend(rising, adx=30, **up) == (Direction.UP, Strength.MODERATE)
    assert _trend(rising, adx=45, **up) == (Direction.UP, Strength.STRONG)
    assert _trend(rising, adx=19, **up) == (Direction.SIDEWAYS, Strength.WEAK)
    assert _trend(rising[::-1].copy(), adx=30, **up) == (Direction.SIDEWAYS, Strength.MODERATE)
    down = {"ema_12": 99.0, "ema_26": 100.0}
    assert _trend(rising[::-1].copy(), adx=30, **down) == (Direction.DOWN, Strength.MODERATE)


def test_a_trend_is_unknown_while_its_parts_are() -> None:
    rising = _march(60, 1.01)
    assert _trend(rising[:49], adx=30) is None
    assert _trend(rising, adx=np.nan) is None


def test_the_line_through_a_straight_march() -> None:
    close = _march(80, 1.02)
    columns = {name: np.full(80, float(one[0])) for name, one in _found().columns().items()}
    found = trend(_bars(close), Indicators(**columns))
    assert found is not None
    assert found.slope_percent_per_bar == pytest.approx(2)
    assert found.fit == pytest.approx(1)
    flat = trend(_bars(np.full(80, 5.0)), Indicators(**columns))
    assert flat is not None
    assert (flat.slope_percent_per_bar, flat.fit) == (0, 0)


def test_a_missing_close_does_not_end_the_trend() -> None:
    close = _march(80, 1.02)
    close[60] = np.nan
    columns = {name: np.full(80, float(one[0])) for name, one in _found().columns().items()}
    bars = replace(_bars(np.ones(80)), close=close)
    assert trend(bars, Indicators(**columns)) is not None
