"""The difficulty of the next epochs.

Each retarget multiplies the difficulty by 2,016 blocks' wanted time over the time they took; its
logarithm moves by a change that follows the network's hashrate. Nothing here foresees that
hashrate: the changes of the past year are taken as draws of one distribution (a random walk with
drift on the log), and the forecast is only as good as its measured errors say. The progress of the
running epoch is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from intelligence.domain.forecast import (
    Band,
    Measured,
    logs_of,
    no_change,
    origins,
    rolling_origin,
    with_drift,
)

WINDOW: Final = 27
"""Epochs that the drift is estimated from: their 26 changes are about a year."""
LEAST: Final = 14
HORIZONS: Final = (1, 2, 4, 8, 13, 26)
_MOST_ORIGINS: Final = 400


@dataclass(frozen=True, slots=True)
class DifficultyForecast:
    """What is expected of the next epochs, beside the baseline, with both methods' past errors."""

    band: Band
    baseline: Band
    measured: Sequence[Measured]
    used: int


def forecast_difficulty(
    values: Sequence[float], epochs: int, *, names: tuple[str, str]
) -> DifficultyForecast:
    """Forecast the difficulty of the next epochs from those known, oldest first.

    `names` are those of model and baseline in the measurement.
    """
    logs = logs_of(values)
    used = logs[-WINDOW:]
    measured = rolling_origin(
        logs,
        {names[0]: with_drift, names[1]: no_change},
        horizons=[h for h in HORIZONS if h <= epochs],
        window=WINDOW,
        known=origins(len(logs), window=WINDOW, least=LEAST, most=_MOST_ORIGINS),
    )
    return DifficultyForecast(
        with_drift(used, epochs), no_change(used, epochs), measured, len(used)
    )
