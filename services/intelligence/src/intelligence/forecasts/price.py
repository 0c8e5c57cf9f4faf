"""The price forecast: model, baseline and measurement over one series. Runs in a process apart."""

from typing import Final

from pydantic import BaseModel

from intelligence.domain.forecast import Model, logs_of, no_change, origins, rolling_origin
from intelligence.forecasts.fitted import BASELINE, MODEL, Fitted, fitted_of

WINDOW: Final = 90
"""Points that the model is fitted to."""
LEAST: Final = 60
HORIZONS: Final = (1, 7, 14, 30, 60, 90, 180, 365)
"""Days ahead at which past errors are measured, as far as the series is long enough."""


class PriceTask(BaseModel):
    """A series of daily values, oldest first, and how far to look ahead."""

    values: list[float]
    days: int
    origins: int
    """At most so many past moments to measure at."""


def forecast_price(task: PriceTask, model: Model) -> Fitted:
    """Fit the last 90 values; measure model and baseline at past origins of the whole series."""
    logs = logs_of(task.values)
    used = logs[-WINDOW:]
    warnings: list[str] = []
    if len(used) < WINDOW:
        warnings.append(f"Only {len(used)} points: the model is meant for {WINDOW}.")
    measured = rolling_origin(
        logs,
        {MODEL: model, BASELINE: no_change},
        horizons=[days for days in HORIZONS if days <= task.days],
        window=WINDOW,
        known=origins(len(logs), window=WINDOW, least=LEAST, most=task.origins),
    )
    return fitted_of(
        model(used, task.days),
        no_change(used, task.days),
        measured,
        points=len(used),
        warnings=warnings,
    )
