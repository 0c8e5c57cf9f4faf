"""A snapshot of the market every five minutes: stored, and published."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.auth import PLATFORM_ORGANISATION
from common.runtime import Runtime
from intelligence.db import Outbox
from intelligence.domain.aggregate import Consensus
from intelligence.market import prices, quotes
from intelligence.market.events import DroppedVenue, MarketPriceObserved, ObservedVenue
from intelligence.market.models import MarketAnalytics

log = get_logger()
_HASHES_PER_DIFFICULTY = 2**32
_BLOCK_S = 600
_EXAHASH = 10**18


async def latest_snapshot(session: AsyncSession) -> MarketAnalytics | None:
    """Return the last snapshot, or None before the first."""
    query = select(MarketAnalytics).order_by(MarketAnalytics.created_at.desc()).limit(1)
    return await session.scalar(query)


async def take(runtime: Runtime, every: timedelta) -> None:
    """Take a snapshot, unless the last is younger than `every`, or no venue is fresh."""
    async with runtime.worker_session() as session:
        found = await prices.market(session)
        last = await latest_snapshot(session)
        if last is not None and found.at - last.created_at < every:
            return
        if found.consensus is None:
            log.warning("market.no_fresh_price", venues=len(found.tickers))
            return
        await _record(session, found.consensus, found.at)


async def _record(session: AsyncSession, consensus: Consensus, at: datetime) -> None:
    network = await _network(session)
    event = _event(consensus, at)
    told = event.model_dump(mode="json")
    session.add(
        MarketAnalytics(
            organisation_id=PLATFORM_ORGANISATION,
            btc_price=consensus.median,
            vwap_usd=consensus.vwap,
            network_hashrate=network.hashrate_ehs,
            network_difficulty=network.difficulty,
            volume_24h=consensus.volume,
            venues=told["venues"],
            dropped=told["dropped"],
            agrees=consensus.agrees,
            simulated=consensus.simulated or network.simulated,
            created_at=at,
        )
    )
    await session.flush()
    session.add(Outbox.of(event))


@dataclass(frozen=True, slots=True)
class _Network:
    difficulty: Decimal | None
    hashrate_ehs: Decimal | None
    simulated: bool


async def _network(session: AsyncSession) -> _Network:
    """Return difficulty and hashrate: the calculator's, else what the last epoch implies."""
    quote = await quotes.latest_quote(session)
    if quote is not None and quote.difficulty is not None:
        told = quote.network_hashrate_ehs
        hashrate = told if told is not None else implied_ehs(quote.difficulty)
        return _Network(quote.difficulty, hashrate, quote.simulated)
    epochs = await quotes.epochs(session, last=1)
    if not epochs:
        return _Network(None, None, simulated=False)
    difficulty = epochs[0].difficulty
    return _Network(difficulty, implied_ehs(difficulty), epochs[0].simulated)


def implied_ehs(difficulty: Decimal) -> Decimal:
    """Return the hashrate in EH/s at which blocks take 600 s: difficulty x 2^32 / 600."""
    return difficulty * _HASHES_PER_DIFFICULTY / _BLOCK_S / _EXAHASH


def _event(consensus: Consensus, at: datetime) -> MarketPriceObserved:
    places = Decimal("0.000001")
    vwap = consensus.vwap
    return MarketPriceObserved(
        organisation_id=PLATFORM_ORGANISATION,
        version=int(at.timestamp()),
        pair=quotes.PAIR,
        median_usd=consensus.median.quantize(places),
        vwap_usd=None if vwap is None else vwap.quantize(places),
        venues=[
            ObservedVenue(
                venue=quote.venue,
                price_usd=quote.price,
                volume_btc_24h=quote.volume,
                at=quote.at or at,
            )
            for quote in consensus.used
        ],
        dropped=[
            DroppedVenue(venue=one.venue, reason=one.reason.value) for one in consensus.dropped
        ],
        agrees=consensus.agrees,
        at=at,
        simulated=consensus.simulated,
    )
