"""What the quotes of record publish."""

from datetime import datetime
from typing import ClassVar

from common.events import Event


class QuotePublished(Event):
    """Price and network as they were taken for the record; money as decimal text."""

    type: ClassVar[str] = "calculator.quote.published.v1"
    aggregate: ClassVar[str] = "pair"

    pair: str
    price_usd: str
    at: datetime
    """When the price was true, as its source says."""
    source: str
    stale: bool
    simulated: bool
    height: int
    difficulty: str
    network_hashrate_ehs: float
    """What the difficulty implies: D x 2^32 / 600."""
    subsidy_btc: str
    fees_btc_per_block: str
    hashprice_usd_per_ths_day: str
    hashprice_btc_per_ths_day: str
    second_price_usd: str | None
    warnings: list[str]
    published_at: datetime
