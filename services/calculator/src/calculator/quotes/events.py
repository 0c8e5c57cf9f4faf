"""What the quotes of record publish."""

from datetime import datetime
from typing import ClassVar

from calculator.quotes.schemas import DecimalText
from common.events import Event


class QuotePublished(Event):
    """Price and network as they were taken for the record; money as decimal text."""

    type: ClassVar[str] = "calculator.quote.published.v1"
    aggregate: ClassVar[str] = "pair"

    pair: str
    price_usd: DecimalText
    at: datetime
    """When the price was true, as its source says."""
    source: str
    stale: bool
    simulated: bool
    height: int
    difficulty: DecimalText
    network_hashrate_ehs: float
    """What the difficulty implies: D x 2^32 / 600."""
    subsidy_btc: DecimalText
    fees_btc_per_block: DecimalText
    hashprice_usd_per_ths_day: DecimalText
    hashprice_btc_per_ths_day: DecimalText
    second_price_usd: DecimalText | None
    warnings: list[str]
    published_at: datetime
