"""What a bitcoin is worth now, in both currencies, and how far that may be believed."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from common.clock import now
from energy.currencies.models import ReferenceRate
from energy.facts.models import Quote
from energy.facts.reading import latest_quote
from energy.wind_views.figures import Currency, Money

Reason = Literal["no_quote", "no_exchange_rate"]
_SILENCE = timedelta(minutes=15)
"""The calculator publishes every five minutes; after three that did not come it is not heard."""
_RATE_LASTS = timedelta(days=5)
"""Reference rates come on working days; a long weekend is no fault."""


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
    rate_stale: bool | None
    reason: Reason | None = Field(description="Why a price is null.")


@dataclass(frozen=True, slots=True)
class _Rate:
    usd_per_gbp: Decimal
    day: date
    source: str
    simulated: bool


async def current_market(session: AsyncSession) -> MarketPrice:
    """Return the latest quote of bitcoin with the latest reference rate of the pound."""
    quote = await latest_quote(session)
    rate = await _latest_rate(session)
    instant = now()
    gbp = quote.price_usd / rate.usd_per_gbp if quote and rate else None
    return MarketPrice(
        btc_price_usd=quote and quote.price_usd,
        btc_price_gbp=gbp,
        usd_per_gbp=rate and rate.usd_per_gbp,
        at=quote and quote.at,
        age_s=quote and max(0, int((instant - quote.at).total_seconds())),
        source=quote and quote.source,
        stale=quote and (quote.stale or instant - quote.at > _SILENCE),
        simulated=_simulated(quote, rate),
        rate_day=rate and rate.day,
        rate_source=rate and rate.source,
        rate_stale=rate and instant.date() - rate.day > _RATE_LASTS,
        reason=_reason(quote, rate),
    )


def price_in(market: MarketPrice, currency: Currency) -> Decimal | None:
    """Return what a bitcoin is worth in a currency, where that is known."""
    return market.btc_price_usd if currency == "USD" else market.btc_price_gbp


def worth(bitcoin: Decimal | None, price: Decimal | None) -> Decimal | None:
    """Return what bitcoin are worth, where the price is known."""
    return None if bitcoin is None or price is None else bitcoin * price


def _reason(quote: Quote | None, rate: _Rate | None) -> Reason | None:
    if quote is None:
        return "no_quote"
    return "no_exchange_rate" if rate is None else None


def _simulated(quote: Quote | None, rate: _Rate | None) -> bool | None:
    known = [one.simulated for one in (quote, rate) if one is not None]
    return any(known) if known else None


async def _latest_rate(session: AsyncSession) -> _Rate | None:
    """Return the pound in dollars, by the last day on which both were worth so many to a euro."""
    usd, gbp = aliased(ReferenceRate), aliased(ReferenceRate)
    found = await session.execute(
        select(usd.per_eur, gbp.per_eur, usd.day, usd.source, usd.simulated, gbp.simulated)
        .join(gbp, (gbp.day == usd.day) & (gbp.currency == "GBP"))
        .where(usd.currency == "USD")
        .order_by(usd.day.desc())
        .limit(1)
    )
    row = found.one_or_none()
    if row is None:
        return None
    usd_per_eur, gbp_per_eur, day, source, *simulated = row
    return _Rate(usd_per_eur / gbp_per_eur, day, source, simulated=any(simulated))
