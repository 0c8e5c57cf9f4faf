"""The present market: what the venues last said, each by itself and all together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Invalid, Unavailable
from intelligence.domain.aggregate import (
    Consensus,
    Dropped,
    DropReason,
    Quote,
    aggregate,
    percent_off,
)
from intelligence.market.exchanges import EXCHANGES
from intelligence.market.models import Ticker
from intelligence.market.schemas import (
    AggregatedQuotes,
    ExchangeRow,
    Exchanges,
    MarketPrice,
    MarketVolume,
    QuotesToAggregate,
    VenueDropped,
    VenuePrice,
    VenueVolume,
)

_BY_NAME = {exchange.name: exchange for exchange in EXCHANGES}
_STALE_AFTER = timedelta(minutes=3)
_RETRY_AFTER_S = 30


class NoFreshPrice(Unavailable):
    title: ClassVar[str] = "No venue has a fresh price at the moment"


class StaleQuotes(Invalid):
    title: ClassVar[str] = "All quotes are stale"


@dataclass(frozen=True, slots=True)
class Market:
    """What the venues last said, and what it comes to."""

    tickers: Sequence[Ticker]
    consensus: Consensus | None
    at: datetime


def quote_of(ticker: Ticker) -> Quote | None:
    """Return a ticker as a quote; None where the venue has never had a price."""
    if ticker.price_usd is None or ticker.at is None:
        return None
    return Quote(
        venue=ticker.venue,
        price=ticker.price_usd,
        volume=ticker.volume_btc_24h or Decimal(0),
        at=ticker.at,
        stale_after=_stale_after(ticker.venue),
        simulated=ticker.simulated,
    )


def _stale_after(venue: str) -> timedelta:
    known = _BY_NAME.get(venue)
    return known.stale_after if known else _STALE_AFTER


async def market(session: AsyncSession) -> Market:
    """Read the tickers and make one price of them."""
    tickers = list(await session.scalars(select(Ticker).order_by(Ticker.venue)))
    at = now()
    quotes = [quote for ticker in tickers if (quote := quote_of(ticker)) is not None]
    return Market(tickers, aggregate(quotes, at), at)


def agreed(found: Market) -> Consensus:
    """Return the price of all fresh venues.

    Raises:
        NoFreshPrice: there is none; the last known prices are in the problem.
    """
    if found.consensus is not None:
        return found.consensus
    known = [ticker for ticker in found.tickers if ticker.at is not None]
    raise NoFreshPrice(
        "Every venue's last price is too old to be used."
        if known
        else "No venue has told a price yet.",
        retry_after_s=_RETRY_AFTER_S,
        last_known=[
            {
                "venue": ticker.venue,
                "price_usd": f"{ticker.price_usd:.6f}",
                "at": ticker.at.isoformat(),
                "age_s": _age_s(ticker.at, found.at),
            }
            for ticker in known
            if ticker.at is not None and ticker.price_usd is not None
        ],
    )


async def price(session: AsyncSession) -> MarketPrice:
    """Return the price of a bitcoin by all venues together.

    Raises:
        NoFreshPrice: no venue has a fresh one.
    """
    found = await market(session)
    consensus = agreed(found)
    used = {quote.venue: quote for quote in consensus.used}
    oldest = min(quote.at for quote in consensus.used if quote.at is not None)
    return MarketPrice(
        pair="BTC/USD",
        median_usd=consensus.median,
        vwap_usd=consensus.vwap,
        volume_btc_24h=consensus.volume,
        at=oldest,
        age_s=_age_s(oldest, found.at),
        stale=False,
        simulated=consensus.simulated,
        agrees=consensus.agrees,
        warnings=warnings_of(consensus),
        venues=[
            VenuePrice(
                venue=ticker.venue,
                pair=ticker.pair,
                price_usd=ticker.price_usd,
                volume_btc_24h=ticker.volume_btc_24h,
                at=ticker.at,
                age_s=_age_of(ticker, found.at),
                stale=_is_stale(ticker, found.at),
                simulated=ticker.simulated,
                used=ticker.venue in used,
            )
            for ticker in found.tickers
        ],
        dropped=[_dropped(one) for one in consensus.dropped],
    )


async def volume(session: AsyncSession) -> MarketVolume:
    """Return what was traded within 24 hours, by venue and in all.

    Raises:
        NoFreshPrice: no venue is fresh.
    """
    found = await market(session)
    consensus = agreed(found)
    used = {quote.venue for quote in consensus.used}
    counted = [ticker for ticker in found.tickers if ticker.venue in used]
    total = sum((ticker.volume_btc_24h or Decimal(0) for ticker in counted), Decimal(0))
    return MarketVolume(
        total_btc_24h=total,
        total_usd_24h=sum((_turnover(ticker) or Decimal(0) for ticker in counted), Decimal(0)),
        simulated=consensus.simulated,
        venues=[
            VenueVolume(
                venue=ticker.venue,
                pair=ticker.pair,
                volume_btc_24h=ticker.volume_btc_24h,
                volume_usd_24h=_turnover(ticker),
                share_percent=_share(ticker.volume_btc_24h, total) if ticker in counted else None,
                at=ticker.at,
                age_s=_age_of(ticker, found.at),
                stale=_is_stale(ticker, found.at),
                simulated=ticker.simulated,
            )
            for ticker in found.tickers
        ],
    )


async def exchanges(session: AsyncSession) -> Exchanges:
    """Return the venues beside each other, also those that do not answer."""
    found = await market(session)
    consensus = found.consensus
    middle = consensus.median if consensus else None
    ranked = sorted(consensus.used, key=lambda quote: quote.price) if consensus else []
    apart = ranked[-1].price - ranked[0].price if ranked else None
    return Exchanges(
        median_usd=middle,
        highest=ranked[-1].venue if ranked else None,
        lowest=ranked[0].venue if ranked else None,
        difference_usd=apart,
        difference_percent=percent_off(ranked[-1].price, ranked[0].price) if ranked else None,
        simulated=any(ticker.simulated for ticker in found.tickers),
        exchanges=[_row(ticker, middle, found.at) for ticker in found.tickers],
    )


def combined(body: QuotesToAggregate) -> AggregatedQuotes:
    """Return one price out of the caller's.

    Raises:
        StaleQuotes: all of them are.
    """
    quotes = [
        Quote(quote.venue, quote.price, quote.volume, quote.at, _STALE_AFTER)
        for quote in body.quotes
    ]
    found = aggregate(quotes, now())
    if found is None:
        raise StaleQuotes(
            "Every quote is older than three minutes; send newer ones.", field="quotes"
        )
    return AggregatedQuotes(
        median_usd=found.median,
        vwap_usd=found.vwap,
        volume_btc=found.volume,
        venues_used=[quote.venue for quote in found.used],
        dropped=[_dropped(one) for one in found.dropped],
        agrees=found.agrees,
        warnings=warnings_of(found),
    )


def warnings_of(consensus: Consensus) -> list[str]:
    """Say in sentences what is wrong with a price."""
    said = [_WARNINGS[one.reason].format(one) for one in consensus.dropped]
    if not consensus.agrees:
        far = " and ".join(f"{quote.venue} {quote.price}" for quote in consensus.used)
        said.append(f"The venues disagree by more than 2 %: {far}.")
    if consensus.simulated:
        said.append("The price is simulated.")
    return said


_WARNINGS = {
    DropReason.STALE: "{0.venue} is stale and was left out.",
    DropReason.OUTLIER: "{0.venue} is {0.difference_percent} % off the median and was left out.",
    DropReason.SIMULATED: "{0.venue} is simulated and was left out beside real venues.",
}


def _row(ticker: Ticker, middle: Decimal | None, at: datetime) -> ExchangeRow:
    told = ticker.price_usd
    return ExchangeRow(
        venue=ticker.venue,
        pair=ticker.pair,
        status=_status(ticker, at),
        price_usd=told,
        bid_usd=ticker.bid_usd,
        ask_usd=ticker.ask_usd,
        spread_percent=_spread(ticker),
        difference_percent=percent_off(told, middle) if told and middle else None,
        volume_btc_24h=ticker.volume_btc_24h,
        at=ticker.at,
        age_s=_age_of(ticker, at),
        stale=_is_stale(ticker, at),
        simulated=ticker.simulated,
        failures=ticker.failures,
        failing_since=ticker.failing_since,
        last_error=ticker.last_error,
    )


def _status(ticker: Ticker, at: datetime) -> Literal["ok", "stale", "failing", "silent"]:
    if ticker.price_usd is None:
        return "silent"
    if _is_stale(ticker, at):
        return "stale"
    return "failing" if ticker.failures else "ok"


def _spread(ticker: Ticker) -> Decimal | None:
    if ticker.bid_usd is None or ticker.ask_usd is None:
        return None
    middle = (ticker.ask_usd + ticker.bid_usd) / 2
    return (ticker.ask_usd - ticker.bid_usd) / middle * 100


def _share(part: Decimal | None, whole: Decimal) -> Decimal | None:
    return None if part is None or not whole else part / whole * 100


def _turnover(ticker: Ticker) -> Decimal | None:
    if ticker.volume_btc_24h is None or ticker.price_usd is None:
        return None
    return ticker.volume_btc_24h * ticker.price_usd


def _is_stale(ticker: Ticker, at: datetime) -> bool:
    return ticker.at is None or at - ticker.at > _stale_after(ticker.venue)


def _age_of(ticker: Ticker, at: datetime) -> float | None:
    return None if ticker.at is None else _age_s(ticker.at, at)


def _age_s(then: datetime, at: datetime) -> float:
    return max(0.0, round((at - then).total_seconds(), 3))


def _dropped(one: Dropped) -> VenueDropped:
    return VenueDropped(
        venue=one.venue, reason=one.reason, difference_percent=one.difference_percent
    )
