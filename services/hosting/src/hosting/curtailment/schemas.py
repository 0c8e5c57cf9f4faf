"""What goes in and out over HTTP."""

from datetime import datetime
from decimal import ROUND_UP, Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
)

from hosting.amounts import Btc, Usd
from hosting.domain.curtailment import PlanStatus, PlanType
from hosting.domain.curtailment_choice import SkipReason
from hosting.domain.curtailment_target import DesiredState, TargetState
from hosting.quotes.schemas import QuoteView
from hosting.tariffs.schemas import NoPrice, TariffView

Megawatts = Annotated[Decimal, PlainSerializer(float, return_type=float)]
Objective = Literal["hashrate", "profit"]
_ABSURD_MW = 1_000_000
MAX_DURATION_MINUTES = 7 * 24 * 60


def _to_the_watt(megawatts: Decimal) -> Decimal:
    """Round away from zero, so that a plan never promises less than was asked."""
    if abs(megawatts) >= _ABSURD_MW:
        return megawatts  # beyond any site; it is refused with the maximum
    return megawatts.quantize(Decimal("0.000001"), ROUND_UP)


class CurtailmentRequest(BaseModel):
    """A reduction that somebody wants at a site."""

    model_config = ConfigDict(extra="forbid")

    site_id: UUID
    # The bounds of the target are checked against the fleet, so that the answer names the maximum.
    target_power_reduction_mw: Annotated[Decimal, AfterValidator(_to_the_watt)] = Field(
        allow_inf_nan=False, max_digits=30, examples=["6.0"], description="6 MW are 6,000,000 W."
    )
    strategy: Literal["performance_priority"] = "performance_priority"
    objective: Objective = "hashrate"
    duration_minutes: int | None = Field(
        default=None,
        ge=1,
        le=MAX_DURATION_MINUTES,
        description="After this the machines come back by themselves; without it, on request.",
    )
    hashprice_usd_per_ths_day: Decimal | None = Field(
        default=None, gt=0, allow_inf_nan=False, validate_default=True
    )
    usd_per_kwh: Decimal | None = Field(
        default=None, ge=0, le=5, allow_inf_nan=False, validate_default=True
    )

    @field_validator("hashprice_usd_per_ths_day", "usd_per_kwh")
    @classmethod
    def _profit_needs_prices(cls, price: Decimal | None, info: ValidationInfo) -> Decimal | None:
        if price is None and info.data.get("objective") == "profit":
            msg = f"objective profit needs {info.field_name}"
            raise ValueError(msg)
        return price


class CurtailmentTrigger(CurtailmentRequest):
    """A reduction to be carried out, now or at a given time."""

    scheduled_time: AwareDatetime | None = Field(
        default=None, description="Absent: at once. Machines are chosen when the time comes."
    )


class UnknownFigure(BaseModel):
    """A figure that cannot be told yet, and why. Null is honest, zero would be a claim."""

    value: None
    reason: str


class _Loss(BaseModel):
    over_minutes: int = Field(
        description="What `value` counts: the plan's duration, or a day where it has none."
    )
    reason: Literal["no_quote"] | None = Field(description="Why there is no figure.")


class LostBtc(_Loss):
    """What the stopped machines would have mined, as they hash now; restarting is not counted."""

    value: Btc | None
    per_day: Btc | None


class LostRevenue(_Loss):
    """What the stopped machines would have earned at the quote, before fees and power."""

    value: Usd | None
    per_day: Usd | None


class AvoidedCost(BaseModel):
    """What the power that is not drawn would have cost, at the tariff's mean energy price.

    Demand charges are not counted: what a lower peak saves depends on the rest of the month.
    """

    value: Usd | None
    per_day: Usd | None
    over_minutes: int = Field(
        description="What `value` counts: the plan's duration, or a day where it has none."
    )
    tariff: TariffView | None
    reason: NoPrice | None = Field(description="Why there is no figure.")


class PreviewCandidate(BaseModel):
    """A machine that the plan may stop; `selected` if it would."""

    miner_id: UUID
    hashrate_ths: float
    power_w: float
    expected_reduction_w: float
    power_estimated: bool
    sampled_at: datetime
    selected: bool


class PreviewSkipped(BaseModel):
    """A machine that the plan leaves alone."""

    miner_id: UUID
    reason: SkipReason | str


class CurtailmentPreview(BaseModel):
    """What a trigger with the same body would do now."""

    site_id: UUID
    target_power_reduction_mw: Megawatts
    strategy: str
    objective: str
    feasible: bool
    maximum_power_mw: Megawatts
    expected_reduction_mw: Megawatts
    miners_affected: int
    hashrate_loss_ths: float
    bound: float | None
    gap: float | None
    method: str | None
    elapsed_ms: float | None
    candidates: list[PreviewCandidate]
    skipped: list[PreviewSkipped]
    skipped_by_reason: dict[str, int]
    quote: QuoteView | None
    lost_btc: LostBtc
    lost_revenue_usd: LostRevenue
    avoided_cost: AvoidedCost
    sla_effect: UnknownFigure


class Target(BaseModel):
    """One machine of a plan."""

    model_config = ConfigDict(from_attributes=True)

    miner_id: UUID
    state: TargetState
    desired_state: DesiredState
    baseline_power_w: float
    observed_power_w: float | None
    power_estimated: bool
    reason: str | None
    accepted_at: datetime | None
    confirmed_at: datetime | None
    restored_at: datetime | None


class PlanSummary(BaseModel):
    """A plan without its machines."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    site_id: UUID
    status: PlanStatus
    plan_type: PlanType
    strategy: str
    objective: str
    target_power_reduction_mw: Megawatts
    power_reduced_mw: Megawatts
    power_reduced_estimated_mw: Megawatts
    miners_affected: int
    restore_failed_count: int
    duration_minutes: int | None
    scheduled_time: datetime
    started_at: datetime | None
    executed_at: datetime | None
    ends_at: datetime | None
    cancelled_at: datetime | None
    completed_at: datetime | None
    created_by: UUID
    approved_by: UUID | None
    created_at: datetime
    version: int


class Plan(PlanSummary):
    """A plan with its machines."""

    targets: list[Target]
    targets_by_state: dict[str, int]
    decision: dict[str, object]


class Policy(BaseModel):
    """How a site curtails."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")

    four_eyes: bool = Field(description="A plan needs a second person's approval.")
    restore_batch_size: int = Field(ge=1, le=10_000, description="Machines woken together.")
    restore_interval_s: int = Field(ge=1, le=3600, description="Seconds between two batches.")
