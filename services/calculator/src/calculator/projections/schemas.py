"""Requests and answers of the projection."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from calculator.calculations.schemas import BtcPrice, CalculationRequest, Input, Number, Whole

MAX_DAYS = 3_650
MAX_MONTHS = 120
MAX_CELLS = 1_000
Change = Annotated[Number, Field(gt=-100, le=1_000, allow_inf_nan=False)]
Axis = Annotated[list[Change], Field(min_length=1, max_length=50)]
_AXIS = [-20.0, -10.0, 0.0, 10.0, 20.0]


class ProjectionRequest(CalculationRequest):
    """A calculation, and how things go on from there."""

    days: Annotated[Whole, Field(ge=1, le=MAX_DAYS)] | None = Field(
        default=None, description="How long; or `months`."
    )
    months: Annotated[Whole, Field(ge=1, le=MAX_MONTHS)] | None = Field(
        default=None, description="How long, at 365 / 12 days a month; 12 where nothing is said."
    )
    difficulty_growth_percent_per_epoch: Annotated[
        Number, Field(ge=-75, le=300, allow_inf_nan=False)
    ] = Field(
        default=0.0,
        description="Every 2,016 blocks (14 days), first 14 days after the start. The network "
        "allows -75 to 300.",
    )
    price_path: Annotated[list[BtcPrice], Field(min_length=1, max_length=MAX_DAYS)] | None = Field(
        default=None, description="The price of a bitcoin in each month, or on each day."
    )
    start_height: Annotated[Whole, Field(ge=0, le=100_000_000)] | None = Field(
        default=None,
        description="The chain's height at the start, for the halvings; by default today's.",
    )
    depreciation_months: Annotated[Whole, Field(ge=1, le=600)] | None = Field(
        default=None, description="The capex is written off evenly over these months."
    )
    discount_percent_per_month: Annotated[Number, Field(ge=0, le=100, allow_inf_nan=False)] = Field(
        default=0.0, description="What money costs, for the net present value."
    )


class SensitivityRequest(ProjectionRequest):
    """A projection to be repeated under other prices, power prices and difficulties."""

    price_change_percent: Axis = _AXIS
    electricity_change_percent: Axis = _AXIS
    difficulty_change_percent: Axis = _AXIS

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        cells = (
            len(self.price_change_percent)
            * len(self.electricity_change_percent)
            * len(self.difficulty_change_percent)
        )
        if cells > MAX_CELLS:
            msg = (
                f"price_change_percent: {cells:,} combinations, at most {MAX_CELLS:,} are reckoned"
            )
            raise ValueError(msg)
        return self


class Month(BaseModel):
    """One month of a projection."""

    month: int = Field(description="From 1.")
    days: int
    btc: float
    revenue_usd: float
    electricity_usd: float
    cost_usd: float = Field(description="Electricity and other running costs.")
    cash_flow_usd: float = Field(description="Revenue - cost; negative where it does not pay.")
    cumulative_usd: float = Field(description="All cash flows so far, less the capex.")
    depreciation_usd: float
    profit_usd: float = Field(description="Cash flow - depreciation.")
    book_value_usd: float | None = Field(description="Null where the capex is not known.")
    difficulty: float = Field(description="At the month's end.")
    subsidy_btc: float = Field(description="A day's mean, at the month's end.")


class Projection(BaseModel):
    """What machines earn over months. USD to 6 places, BTC to 12."""

    id: UUID | None = Field(description="Its place in the caller's history; null without a login.")
    model: str | None
    count: int
    days: int
    btc_total: float
    revenue_usd: float
    cost_usd: float
    cash_flow_usd: float
    months: list[Month]
    capex_usd: float | None = Field(description="Of all machines.")
    npv_usd: float = Field(
        description="Cash flows at the end of each month, discounted, less the capex (0 if it is "
        "not known)."
    )
    irr_percent_per_month: float | None
    irr_reason: str | None = Field(description="Why there is no internal rate of return.")
    payback_month: int | Literal["never"] | None = Field(
        description="The month by whose end the capex has come back; `never` within the time "
        "looked at; null where the capex is not known."
    )
    inputs: dict[str, Input]
    warnings: list[str]


class Cell(BaseModel):
    """A projection under one combination."""

    price_change_percent: float
    electricity_change_percent: float
    difficulty_change_percent: float
    btc_price_usd: float
    electricity_usd_per_kwh: float
    difficulty: float
    cash_flow_usd: float
    npv_usd: float
    payback_month: int | Literal["never"] | None


class Sensitivity(BaseModel):
    """A projection under all combinations: price slowest, difficulty fastest."""

    days: int
    cells: list[Cell]
    inputs: dict[str, Input]
    warnings: list[str]
