"""What the market publishes."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from common.events import Event

Amount = Annotated[Decimal, Field(examples=["76450.250000"])]
"""A decimal number as text."""


class ObservedVenue(BaseModel):
    """A venue whose price was used."""

    venue: str
    price_usd: Amount
    volume_btc_24h: Amount
    at: datetime


class DroppedVenue(BaseModel):
    """A venue whose price was left out, and why: stale, outlier or simulated."""

    venue: str
    reason: str


class MarketPriceObserved(Event):
    """The price of a bitcoin by all fresh venues together, every five minutes."""

    type: ClassVar[str] = "intelligence.market-price.observed.v1"
    aggregate: ClassVar[str] = "pair"

    pair: str
    median_usd: Amount
    vwap_usd: Amount | None
    venues: list[ObservedVenue]
    dropped: list[DroppedVenue]
    agrees: bool
    at: datetime
    simulated: bool
