"""What is shown of a quote, and of what it makes of a hashrate."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PlainSerializer


def _text(places: int) -> PlainSerializer:
    quantum = Decimal(1).scaleb(-places)
    return PlainSerializer(
        lambda amount: f"{amount.quantize(quantum, ROUND_HALF_UP):f}", return_type=str
    )


Usd = Annotated[Decimal, _text(6)]
Btc = Annotated[Decimal, _text(8)]


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
    btc_per_day: Btc | None
    revenue_usd_per_day: Usd | None
    cost_usd_per_day: Usd | None
    profit_usd_per_day: Usd | None
    quote_at: datetime | None
    quote_age_s: int | None
    quote_source: str | None
    stale: bool | None
    simulated: bool | None
    reason: Literal["no_quote", "no_tariff"] | None = Field(
        description="Why figures are null: `no_quote`, all of them; `no_tariff`, cost and profit."
    )
