"""Bodies of the curtailment recommendation."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from intelligence.domain.readings import SkipReason

MAX_MINERS = 20_000
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Objective(StrEnum):
    """What is lost least."""

    HASHRATE = "hashrate"
    PROFIT = "profit"


class Method(StrEnum):
    """How the answer was found."""

    GREEDY_SWAP = "greedy_swap"
    """Worst earners first, trades on real watts; near enough to the bound for nothing more."""
    MILP_SWAP = "milp_swap"
    """The better of that and a grouped-integer programme, traded on real watts likewise."""
    GREEDY_AFTER_TIMEOUT = "greedy_after_timeout"
    """The programme had no answer in time."""
    GREEDY_AFTER_FAILURE = "greedy_after_failure"
    """The solver process died."""
    GREEDY_SOLVER_BUSY = "greedy_solver_busy"
    """No solver process was free in time."""


class MinerReading(BaseModel):
    """A machine as it was last read. A reading that cannot be used is skipped with the reason."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1, max_length=100)
    hashrate_ths: float | None = None
    power_w: float | None = Field(default=None, description="Watts at the socket.")
    sampled_at: AwareDatetime | None = None
    weight: float = Field(
        default=1,
        ge=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="Multiplies the loss: above 1 protects the machine.",
    )
    group: str | None = Field(default=None, max_length=100, description="E.g. the client.")
    usd_per_kwh: float | None = Field(
        default=None,
        ge=-5,
        le=5,
        allow_inf_nan=False,
        description="Price of its power; needed for the objective `profit`.",
    )


class Limits(BaseModel):
    """What a selection must respect. A limit we do not know is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    max_share_by_group: Share | dict[str, Share] | None = Field(
        default=None,
        description="The largest part of a group's usable power that may be stopped: one number "
        "for every group, or a number by group. Machines of no group are under no limit.",
    )


class RecommendationRequest(BaseModel):
    """Machines to choose from, and how much power they must give up together."""

    miners: list[MinerReading] = Field(max_length=MAX_MINERS)
    target_power_w: float = Field(
        allow_inf_nan=False, description="Watts to shed, above zero.", examples=[6_000_000]
    )
    objective: Objective = Objective.HASHRATE
    hashprice_usd_per_ths_day: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        allow_inf_nan=False,
        validate_default=True,
        description="What 1 TH/s earns in a day; needed for the objective `profit`.",
    )
    max_age_s: float | None = Field(
        default=None,
        gt=0,
        le=31_536_000,
        allow_inf_nan=False,
        description="Readings older than this, or without a time, are skipped.",
    )
    limits: Limits | None = None
    time_limit_s: float = Field(default=2, ge=0.01, le=30, allow_inf_nan=False)

    @field_validator("hashprice_usd_per_ths_day")
    @classmethod
    def _profit_has_a_price(cls, price: float | None, info: ValidationInfo) -> float | None:
        if price is None and info.data.get("objective") is Objective.PROFIT:
            msg = "the objective profit needs hashprice_usd_per_ths_day"
            raise ValueError(msg)
        return price


class Skipped(BaseModel):
    """A machine that was left out."""

    id: str
    reason: SkipReason


class Recommendation(BaseModel):
    """Which machines to stop, and how near to the best that is."""

    shutdown: list[str] = Field(description="The machine missed least per watt first.")
    power_reduction_w: float
    hashrate_loss_ths: float = Field(description="Unweighted.")
    loss: float = Field(description="What the choice costs, in the unit of `bound`.")
    bound: float = Field(
        description="No choice costs less (linear relaxation): weighted TH/s, or for the "
        "objective `profit` weighted USD a day."
    )
    gap: float | None = Field(
        description="(loss - bound) / |bound|, a fraction; null where the bound is 0 and the loss "
        "is not."
    )
    method: Method
    elapsed_ms: float
    skipped: list[Skipped]
