"""Bodies of the forecasts."""

import datetime as dt
from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from intelligence.forecasts.events import SeriesName
from intelligence.forecasts.fitted import Accuracy

MOST_POINTS = 2000


class PricePoint(BaseModel):
    """One day's price, with its date or without."""

    model_config = ConfigDict(extra="forbid")

    price: float = Field(gt=0, le=1e12, allow_inf_nan=False)
    date: dt.date | None = None


def _point(value: Any) -> object:
    """Take a bare number for a price."""
    return cast("object", value) if isinstance(value, dict | PricePoint) else {"price": value}


class OwnSeries(BaseModel):
    """A daily series of the caller's own."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"points": [64210.5, 64980.25, 63872.0], "days": 30}]},
    )

    points: list[
        Annotated[
            PricePoint,
            BeforeValidator(_point, json_schema_input_type=float | PricePoint),
        ]
    ] = Field(
        max_length=MOST_POINTS,
        description="Daily prices, oldest first (with dates: in any order), at least 60; 90 are "
        "used for the fit, earlier ones to measure past errors. Numbers, or {date, price}: all "
        "of one kind.",
    )
    days: int = Field(default=30, ge=1, le=365, description="Days to look ahead")


class Prediction(BaseModel):
    """What is expected so many steps after the origin."""

    step: int
    at: datetime | None
    """A day's close, an epoch's beginning, a half-hour's beginning; null without dates."""
    predicted: float
    """The median: exceeded as often as not."""
    mean: float
    """The mean of the model's distribution, which for prices lies above the median."""
    lower_80: float
    upper_80: float
    lower_95: float
    upper_95: float


class Origin(BaseModel):
    """The last known value: where the forecast starts."""

    at: datetime | None
    value: float


class Coverage(BaseModel):
    """How often past bands held, at the longest measured horizon of this answer."""

    horizon: int
    origins: int
    coverage_80: float
    coverage_95: float
    baseline_coverage_80: float
    baseline_coverage_95: float


class Baseline(BaseModel):
    """The forecast to beat: that nothing changes."""

    method: str
    predictions: list[Prediction]


class ForecastAnswer(BaseModel):
    """A forecast beside its baseline, with the past errors of both. Estimates, not money."""

    series: SeriesName
    site_id: UUID | None
    unit: str
    step: Literal["day", "epoch", "half-hour"]
    method: str
    origin: Origin
    points_used: int
    horizon: int
    predictions: list[Prediction]
    baseline: Baseline
    accuracy: list[Accuracy]
    """Rolling-origin errors by horizon, as far as the history allowed to measure them."""
    coverage: Coverage | None
    zero_width: bool
    """The series never moved: the bands have no width, and promise nothing."""
    warnings: list[str]
    fitted_at: datetime
    age_s: float
    simulated: bool
