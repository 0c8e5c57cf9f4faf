"""Forecasts of a positive series: bands on the log scale, closed forms, and how good they were.

A model is a function from the logs of a window to a band. What a model is worth is measured by
rolling origin: at many past moments it is given only what was known then, and its band is compared
with what came. The same origins are used for every model, so that they can be compared.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]

LARGEST_LOG: Final = 690.0
"""Beyond this, exp() leaves what a double (and JSON's readers) can hold."""


class NotPositive(ValueError):
    """A value of the series has no logarithm."""

    def __init__(self, position: int) -> None:
        super().__init__(f"value {position + 1} of the series is not a positive number")
        self.position = position


@dataclass(frozen=True, slots=True)
class Band:
    """What a model expects of the logs, step by step, as Student-t distributions."""

    log_mean: Numbers
    log_sd: Numbers
    freedom: int
    """Degrees of freedom: how many observations the width was estimated from, less parameters."""
    method: str

    @property
    def zero_width(self) -> bool:
        """Whether the band has no width: the series never moved."""
        return bool(np.all(self.log_sd == 0))

    def quantile(self, probability: float) -> Numbers:
        """Return the value that is not exceeded with this probability, for each step."""
        spread = student_t(probability, self.freedom) * self.log_sd
        return exp(self.log_mean + spread)

    def median(self) -> Numbers:
        """Return the value exceeded as often as not: the forecast that has the least MAE."""
        return exp(self.log_mean)

    def mean(self) -> Numbers:
        """Return the mean of the log-normal distribution, which lies above its median."""
        return exp(self.log_mean + self.log_sd**2 / 2)


Model: TypeAlias = Callable[[Numbers, int], Band]


def exp(logs: Numbers) -> Numbers:
    """Return the exponentials, held inside what a double can tell apart."""
    return np.exp(np.clip(logs, -LARGEST_LOG, LARGEST_LOG))


def logs_of(values: Sequence[float] | Numbers) -> Numbers:
    """Return the natural logarithms.

    Raises:
        NotPositive: a value is zero, negative, or no number at all.
    """
    series = np.asarray(values, dtype=np.float64)
    wrong = ~(np.isfinite(series) & (series > 0))
    if wrong.any():
        raise NotPositive(int(wrong.argmax()))
    return np.log(series)


def student_t(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t (expansion: Abramowitz and Stegun 26.7.5).

    Right to 0.001 from 10 degrees of freedom on, which is fewer than any window here leaves.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def no_change(logs: Numbers, horizon: int) -> Band:
    """Forecast the last value: a random walk without drift, in closed form.

    After h steps the log has moved by the sum of h changes: sd(h) = sd(1) * sqrt(h).
    """
    changes = np.diff(logs)
    sd = math.sqrt(float(np.mean(changes**2)))
    steps = np.arange(1, horizon + 1, dtype=np.float64)
    mean = np.full(horizon, logs[-1])
    return Band(mean, sd * np.sqrt(steps), len(changes), "no change (random walk on the log)")


def with_drift(logs: Numbers, horizon: int) -> Band:
    """Forecast a random walk with drift, in closed form.

    The drift is an estimate too: sd(h) = sd(1) * sqrt(h + h^2 / n), n the number of changes.
    """
    changes = np.diff(logs)
    count = len(changes)
    sd = float(np.std(changes, ddof=1)) if np.ptp(changes) > 0 else 0.0
    steps = np.arange(1, horizon + 1, dtype=np.float64)
    mean = logs[-1] + steps * float(np.mean(changes))
    log_sd = sd * np.sqrt(steps + steps**2 / count)
    return Band(mean, log_sd, count - 1, "random walk with drift on the log, closed form")


@dataclass(frozen=True, slots=True)
class Score:
    """How one model did, a number of steps ahead."""

    mae: float
    mape_percent: float
    coverage_80: float
    coverage_95: float


@dataclass(frozen=True, slots=True)
class Measured:
    """How the models did over the same past origins, a number of steps ahead."""

    horizon: int
    origins: int
    scores: Mapping[str, Score]


def origins(length: int, *, window: int, least: int, most: int) -> list[int]:
    """Return how many values were known at each past moment to forecast from, evenly spaced.

    Where the series is long, whole windows only; where it is short, from the least window on.
    """
    first = window if length >= 2 * window else least
    every = range(first, length)
    if len(every) <= most:
        return list(every)
    return sorted({every[round(i * (len(every) - 1) / (most - 1))] for i in range(most)})


def rolling_origin(
    logs: Numbers,
    models: Mapping[str, Model],
    *,
    horizons: Sequence[int],
    window: int,
    known: Sequence[int],
) -> list[Measured]:
    """Forecast from each past origin with what was known then, and compare with what came."""
    found: dict[int, dict[str, list[tuple[float, float, bool, bool]]]] = {}
    for count in known:
        ahead = [h for h in horizons if count + h <= len(logs)]
        if not ahead:
            continue
        past = logs[max(0, count - window) : count]
        actual = exp(logs[count : count + max(ahead)])
        for name, model in models.items():
            for h, row in zip(ahead, _compare(model(past, max(ahead)), actual, ahead), strict=True):
                found.setdefault(h, {}).setdefault(name, []).append(row)
    return [
        Measured(
            h,
            len(next(iter(rows.values()))),
            {name: _score(of_model) for name, of_model in rows.items()},
        )
        for h, rows in sorted(found.items())
    ]


def _compare(
    band: Band, actual: Numbers, ahead: Sequence[int]
) -> list[tuple[float, float, bool, bool]]:
    """Return error, relative error, and whether each band held, for the given steps."""
    at = np.array(ahead) - 1
    came = actual[at]
    error = np.abs(band.median()[at] - came)
    # A hair's breadth, so that rounding does not throw a constant series out of its own band.
    hair = came * 1e-9
    inside = [
        (band.quantile(tail)[at] - hair <= came) & (came <= band.quantile(1 - tail)[at] + hair)
        for tail in (0.1, 0.025)
    ]
    return [
        (float(error[i]), float(error[i] / came[i]), bool(inside[0][i]), bool(inside[1][i]))
        for i in range(len(at))
    ]


def _score(rows: Sequence[tuple[float, float, bool, bool]]) -> Score:
    mae, relative, in_80, in_95 = np.array(rows, dtype=np.float64).mean(axis=0)
    return Score(float(mae), 100 * float(relative), float(in_80), float(in_95))
