"""Stored forecasts for the other features of this service."""

from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

from sqlalchemy.ext.asyncio import AsyncSession

from intelligence.domain.forecast import exp, logs_of
from intelligence.forecasts.events import SeriesName
from intelligence.forecasts.fitted import Accuracy, Fitted
from intelligence.forecasts.keeping import newest

_ODDS_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The latest forecast of a series. Item n of a column is for n + 1 steps after the origin."""

    horizon: int
    """Steps that the columns are long: days for the price."""
    predicted: list[float]
    """The median."""
    mean: list[float]
    lower_80: list[float]
    upper_80: list[float]
    lower_95: list[float]
    upper_95: list[float]
    origin_price: float
    """The last known value."""
    origin_at: datetime
    at: datetime
    """When it was fitted."""
    coverage: list[Accuracy]
    """Past errors and measured coverage of the bands, by horizon; empty where not measurable."""
    method: str
    zero_width: bool
    simulated: bool

    def quantile(self, step: int, probability: float) -> float:
        """Return the value that is not exceeded with this probability so many steps ahead.

        Read from the 95 % band as if the log were normal: within a hundredth of the width of what
        the model's own distribution says, for 1 % to 99 %.
        """
        median, lower, upper = logs_of(
            [self.predicted[step - 1], self.lower_95[step - 1], self.upper_95[step - 1]]
        ).tolist()
        spread = NormalDist().inv_cdf(probability) / _ODDS_95
        side = upper - median if spread > 0 else median - lower
        return float(exp(logs_of([1.0]) + median + spread * side)[0])


async def latest(session: AsyncSession, series: SeriesName, subject: str = "") -> Forecast | None:
    """Return the latest stored forecast, or None where there is none yet."""
    row = await newest(session, series, subject)
    if row is None:
        return None
    fitted = Fitted.model_validate(row.fitted)
    return Forecast(
        horizon=row.horizon,
        **fitted.model.model_dump(),
        origin_price=row.origin_value,
        origin_at=row.origin_at,
        at=row.fitted_at,
        coverage=fitted.accuracy,
        method=fitted.method,
        zero_width=fitted.zero_width,
        simulated=row.simulated,
    )
