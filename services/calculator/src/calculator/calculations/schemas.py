"""Requests and answers of the calculation."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from calculator.calculations.limits import LIMITS


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        msg = "must be a number"
        raise ValueError(msg)  # noqa: TRY004  (what pydantic turns into a validation error)
    return value


Number = Annotated[float, BeforeValidator(_no_boolean)]
Whole = Annotated[int, BeforeValidator(_no_boolean)]
Hashrate = Annotated[Number, LIMITS["hashrate_ths"].described()]
Power = Annotated[Number, LIMITS["power_w"].described()]
Count = Annotated[Whole, LIMITS["count"].described()]
Electricity = Annotated[Number, LIMITS["electricity_usd_per_kwh"].described()]
BtcPrice = Annotated[Number, LIMITS["btc_price_usd"].described()]
Difficulty = Annotated[Number, LIMITS["difficulty"].described()]
Subsidy = Annotated[Number, LIMITS["subsidy_btc"].described()]
Fees = Annotated[Number, LIMITS["fees_btc_per_block"].described()]
PoolFee = Annotated[Number, LIMITS["pool_fee_percent"].described()]
Uptime = Annotated[Number, LIMITS["uptime_percent"].described()]
Stale = Annotated[Number, LIMITS["stale_percent"].described()]
Capex = Annotated[Number, LIMITS["capex_usd"].described()]
OtherOpex = Annotated[Number, LIMITS["other_opex_usd_per_day"].described()]


class CalculationRequest(BaseModel):
    """What to calculate: one machine, times `count`.

    The machine is a `model`, or `hashrate_ths` and `power_w`; with both, the numbers replace the
    model's. Electricity is one of three fields. All else has an origin that the answer states.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: Annotated[str, Field(min_length=1, max_length=120)] | None = Field(
        default=None,
        validation_alias=AliasChoices("model", "miner_model"),
        description="Name, alias or id of a miner model; also `miner_model`.",
        examples=["Antminer S19 Pro 110T"],
    )
    hashrate_ths: Hashrate | None = None
    power_w: Power | None = None
    count: Count | None = None
    electricity_usd_per_kwh: Electricity | None = Field(
        default=None,
        validation_alias=AliasChoices("electricity_usd_per_kwh", "electricity_cost"),
        examples=[0.06],
    )
    rate_id: UUID | None = Field(
        default=None,
        description="A tariff of the energy service: its mean price over a week is taken. "
        "Needs the permission tariffs:read.",
    )
    site_id: UUID | None = Field(
        default=None, description="A site, for the tariff that is in force there."
    )
    btc_price_usd: BtcPrice | None = None
    difficulty: Difficulty | None = None
    subsidy_btc: Subsidy | None = None
    fees_btc_per_block: Fees | None = None
    pool_fee_percent: PoolFee | None = None
    uptime_percent: Uptime | None = None
    stale_percent: Stale | None = None
    capex_usd: Capex | None = None
    other_opex_usd_per_day: OtherOpex | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = Field(
        default=None,
        description="Show the result in this currency too; needs usd_per_currency, by which "
        "a tariff in this currency is converted too.",
    )
    usd_per_currency: Annotated[Number, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = Field(
        default=None, description="USD for one unit of `currency`."
    )


class Input(BaseModel):
    """One figure that went into a calculation."""

    value: float | str | None
    source: str = Field(
        description="`given`, `model` (its nameplate or reference price), `tariff_mean` (a "
        "tariff's mean energy price of the week after it was published), `tariff`, `default`, "
        "`unknown`, or who quoted it."
    )
    age_s: float | None = Field(
        description="Seconds since a quote or a mean was published; null for the rest."
    )
    stale: bool = Field(description="Whether a quote or a mean is older than it ought to be.")
    simulated: bool = Field(description="Whether a quote is a simulated one.")


class Period(BaseModel):
    """The same over a longer time, everything staying as it is."""

    days: float
    btc: float
    revenue_usd: float
    energy_kwh: float
    cost_usd: float
    profit_usd: float


class Algorithm(BaseModel):
    """One of two ways to the income."""

    algorithm: Literal["difficulty", "network_share"]
    btc_per_day: float
    revenue_usd_per_day: float
    network_hashrate_ehs: float
    btc_price_usd: float
    network_source: str
    price_source: str


class Verification(BaseModel):
    """Whether two ways, from two pairs of providers, lead to the same income."""

    primary: Algorithm
    secondary: Algorithm | None = Field(description="Null where the other pair is not known.")
    difference_percent: float | None = Field(description="Of the BTC per day; never negative.")
    price_difference_percent: float | None
    agrees: bool | None = Field(description="Within 1 %. Null where there is nothing to compare.")
    reason: str | None


class Converted(BaseModel):
    """The money of the result in another currency, at the given rate."""

    currency: str
    usd_per_currency: float
    revenue_per_day: float
    cost_per_day: float
    profit_per_day: float


class Figures(BaseModel):
    """What machines earn and cost in a day, all of `count` together.

    BTC to 12 places; USD, kWh and percent to 6; USD per kWh to 8.
    """

    btc_per_day: float
    revenue_usd_per_day: float
    energy_kwh_per_day: float
    electricity_usd_per_day: float
    cost_usd_per_day: float = Field(description="Electricity and other running costs.")
    profit_usd_per_day: float
    margin_percent: float | None = Field(description="Profit / revenue; null without revenue.")
    break_even_usd_per_kwh: float | None = Field(
        description="The price of electricity at which the profit is nil; null without power."
    )
    break_even_btc_price_usd: float | None = Field(
        description="The price of a bitcoin at which the profit is nil; null without income."
    )
    roi_percent_per_year: float | None = Field(description="365 days' profit / capex.")
    break_even_days: float | None = Field(
        description="Capex / profit a day; null without capex, or where there is no profit."
    )


class Calculation(Figures):
    """The result of one calculation, and everything that it was made from."""

    id: UUID | None = Field(description="Its place in the caller's history; null without a login.")
    model: str | None
    count: int
    hashprice_usd_per_ph_day: float = Field(
        description="What 1 PH/s is expected to earn, before all fees."
    )
    hashprice_btc_per_ph_day: float
    network_hashrate_ehs: float = Field(description="Difficulty * 2^32 / 600 s.")
    month: Period = Field(description="365 / 12 days.")
    year: Period = Field(description="365 days.")
    converted: Converted | None
    verification: Verification
    inputs: dict[str, Input]
    warnings: list[str]
