"""What the exchanges' median says: a third price, by which ours is checked and never replaced."""

from datetime import datetime
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from calculator.domain.assembly import EXCHANGES
from calculator.domain.readings import Kind, Reading, objection
from calculator.quotes.publishing import PAIR
from calculator.quotes.store import remember
from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.consumer import Reactions, Received

log = get_logger()
reactions = Reactions()


class MarketPrice(BaseModel):
    """intelligence.market-price.observed.v1, as far as a cross-check cares."""

    pair: str
    median_usd: Decimal
    at: AwareDatetime
    simulated: bool = False


@reactions.on("intelligence.market-price.observed.v1")
async def market_price_observed(session: AsyncSession, event: Received[MarketPrice]) -> None:
    """Keep the median for comparison; a figure that cannot be true is left aside."""
    seen = event.data
    if event.organisation_id != PLATFORM_ORGANISATION or seen.pair != PAIR:
        return
    reading = exchanges_reading(seen.median_usd, seen.at, now(), simulated=seen.simulated)
    if why := objection(reading):
        log.warning("market_price.unusable", reason=why)
        return
    await remember(session, [reading])


def exchanges_reading(
    median_usd: Decimal, at: datetime, asked_at: datetime, *, simulated: bool
) -> Reading:
    """Return the median as a reading; its age counts from when it was true."""
    return Reading(Kind.PRICE_USD, EXCHANGES, median_usd, at, min(at, asked_at), simulated)
