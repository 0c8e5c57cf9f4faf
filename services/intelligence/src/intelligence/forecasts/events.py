"""What forecasts publish."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from common.events import Event
from intelligence.forecasts.fitted import Accuracy, Columns

SeriesName = Literal["btc-price", "difficulty", "site-load"]


class ForecastFitted(Event):
    """A forecast was fitted to new data. Its n-th value is for n steps after the origin."""

    type: ClassVar[str] = "intelligence.forecast.fitted.v1"
    aggregate: ClassVar[str] = "series"

    series: SeriesName
    site_id: UUID | None
    """Whose load it is; none for the price and the difficulty."""
    at: datetime
    """When it was fitted."""
    origin_at: datetime
    origin_value: float
    step_s: int
    horizon: int
    unit: str
    method: str
    points: Columns
    baseline: Columns
    accuracy: list[Accuracy]
    simulated: bool
