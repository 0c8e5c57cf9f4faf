"""The model itself. This test process loads statsmodels; the service never does (test_process)."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from statsmodels.tsa.arima.model import ARIMA

from intelligence.domain.forecast import Numbers, no_change
from intelligence.forecasts.arima import arima
from intelligence.forecasts.price import PriceTask, forecast_price


def walk(length: int, seed: int, sd: float = 0.025) -> Numbers:
    return math.log(60_000) + np.cumsum(np.random.default_rng(seed).normal(0, sd, length))


def psi_weights(coefficients: Numbers, count: int) -> Numbers:
    """How much a shock moves the level so many steps later: sums of the AR's impulse response."""
    response = [1.0]
    for step in range(1, count):
        past = response[max(0, step - len(coefficients)) :][::-1]
        response.append(float(np.dot(coefficients[: len(past)], past)))
    return np.cumsum(response)


def test_the_band_is_what_the_textbook_says_of_its_coefficients() -> None:
    """Box and Jenkins: var(h) = sigma^2 * (psi_0^2 + ... + psi_(h-1)^2)."""
    logs = walk(90, seed=4)
    changes = np.diff(logs)
    lagged = np.column_stack([changes[5 - lag : -lag] for lag in range(1, 6)])
    coefficients: Numbers = np.linalg.lstsq(lagged, changes[5:], rcond=None)[0].astype(np.float64)
    residuals = changes[5:] - lagged @ coefficients
    weights = psi_weights(coefficients, 30)
    sd = math.sqrt(float(np.sum(residuals**2)) / 79) * np.sqrt(np.cumsum(weights**2))
    past: list[float] = changes.tolist()
    mean: list[float] = []
    for _ in range(30):
        past.append(float(np.dot(coefficients, np.array(past[:-6:-1]))))
        mean.append(past[-1])
    band = arima(logs, 30)
    assert "Hannan-Rissanen" in band.method
    assert band.log_mean == pytest.approx(logs[-1] + np.cumsum(mean), rel=1e-6)
    assert band.log_sd == pytest.approx(sd * math.sqrt(1 + 5 / 89), rel=1e-3)


def test_on_a_random_walk_it_agrees_with_the_closed_form() -> None:
    """Over many walks: the same line, and nearly the same width."""
    ratios: list[float] = []
    shifts: list[float] = []
    for seed in range(30):
        logs = walk(365, seed)
        model, closed = arima(logs, 30), no_change(logs, 30)
        ratios.append(float(model.log_sd[-1] / closed.log_sd[-1]))
        shifts.append(float((model.log_mean[-1] - closed.log_mean[-1]) / closed.log_sd[-1]))
    assert np.median(ratios) == pytest.approx(1, abs=0.05)
    assert np.mean(shifts) == pytest.approx(0, abs=0.05)
    assert np.quantile(np.abs(shifts), 0.9) < 0.15


def test_the_libraries_default_says_the_same_within_its_noise() -> None:
    logs = walk(90, seed=8)
    library: Any = ARIMA(logs, order=(5, 1, 0))
    default = library.fit().get_forecast(30)
    ours = arima(logs, 30)
    wide = np.asarray(default.se_mean)
    assert np.abs(ours.log_mean - np.asarray(default.predicted_mean)).max() < 0.2 * wide.max()
    assert ours.log_sd / wide == pytest.approx(np.full(30, 1.03), abs=0.15)


def test_coverage_on_simulated_random_walks_is_near_nominal() -> None:
    inside_80 = inside_95 = 0
    for seed in range(150):
        logs = walk(120, 1000 + seed)
        band, came = arima(logs[:90], 30), math.exp(logs[-1])
        inside_80 += band.quantile(0.1)[-1] <= came <= band.quantile(0.9)[-1]
        inside_95 += band.quantile(0.025)[-1] <= came <= band.quantile(0.975)[-1]
    # Standard errors of 150 draws: 0.033 and 0.018.
    assert inside_80 / 150 == pytest.approx(0.80, abs=0.08)
    assert inside_95 / 150 == pytest.approx(0.95, abs=0.045)


@pytest.mark.parametrize(
    "values",
    [
        100 * 1.01 ** np.arange(90),  # its least squares are not stationary
        100 * (2 + np.sin(np.arange(90))),
        np.where(np.arange(90) == 40, 101.0, 100.0),
        np.where(np.arange(90) % 2 == 0, 1e-9, 1e12),
        np.where(np.arange(90) == 89, 1e12, 1.0),
    ],
    ids=["steady growth", "sine", "one spike", "wild", "jump at the end"],
)
def test_odd_series_still_give_finite_ordered_bands(values: Numbers) -> None:
    band = arima(np.log(values), 365)
    columns = [band.quantile(p) for p in (0.025, 0.1, 0.5, 0.9, 0.975)]
    assert all(np.isfinite(column).all() for column in columns)
    assert all((a <= b).all() for a, b in pairwise(columns))


def test_a_constant_series_has_a_band_of_no_width_and_says_so() -> None:
    found = forecast_price(PriceTask(values=[64_000.0] * 90, days=30, origins=20), arima)
    assert found.zero_width
    assert found.model.lower_95 == found.model.upper_95 == [64_000.0] * 30
    assert any("no width" in warning for warning in found.warnings)


def test_ninety_points_are_measured_against_no_change() -> None:
    values = np.exp(walk(90, 3)).tolist()
    found = forecast_price(PriceTask(values=values, days=30, origins=60), arima)
    assert found.points_used == 90
    assert found.warnings == []
    assert [row.horizon for row in found.accuracy] == [1, 7, 14, 30]
    assert [row.origins for row in found.accuracy] == [30, 24, 17, 1]
    one = found.accuracy[0]
    assert one.model.mae > 0
    assert one.baseline.mae > 0
    assert 0 <= one.model.coverage_80 <= one.model.coverage_95 <= 1
