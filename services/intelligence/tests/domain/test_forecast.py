import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from intelligence.domain.forecast import (
    Band,
    Model,
    NotPositive,
    Numbers,
    logs_of,
    no_change,
    origins,
    rolling_origin,
    student_t,
    with_drift,
)


def walks(count: int, length: int, *, drift: float = 0.0, seed: int = 1) -> Numbers:
    """Random walks on the log, one a row."""
    steps = np.random.default_rng(seed).normal(drift, 0.025, (count, length))
    return math.log(60_000) + np.cumsum(steps, axis=1)


@pytest.mark.parametrize("probability", [0.025, 0.1, 0.5, 0.9, 0.975, 0.995])
@pytest.mark.parametrize("freedom", [13, 26, 54, 84, 364])
def test_students_t_agrees_with_scipy(probability: float, freedom: int) -> None:
    referee: Any = stats.t
    assert student_t(probability, freedom) == pytest.approx(
        referee.ppf(probability, freedom), abs=1e-3
    )


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_zeros_negatives_and_no_numbers_are_rejected_before_the_log(bad: float) -> None:
    with pytest.raises(NotPositive) as caught:
        logs_of([10.0, bad, 11.0])
    assert caught.value.position == 1


def test_no_change_is_the_closed_form_of_a_random_walk() -> None:
    logs = np.log([100.0, 110.0, 100.0, 110.0, 100.0])
    band = no_change(logs, 9)
    sd = math.log(1.1)
    assert band.median() == pytest.approx(np.full(9, 100.0))
    assert band.log_sd == pytest.approx(sd * np.sqrt(np.arange(1, 10)))
    assert band.quantile(0.975)[8] == pytest.approx(100 * math.exp(student_t(0.975, 4) * sd * 3))


def test_drift_carries_its_own_uncertainty() -> None:
    changes = np.array([0.01, 0.03, 0.01, 0.03])
    band = with_drift(np.concatenate([[0.0], np.cumsum(changes)]), 2)
    sd = float(np.std(changes, ddof=1))
    assert band.log_mean == pytest.approx([0.10, 0.12])
    assert band.log_sd == pytest.approx([sd * math.sqrt(1 + 1 / 4), sd * math.sqrt(2 + 4 / 4)])


@pytest.mark.parametrize("model", [no_change, with_drift])
def test_a_constant_series_has_a_band_of_no_width(model: Model) -> None:
    band = model(np.full(90, math.log(7)), 30)
    assert band.zero_width
    assert band.quantile(0.025) == pytest.approx(np.full(30, 7.0))
    assert band.mean() == pytest.approx(band.median())


@pytest.mark.parametrize(("model", "drift"), [(no_change, 0.0), (with_drift, 0.004)])
def test_coverage_on_simulated_random_walks_is_near_nominal(model: Model, drift: float) -> None:
    inside_80 = inside_95 = 0
    for walk in walks(600, 120, drift=drift):
        band = model(walk[:90], 30)
        came = math.exp(walk[-1])
        inside_80 += band.quantile(0.1)[-1] <= came <= band.quantile(0.9)[-1]
        inside_95 += band.quantile(0.025)[-1] <= came <= band.quantile(0.975)[-1]
    # Standard errors of 600 draws: 0.016 and 0.009.
    assert inside_80 / 600 == pytest.approx(0.80, abs=0.05)
    assert inside_95 / 600 == pytest.approx(0.95, abs=0.03)


def test_rolling_origin_shows_a_model_nothing_of_the_future() -> None:
    logs = walks(1, 130)[0]
    seen: list[int] = []

    def watching(past: Numbers, horizon: int) -> Band:
        place = int(np.flatnonzero(logs == past[-1])[0])
        assert np.array_equal(past, logs[max(0, place - 89) : place + 1])
        seen.append(place + 1)
        return no_change(past, horizon)

    known = origins(130, window=90, least=60, most=1000)
    assert known == list(range(60, 130))
    rolling_origin(logs, {"model": watching}, horizons=[1, 7], window=90, known=known)
    assert seen == known


def test_rolling_origin_errors_are_those_worked_out_by_hand() -> None:
    values = [100.0, 110.0, 121.0, 110.0, 100.0]
    [one, two] = rolling_origin(
        np.log(values), {"m": no_change}, horizons=[1, 2, 9], window=3, known=[3, 4]
    )
    assert (one.horizon, one.origins, two.horizon, two.origins) == (1, 2, 2, 1)
    assert one.scores["m"].mae == pytest.approx((11 + 10) / 2)
    assert one.scores["m"].mape_percent == pytest.approx(100 * (11 / 110 + 10 / 100) / 2)
    assert two.scores["m"].mae == pytest.approx(21)


def test_measured_coverage_on_a_long_walk_is_near_nominal() -> None:
    [logs] = walks(1, 3000, seed=5)
    known = origins(3000, window=90, least=60, most=2000)
    [row] = rolling_origin(logs, {"m": no_change}, horizons=[1], window=90, known=known)
    assert row.origins == 2000
    assert row.scores["m"].coverage_80 == pytest.approx(0.80, abs=0.03)
    assert row.scores["m"].coverage_95 == pytest.approx(0.95, abs=0.02)


def test_a_constant_series_stays_in_its_own_band() -> None:
    logs = np.full(100, math.log(12_345.678))
    [row] = rolling_origin(
        logs,
        {"m": no_change},
        horizons=[1],
        window=90,
        known=origins(100, window=90, least=60, most=99),
    )
    assert row.scores["m"].mae == pytest.approx(0, abs=1e-8)
    assert row.scores["m"].coverage_95 == 1


@given(length=st.integers(61, 5000), most=st.integers(2, 400))
def test_origins_are_few_spread_out_and_inside(length: int, most: int) -> None:
    known = origins(length, window=90, least=60, most=most)
    assert len(known) <= most
    assert known == sorted(set(known))
    assert known[0] == (90 if length >= 180 else 60)
    assert known[-1] == length - 1


@given(
    values=st.lists(st.floats(1e-9, 1e12), min_size=60, max_size=90),
    horizon=st.integers(1, 365),
)
def test_bands_are_finite_ordered_and_positive(values: list[float], horizon: int) -> None:
    for model in (no_change, with_drift):
        band = model(logs_of(values), horizon)
        columns = [band.quantile(p) for p in (0.025, 0.1, 0.5, 0.9, 0.975)]
        for lower, upper in pairwise(columns):
            assert np.isfinite(upper).all()
            assert (lower <= upper).all()
        assert (columns[0] > 0).all()
