import numpy as np
import pytest

from intelligence.domain.forecast import NotPositive, Numbers
from intelligence.domain.forecast_difficulty import WINDOW, forecast_difficulty

NAMES = ("model", "baseline")


def difficulties(count: int, *, growth: float, sd: float, seed: int = 2) -> Numbers:
    changes = np.random.default_rng(seed).normal(growth, sd, count)
    return 1e14 * np.exp(np.cumsum(changes))


def test_steady_growth_is_carried_on() -> None:
    found = forecast_difficulty((1e14 * 1.02 ** np.arange(60)).tolist(), 3, names=NAMES)
    assert found.used == WINDOW
    assert found.band.median() == pytest.approx(1e14 * 1.02 ** np.arange(60, 63), rel=1e-9)
    assert found.baseline.median() == pytest.approx(np.full(3, 1e14 * 1.02**59))


def test_drift_beats_no_change_where_there_is_one_and_the_band_holds() -> None:
    values = difficulties(300, growth=0.02, sd=0.03).tolist()
    found = forecast_difficulty(values, 26, names=NAMES)
    by_horizon = {row.horizon: row for row in found.measured}
    assert sorted(by_horizon) == [1, 2, 4, 8, 13, 26]
    assert by_horizon[13].scores["model"].mae < by_horizon[13].scores["baseline"].mae
    assert by_horizon[1].scores["model"].coverage_95 == pytest.approx(0.95, abs=0.04)
    assert by_horizon[1].scores["model"].coverage_80 == pytest.approx(0.80, abs=0.07)


def test_fourteen_epochs_are_answered_without_a_measurement() -> None:
    found = forecast_difficulty(difficulties(14, growth=0.01, sd=0.02).tolist(), 6, names=NAMES)
    assert found.used == 14
    assert found.measured == []


def test_a_difficulty_of_nothing_is_rejected() -> None:
    with pytest.raises(NotPositive):
        forecast_difficulty([1e14] * 20 + [0.0], 6, names=NAMES)
