"""Takes a quote for the record every five minutes and publishes it."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from calculator.db import Outbox
from calculator.domain.assembly import Unknown
from calculator.domain.market import Market, Valued
from calculator.domain.network import hashprice_btc_per_ths_day, implied_hashrate_ehs
from calculator.quotes.asking import PARTS
from calculator.quotes.current import ask_when_older, forget, known_market, settle
from calculator.quotes.events import QuotePublished
from calculator.quotes.models import Quote
from calculator.quotes.schemas import places
from calculator.sources.parties import parties_of
from common.auth import PLATFORM_ORGANISATION
from common.party import NoAnswer
from common.runtime import Runtime

log = get_logger()
PAIR = "BTC/USD"
_EVERY = timedelta(minutes=5)
_LOOK_S = 5
_ASK_EARLY_S = 10
"""The worker asks so much before the answers are due, so that callers find them renewed."""
_ONE_AT_A_TIME = text("SELECT pg_try_advisory_xact_lock(7201318)")


async def publish_quotes(runtime: Runtime) -> None:
    """Keep the market fresh and publish it, for as long as the process runs."""
    try:
        while True:
            await publish_if_due(runtime)
            await asyncio.sleep(_LOOK_S)
    finally:
        await settle(runtime)


async def publish_if_due(runtime: Runtime) -> bool:
    """Publish a quote unless one was published within five minutes; return whether it was."""
    now = parties_of(runtime).now()
    async with runtime.worker_session() as session:
        if not await _is_due(session, now):
            return False
    for part in PARTS:
        with suppress(NoAnswer):
            await ask_when_older(runtime, part, part.fresh_s - _ASK_EARLY_S)
    forget(runtime)
    market = await known_market(runtime)
    if isinstance(market, Unknown):
        log.info("quote.unknown", missing=list(market.kinds))
        return False
    async with runtime.worker_session() as session:
        # Several workers look at the clock; whoever comes second finds the quote published.
        if not await session.scalar(_ONE_AT_A_TIME) or not await _is_due(session, now):
            return False
        await _publish(session, market, now)
    return True


async def _is_due(session: AsyncSession, now: datetime) -> bool:
    last = await session.scalar(
        select(Quote.published_at)
        .where(Quote.organisation_id == PLATFORM_ORGANISATION, Quote.published_at <= now)
        .order_by(Quote.published_at.desc())
        .limit(1)
    )
    return last is None or now - last >= _EVERY


async def _publish(session: AsyncSession, market: Market, now: datetime) -> None:
    quote = quote_of(market, now)
    session.add(quote)
    await session.flush()  # the aggregate first, its event after it
    session.add(Outbox.of(event_of(quote)))


def quote_of(market: Market, now: datetime) -> Quote:
    """Return the market as a row of the record."""
    difficulty, price = market.difficulty.value, market.price_usd
    reward = market.subsidy_btc.value + market.fees_btc_per_block.value
    hashprice_btc = hashprice_btc_per_ths_day(difficulty, reward)
    second = market.second_price_usd
    return Quote(
        organisation_id=PLATFORM_ORGANISATION,
        pair=PAIR,
        price_usd=price.value,
        at=price.at,
        source=price.source,
        stale=any(one.stale for one in essential(market)),
        simulated=any(one.simulated for one in essential(market)),
        height=market.height,
        difficulty=difficulty,
        network_hashrate_ehs=implied_hashrate_ehs(difficulty),
        subsidy_btc=market.subsidy_btc.value,
        fees_btc_per_block=market.fees_btc_per_block.value,
        hashprice_usd_per_ths_day=hashprice_btc * price.value,
        hashprice_btc_per_ths_day=hashprice_btc,
        second_price_usd=None if second is None else second.value,
        warnings=list(market.warnings),
        published_at=now,
    )


def essential(market: Market) -> tuple[Valued, ...]:
    """Return the figures without which there is no calculation: fees may be left out."""
    return market.price_usd, market.difficulty, market.subsidy_btc


def event_of(quote: Quote) -> QuotePublished:
    """Return the event of a quote."""
    second = quote.second_price_usd
    return QuotePublished(
        organisation_id=quote.organisation_id,
        version=int(quote.published_at.timestamp()),
        pair=quote.pair,
        price_usd=places(quote.price_usd, 6),
        at=quote.at,
        source=quote.source,
        stale=quote.stale,
        simulated=quote.simulated,
        height=quote.height,
        difficulty=places(quote.difficulty, 6),
        network_hashrate_ehs=round(float(quote.network_hashrate_ehs), 6),
        subsidy_btc=places(quote.subsidy_btc, 8),
        fees_btc_per_block=places(quote.fees_btc_per_block, 8),
        hashprice_usd_per_ths_day=places(quote.hashprice_usd_per_ths_day, 9),
        hashprice_btc_per_ths_day=places(quote.hashprice_btc_per_ths_day, 14),
        second_price_usd=None if second is None else places(second, 6),
        warnings=quote.warnings,
        published_at=quote.published_at,
    )
