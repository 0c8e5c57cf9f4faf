import numpy as np
import pytest

from intelligence.domain.indicators import DAY_S, Column
from intelligence.domain.mining import (
    Days,
    Epochs,
    difficulty_at,
    hash_ribbons,
    hashprice_percentile,
    height_at,
    issued_btc,
    puell,
    unbroken,
)
from intelligence.domain.signals import Signal

START_S = 1_735_689_600.0  # 1 January 2025
EPOCH_S = 2016 * 600.0


def _days(close: Column) -> Days:
    return Days(START_S + DAY_S * np.arange(len(close), dtype=np.float64), close)


def _epochs(difficulty: Column, first_height: int = 876_960, starts_s: float = START_S) -> Epochs:
    """Epochs of just two weeks, the first one begun a day before the prices."""
    at = np.arange(len(difficulty), dtype=np.float64)
    return Epochs(
        height=first_height + 2016 * at,
        started_s=starts_s - DAY_S + EPOCH_S * at,
        difficulty=difficulty,
    )


def test_issued_coins_halve_every_210000_blocks() -> None:
    heights = np.array([0, 1, 210_000, 210_001, 420_000, 840_000, 840_002])
    found = issued_btc(heights.astype(np.float64))
    assert found.tolist() == [0, 50, 10_500_000, 10_500_025, 15_750_000, 19_687_500, 19_687_506.25]


def test_height_and_difficulty_between_and_after_epochs() -> None:
    epochs = _epochs(np.array([1.0, 2.0]))
    at = np.array([-2 * DAY_S, -DAY_S, -DAY_S + EPOCH_S / 2, -DAY_S + 2 * EPOCH_S]) + START_S
    heights, difficulties = height_at(at, epochs), difficulty_at(at, epochs)
    assert np.isnan(heights[0])
    assert np.isnan(difficulties[0])
    assert heights[1:].tolist() == [876_960, 877_968, 880_992]
    assert difficulties[1:].tolist() == [1, 1, 2]


def test_epochs_before_a_gap_do_not_count() -> None:
    whole = _epochs(np.arange(1.0, 6))
    rows = np.array([0, 1, 3, 4])
    gapped = Epochs(whole.height[rows], whole.started_s[rows], whole.difficulty[rows])
    assert unbroken(gapped).difficulty.tolist() == [4, 5]
    assert unbroken(whole).difficulty.tolist() == [1, 2, 3, 4, 5]


def test_puell_is_todays_issuance_by_the_years_mean() -> None:
    close = np.full(365, 50_000.0)
    epochs = _epochs(np.ones(27))
    assert puell(_days(close), epochs).value == pytest.approx(1)
    close[-1] = 20_000
    found = puell(_days(close), epochs)
    assert found.value == pytest.approx(20_000 / ((364 * 50_000 + 20_000) / 365))
    assert found.signal is Signal.BUY
    assert "0.40 times" in found.reason


def test_puell_knows_the_halving() -> None:
    days = 365
    epochs = _epochs(np.ones(27), first_height=840_000 - 2016 * 13)
    halving = epochs.started_s[13]
    issued = np.array(
        [
            144 * (6.25 * before + 3.125 * (1 - before))
            for before in np.clip((halving - START_S) / DAY_S - np.arange(days), 0, 1)
        ]
    )
    found = puell(_days(np.full(days, 1000.0)), epochs)
    assert found.value == pytest.approx(issued[-1] / issued.mean(), rel=1e-6)


def test_puell_sells_at_four() -> None:
    close = np.full(365, 10_000.0)
    close[-1] = 41_000
    assert puell(_days(close), _epochs(np.ones(27))).signal is Signal.SELL


def test_too_short_a_history_is_null_with_the_reason() -> None:
    epochs = _epochs(np.ones(27))
    short = puell(_days(np.full(349, 1.0)), epochs)
    assert (short.value, short.signal) == (None, Signal.NEUTRAL)
    assert short.reason == "350 daily closes are needed; 349 are stored."
    assert hashprice_percentile(_days(np.full(89, 1.0)), epochs).value is None
    assert puell(_days(np.empty(0)), epochs).value is None
    nothing = Epochs(np.empty(0), np.empty(0), np.empty(0))
    found = puell(_days(np.ones(365)), nothing)
    assert found.reason == "Difficulty epochs of 364 days are needed; none are stored."
    late = _epochs(np.ones(20), starts_s=START_S + 100 * DAY_S)
    assert "those of 265 are stored" in puell(_days(np.ones(365)), late).reason
    old = _epochs(np.ones(20))
    assert puell(_days(np.ones(365)), old).reason == "The stored difficulty epochs are out of date."
    assert hash_ribbons(_days(np.ones(20)), nothing, START_S).value is None


def test_only_the_last_year_counts() -> None:
    close = np.concatenate((np.full(100, 1e6), np.full(365, 50_000.0)))
    epochs = _epochs(np.ones(35))
    assert puell(_days(close), epochs).value == pytest.approx(1)


@pytest.mark.parametrize(
    ("close", "difficulty", "value", "signal"),
    [
        (np.arange(1.0, 101), 1.0, 99.5, Signal.SELL),
        (np.arange(100.0, 0, -1), 1.0, 0.5, Signal.BUY),
        (np.full(100, 7.0), 1.0, 50, Signal.NEUTRAL),
    ],
)
def test_hashprice_percentile(
    close: Column, difficulty: float, value: float, signal: Signal
) -> None:
    found = hashprice_percentile(_days(close), _epochs(np.full(9, difficulty)))
    assert found.value == pytest.approx(value)
    assert found.signal is signal


def test_a_rising_difficulty_lowers_the_hashprice() -> None:
    found = hashprice_percentile(_days(np.full(100, 7.0)), _epochs(np.arange(1.0, 10)))
    assert found.signal is Signal.BUY


def _ribbons(difficulty: list[float], close: Column) -> tuple[float | None, Signal, str]:
    epochs = _epochs(np.array(difficulty, dtype=np.float64))
    now_s = float(epochs.started_s[-1]) + 10 * DAY_S
    found = hash_ribbons(_days(close), epochs, now_s)
    return found.value, found.signal, found.reason


RISING, FALLING = np.arange(1.0, 31), np.arange(31.0, 1, -1)


def test_ribbons_while_the_hashrate_grows() -> None:
    value, signal, reason = _ribbons([100, 101, 102, 103, 104, 105, 106, 107], RISING)
    assert value is not None
    assert value > 1
    assert signal is Signal.NEUTRAL
    assert "grows" in reason


def test_ribbons_while_miners_give_up() -> None:
    value, signal, reason = _ribbons([100, 100, 100, 100, 100, 100, 90, 85], RISING)
    assert value is not None
    assert value < 1
    assert signal is Signal.NEUTRAL
    assert "give up" in reason


def test_ribbons_buy_when_miners_are_back_and_the_price_rises() -> None:
    path = [100, 100, 100, 100, 85, 85, 92, 110.0]
    assert _ribbons(path, RISING)[1] is Signal.BUY
    value, signal, reason = _ribbons(path, FALLING)
    assert value is not None
    assert value >= 1
    assert signal is Signal.NEUTRAL
    assert "does not rise yet" in reason
    assert "20 daily closes would confirm" in _ribbons(path, RISING[:5])[2]


def test_ribbons_need_90_days_of_epochs() -> None:
    value, _, reason = _ribbons([100, 100, 100], RISING)
    assert value is None
    assert "Difficulty epochs of 90 days are needed" in reason
