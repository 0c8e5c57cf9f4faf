"""What the market publishes."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel

from common.events import Event


class ObservedVenue(BaseModel):
    """A venue whose price was used."""

    venue: str
    price_usd: Decimal
    volume_btc_24h: Decimal
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
    median_usd: Decimal
    vwap_usd: Decimal | None
    venues: list[ObservedVenue]
    dropped: list[DroppedVenue]
    agrees: bool
    at: datetime
    simulated: bool
