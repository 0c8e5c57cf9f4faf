"""What is shown of a quote, and of what it makes of a hashrate."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from hosting.amounts import Btc, Usd
from hosting.tariffs.schemas import NoPrice, TariffView


class QuoteView(BaseModel):
    """The quote that figures were made with."""

    pair: str
    price_usd: Usd
    at: datetime = Field(description="When the price was true, as its source says.")
    age_s: int
    source: str
    stale: bool = Field(
        description="It was old when it was published, or none has followed for a quarter hour."
    )
    simulated: bool


class Expected(BaseModel):
    """What machines are expected to earn in a day, and what that rests on."""

    basis: Literal["nameplate"] = Field(
        description="The rating of the machine (or, in sums, of all active machines) around the "
        "clock: before pool fee, stale shares and downtime. What they do hash is telemetry's word."
    )
    hashrate_ths: float = Field(description="The rated hashrate that the figures are made of.")
    power_w: float = Field(description="The rated power that the cost is made of.")
    btc_per_day: Btc | None
    revenue_usd_per_day: Usd | None
    cost_usd_per_day: Usd | None = Field(
        description="Power around the clock at the mean energy price of the site's tariff, without "
        "service and demand charges."
    )
    profit_usd_per_day: Usd | None
    tariff: TariffView | None = Field(
        description="What the cost was reckoned with; null in sums over sites, and for clients, "
        "who see what their machines cost but not the operator's tariff."
    )
    quote_at: datetime | None
    quote_age_s: int | None
    quote_source: str | None
    stale: bool | None
    simulated: bool | None
    reason: Literal["no_quote"] | NoPrice | None = Field(
        description="Why figures are null: `no_quote`, what is earned; the others, cost and "
        "profit: `no_tariff` is in force at a site, `tariff_varies` with an index or with use, "
        "`tariff_not_in_usd`."
    )
