"""Bodies of the treasury's back-tests. Amounts are decimal strings, ratios are numbers."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, field_validator, model_validator

from intelligence.domain.rules import RuleKind
from intelligence.treasury.amounts import (
    Btc,
    BtcOrNoneIn,
    PercentIn,
    PriceIn,
    TimePassed,
    Usd,
    UsdIn,
)
from intelligence.treasury.schemas import USD, Strict
from intelligence.treasury.selling_schemas import Parameters

MAX_POINTS = 5000
_DAY = timedelta(days=1)


class PricePoint(Strict):
    """One day's close."""

    at: TimePassed
    price_usd: PriceIn


class BacktestRequest(Strict):
    """Which rules to try on which prices. Without rules: every kind, with usual parameters."""

    rules: list[Parameters] = Field(default=[], max_length=20)
    rule_ids: list[UUID] = Field(default=[], max_length=20)
    days: Annotated[int, Field(ge=2, le=MAX_POINTS)] = Field(
        default=365, description="Of the stored daily history, where no prices are sent."
    )
    prices: list[PricePoint] | None = Field(
        default=None, min_length=2, max_length=MAX_POINTS, description="A series of one's own."
    )
    initial_btc: BtcOrNoneIn | None = Field(
        default=None, description="What is held now, where left out; 1 BTC where that is nothing."
    )
    initial_cash_usd: UsdIn = Decimal(0)
    cost_usd_per_btc: PriceIn | None = Field(
        default=None, description="Of the initial bitcoin; the first close where left out."
    )
    power_bill_usd_per_day: UsdIn | None = Field(
        default=None, description="As settled, where left out."
    )
    btc_mined_per_day: BtcOrNoneIn | None = Field(
        default=None, description="As settled, where left out."
    )
    break_even_usd: PriceIn | None = Field(
        default=None, description="As it is known now, where left out."
    )
    fee_percent: PercentIn | Literal[0] = Field(
        default=Decimal("0.1"), description="Of each sale's proceeds."
    )

    @field_validator("prices")
    @classmethod
    def _one_a_day(cls, prices: list[PricePoint] | None) -> list[PricePoint] | None:
        for before, after in zip(prices or [], (prices or [])[1:], strict=False):
            if after.at.date() - before.at.date() != _DAY:
                msg = f"the closes must be a day apart, in order: see {after.at:%Y-%m-%d}"
                raise ValueError(msg)
        return prices

    @model_validator(mode="after")
    def _something_to_try(self) -> "BacktestRequest":
        if self.initial_btc == 0 and not self.btc_mined_per_day and self.initial_cash_usd == 0:
            msg = "initial_btc: there is nothing to begin with"
            raise ValueError(msg)
        return self


class BacktestPoint(BaseModel):
    """The holding at one close."""

    at: datetime
    price_usd: Usd
    btc: Btc
    cash_usd: Usd
    equity_usd: Usd


class BacktestTrade(BaseModel):
    """One sale."""

    at: datetime
    btc: Btc
    price_usd: Usd
    fee_usd: Usd
    realised_usd: Usd


class BacktestResult(BaseModel):
    """How one rule has done. What is not defined is null, never 0."""

    rule: dict[str, Any]
    kind: RuleKind
    total_return_percent: float | None = Field(description="Time-weighted.")
    max_drawdown_percent: float | None
    sharpe: float | None = Field(description="Daily, times the root of 365, no risk-free rate.")
    win_rate_percent: float | None
    trades: int
    fees_usd: Usd
    realised_usd: Usd
    end_btc: Btc
    end_cash_usd: Usd
    end_equity_usd: Usd
    unfunded_days: int
    missing: list[str]
    last_trades: list[BacktestTrade]
    last_points: list[BacktestPoint]


class BacktestSeries(BaseModel):
    """What the rules were tried on."""

    source: Literal["stored", "given"]
    first_at: datetime
    last_at: datetime
    points: int
    simulated: bool
    gaps: int = Field(description="Missing days; the close before stands for them.")


class BacktestAssumptions(BaseModel):
    """What the rules were tried with, each as given, as settled, or as said in `notes`."""

    initial_btc: Btc
    initial_cash_usd: Usd
    cost_usd_per_btc: Usd
    power_bill_usd_per_day: Usd | None
    btc_mined_per_day: Btc
    break_even_usd: Usd | None
    fee_percent: Usd
    notes: list[str]


class BacktestReport(BaseModel):
    """What came out."""

    series: BacktestSeries
    assumptions: BacktestAssumptions
    results: list[BacktestResult]
    currency: Literal["USD"] = USD


class BacktestView(BaseModel):
    """A back-test; `report` is null while its job runs."""

    id: UUID
    job_id: UUID | None
    created_at: datetime
    report: BacktestReport | None


class BacktestSummary(BaseModel):
    """A back-test in the list."""

    id: UUID
    job_id: UUID | None
    created_at: datetime
    done: bool
    rules: int
    points: int
