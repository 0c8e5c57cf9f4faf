"""Answers of the network routes."""

from datetime import datetime
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from calculator.quotes.schemas import DecimalText, Figure


class NextRetarget(BaseModel):
    """The next change of the difficulty."""

    height: int
    remaining_blocks: int
    estimated_at: datetime
    estimated_change_percent: float | None
    """As the blocks since the last change have come; null while that cannot be told."""
    basis: str


class NextHalving(BaseModel):
    """The next change of the subsidy."""

    height: int
    remaining_blocks: int
    estimated_at: datetime
    subsidy_btc: DecimalText
    subsidy_btc_after: DecimalText


class Hashrate(BaseModel):
    """The network's hashrate: what the difficulty implies, and what was measured."""

    implied_ehs: float
    measured: Figure | None
    second: Figure | None


class Hashprice(BaseModel):
    """What hashrate earns in a day, fees included."""

    usd_per_ph_day: DecimalText
    usd_per_th_day: DecimalText
    btc_per_ph_day: DecimalText
    btc_per_th_day: DecimalText


class NetworkView(BaseModel):
    """The network and the market as they stand."""

    height: int
    price_usd: Figure
    second_price_usd: Figure | None
    difficulty: Figure
    subsidy_btc: Figure
    fees_btc_per_block: Figure
    """The average of the last 144 blocks."""
    hashrate: Hashrate
    hashprice: Hashprice
    next_retarget: NextRetarget
    halving: NextHalving
    stale: bool
    simulated: bool
    warnings: list[str]
    assumptions: list[str]


class SubsidyView(BaseModel):
    """What a block creates."""

    height: int
    era: int
    subsidy_sat: int
    subsidy_btc: DecimalText
    next_halving_height: int
    subsidy_btc_after: DecimalText


class DifficultyView(BaseModel):
    """What a compact form stands for; `difficulty` to six places, the fraction exactly."""

    bits: str
    difficulty: DecimalText
    difficulty_numerator: str
    difficulty_denominator: str
    target: str
    network_hashrate_ehs: float


class RetargetView(BaseModel):
    """What becomes of a difficulty after 2,016 blocks."""

    difficulty: DecimalText
    timespan_s: int
    expected_timespan_s: int
    clamped_timespan_s: int
    clamped: bool
    change_percent: float
    next_difficulty: DecimalText


class EpochView(BaseModel):
    """Blocks in a row with one difficulty and one subsidy."""

    height: int
    next_height: int
    started_at: datetime
    difficulty: DecimalText
    bits: str | None
    subsidy_btc: DecimalText
    source: str
    simulated: bool


class ManualEpoch(BaseModel):
    """The first block of a difficulty, as a person knows it."""

    model_config = ConfigDict(extra="forbid")

    height: int = Field(ge=0, le=10**8, examples=[885_024], description="A multiple of 2,016")
    started_at: AwareDatetime
    difficulty: Decimal = Field(
        ge=1, le=10**18, allow_inf_nan=False, max_digits=40, examples=["110568428300952.69"]
    )


class ManualEpochs(BaseModel):
    """Epochs recorded by a person, for an installation that reaches no provider."""

    model_config = ConfigDict(extra="forbid")

    epochs: list[ManualEpoch] = Field(min_length=1, max_length=1000)
    simulated: bool = Field(
        default=False, description="Of a simulated chain: what is true replaces them later"
    )
    note: str = Field(min_length=1, max_length=200, description="Where they are from")


class RecordedEpochs(BaseModel):
    """How many of them were new, or replaced a simulated one."""

    recorded: int
    known: int
