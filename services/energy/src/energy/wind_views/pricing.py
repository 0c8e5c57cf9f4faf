"""What a bitcoin is worth now, in both currencies, and how far that may be believed."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from energy.currencies.reading import (
    Conversion,
    CurrencyUnknown,
    RateUnavailable,
    conversion,
)
from energy.facts.models import Quote
from energy.facts.reading import latest_quote
from energy.wind_views.figures import Currency, Money

Reason = Literal["no_quote", "no_exchange_rate"]
_SILENCE = timedelta(minutes=15)
"""The calculator publishes every five minutes; after three that did not come it is not heard."""


class MarketPrice(BaseModel):
    """The quote and the exchange rate behind every `value_at_current_price`."""

    btc_price_usd: Money | None
    btc_price_gbp: Money | None
    usd_per_gbp: Money | None
    at: datetime | None = Field(description="When the bitcoin price was true.")
    age_s: int | None
    source: str | None
    stale: bool | None = Field(description="Quoted as old, or the last of a silence of 15 minutes.")
    simulated: bool | None = Field(description="Whether quote or exchange rate is a simulated one.")
    rate_day: date | None = Field(description="The day of the exchange rate.")
    rate_source: str | None
    reason: Reason | None = Field(description="Why a price is null.")


async def current_market(session: AsyncSession) -> MarketPrice:
    """Return the latest quote of bitcoin with the latest reference rate of the pound."""
    quote = await latest_quote(session)
    rate = await _latest_rate(session)
    instant = now()
    gbp = quote.price_usd / rate.rate if quote and rate else None
    return MarketPrice(
        btc_price_usd=quote and quote.price_usd,
        btc_price_gbp=gbp,
        usd_per_gbp=rate and rate.rate,
        at=quote and quote.at,
        age_s=quote and max(0, int((instant - quote.at).total_seconds())),
        source=quote and quote.source,
        stale=quote and (quote.stale or instant - quote.at > _SILENCE),
        simulated=_simulated(quote, rate),
        rate_day=rate and rate.day,
        rate_source=rate and rate.source,
        reason=_reason(quote, rate),
    )


def price_in(market: MarketPrice, currency: Currency) -> Decimal | None:
    """Return what a bitcoin is worth in a currency, where that is known."""
    return market.btc_price_usd if currency == "USD" else market.btc_price_gbp


def worth(bitcoin: Decimal | None, price: Decimal | None) -> Decimal | None:
    """Return what bitcoin are worth, where the price is known."""
    return None if bitcoin is None or price is None else bitcoin * price


def _reason(quote: Quote | None, rate: Conversion | None) -> Reason | None:
    if quote is None:
        return "no_quote"
    return "no_exchange_rate" if rate is None else None


def _simulated(quote: Quote | None, rate: Conversion | None) -> bool | None:
    known = [one.simulated for one in (quote, rate) if one is not None]
    return any(known) if known else None


async def _latest_rate(session: AsyncSession) -> Conversion | None:
    """Return how pounds become dollars, by the last reference rates of a week; or None."""
    try:
        return await conversion(session, "GBP", "USD")
    except (CurrencyUnknown, RateUnavailable):
        return None
