"""ARIMA(5,1,0) by statsmodels: the one module that knows the library.

Imported by the fitting process only: loading it costs two seconds and a hundred megabytes.

The estimator is Hannan-Rissanen (for a pure autoregression: least squares), which on 90 points
takes a tenth of the default's time and whose band held no less often (`bench/forecast.py`). Its
standard errors take the coefficients for known; they are widened by sqrt(1 + 5/n), n the number of
changes (Akaike's final prediction error), and read with Student's t of the regression's degrees of
freedom, n - 10, instead of the normal distribution. On random walks of 90 points that brings the
coverage from 0.76 / 0.935 to 0.78 / 0.945 (nominal 0.80 / 0.95; days 1, 7 and 30 of 300 walks).
"""
# The library is untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import math
import warnings
from typing import Final

import numpy as np
from numpy.linalg import LinAlgError
from statsmodels.tsa.arima.model import ARIMA

from intelligence.domain.forecast import Band, Numbers, no_change

ORDER: Final = (5, 1, 0)
NAME: Final = "ARIMA(5,1,0) on the log, without drift"


def arima(logs: Numbers, horizon: int) -> Band:
    """Fit, and forecast the logs.

    Where least squares finds an explosive autoregression, the likelihood is maximised inside the
    stationary region instead; where that fails too, the band is the closed form's.
    """
    changes = np.diff(logs)
    # What rounding leaves of a constant price is no movement to be fitted.
    if float(np.ptp(logs)) <= 1e-12 * max(1.0, float(np.abs(logs).max())):
        flat = np.zeros(horizon)
        return Band(np.full(horizon, logs[-1]), flat, len(changes), f"{NAME} (constant series)")
    for estimator in ("hannan_rissanen", None):
        found = _fit(logs, horizon, estimator)
        if found is not None:
            return found
    return no_change(logs, horizon)


def _fit(logs: Numbers, horizon: int, estimator: str | None) -> Band | None:
    count = len(logs) - 1
    freedom = count - 2 * ORDER[0]  # five changes have no five before them; five coefficients
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            # Counted from the last value: large levels cost digits in the filter.
            model = ARIMA(logs - logs[-1], order=ORDER, trend="n")
            forecast = model.fit(method=estimator).get_forecast(horizon)
            mean = np.asarray(forecast.predicted_mean, dtype=np.float64) + logs[-1]
            sd = np.asarray(forecast.se_mean, dtype=np.float64)
        except (ValueError, LinAlgError, IndexError):
            return None
    if not (np.isfinite(mean).all() and np.isfinite(sd).all() and (sd >= 0).all()):
        return None
    how = estimator.replace("_", "-").title() if estimator else "maximum likelihood"
    return Band(mean, sd * math.sqrt(1 + ORDER[0] / count), freedom, f"{NAME} ({how})")
