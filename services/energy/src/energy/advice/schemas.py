"""The advice as it is shown. Amounts named `_usd` are in `currency`."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from energy.currencies.schemas import ConversionView
from energy.tariffs.amounts import Amount


class TariffView(BaseModel):
    """The version of the rate that advice is given by."""

    rate_id: UUID
    rate_version: int
    rate_name: str
    currency: str


class QuoteUsed(BaseModel):
    """What a hash and a bitcoin are taken to be worth."""

    price_usd: Amount
    at: datetime
    source: str
    stale: bool
    simulated: bool


class ClassAdvice(BaseModel):
    """A class of machines at the site, at the price of this half-hour."""

    miner_model: str
    machines: int
    hashrate_ths: Amount | None
    power_w: Amount | None
    efficiency_j_per_th: Amount | None
    break_even_usd_per_kwh: Amount | None = Field(
        description="The price of power at which it earns nothing, before pool fees."
    )
    price_usd_per_kwh: Amount | None
    margin_usd_per_kwh: Amount | None
    break_even_btc_price_usd: Amount | None
    state: Literal["run", "stop", "unknown"]
    reason: str | None = Field(
        description="Why the state is unknown: `unknown_miner_model`, `no_quote`, `no_price`."
    )


class AvoidWindow(BaseModel):
    """Hours in which power is dearer than some class of machines earns."""

    starts_at: datetime
    ends_at: datetime
    price_usd_per_kwh: Amount
    losing_models: list[str]
    power_kw: Amount = Field(description="Of the losing classes, by their ratings.")
    loss_usd: Amount = Field(description="What they lose by running through the window.")


class DearWindow(BaseModel):
    """The dearest hours to come, whatever is earned in them."""

    starts_at: datetime
    ends_at: datetime
    price_usd_per_kwh: Amount


class ShavingOption(BaseModel):
    """The month's peak, had the load been held under a level."""

    target_kw: Amount
    cut_kw: Amount
    half_hours: int = Field(description="In which the load would have been cut.")
    kwh_not_used: Amount
    cost_avoided_usd: Amount
    revenue_lost_usd: Amount | None
    net_usd: Amount | None


class PeakAdvice(BaseModel):
    """What demand has cost in a month, and what cutting its peaks would have saved."""

    month: str
    peak_kw: Amount | None
    peak_at: datetime | None
    options: list[ShavingOption]
    reason: str | None = Field(
        description="Why there is none: `no_half_hours`, `no_tariff`, `no_demand_charge`, "
        "`even_load`, `several_currencies`, `no_index_price`."
    )
    note: str


class ShiftOption(BaseModel):
    """The span's cost, had so much of each day's dearest energy been used at its cheapest hours."""

    share_percent: int
    wanted_kwh: Amount
    moved_kwh: Amount = Field(description="As far as the site could have drawn more then.")
    saved_usd: Amount


class ShiftAdvice(BaseModel):
    """What a shift would have saved."""

    start_date: date
    end_date: date
    kwh: Amount
    most_kw: Amount | None = Field(description="The highest half-hour: more is not moved into any.")
    options: list[ShiftOption]
    reason: str | None = Field(
        description="Why there is none: `no_half_hours`, `no_tariff`, `one_price`, "
        "`several_currencies`, `no_index_price`."
    )


class Advice(BaseModel):
    """What could cost less at a site."""

    site_id: UUID
    timezone: str
    at: datetime
    currency: str
    tariff: TariffView | None
    quote: QuoteUsed | None
    conversion: ConversionView | None = Field(description="From the tariff's currency.")
    classes: list[ClassAdvice]
    hours_to_avoid: list[AvoidWindow]
    dearest_hours: list[DearWindow]
    unpriced_half_hours: int = Field(
        description="Of the days to come, without a known price: none is made up."
    )
    peak_shaving: PeakAdvice
    shift: ShiftAdvice
    simulated: bool
