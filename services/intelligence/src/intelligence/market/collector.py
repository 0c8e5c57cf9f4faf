"""The market's worker. One process of the service follows the venues, the others wait.

It leads by a session-level advisory lock: a lost connection loses the lock with it, and with the
lock goes all the rest.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from sqlalchemy import delete, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog import get_logger

from common.clock import now
from common.runtime import Runtime
from intelligence.domain.candles import Interval
from intelligence.market import snapshots
from intelligence.market.exchanges import NAMES
from intelligence.market.models import CalculatorQuote, Candle, Ticker
from intelligence.settings import Settings

if TYPE_CHECKING:
    from intelligence.market.feed import Feed

log = get_logger()
_TRY_TO_LEAD = text("SELECT pg_try_advisory_lock(7201602)")
_STILL_THERE = text("SELECT 1")
_LOOK_S = 5.0
_SNAPSHOT_LOOK_S = 1.0
_PRUNE_S = 6 * 3600.0
_KEPT = {
    Interval.MINUTE: timedelta(days=14),
    Interval.FIVE_MINUTES: timedelta(days=60),
    Interval.QUARTER: timedelta(days=180),
}
"""How long a venue's short bars are kept; hours, days, imports and the index stay."""
_QUOTES_KEPT = timedelta(days=1500)


async def follow_market(runtime: Runtime) -> None:
    """Take prices and candles from the venues, for ever."""
    settings = cast("Settings", runtime.settings)
    if not (settings.market_enabled and any(settings.venue_urls().values())):
        log.info("market.not_followed")
        await runtime.stopping.wait()
        return
    async with _leading(runtime) as connection:
        log.info("market.leading")
        try:
            await _follow(runtime, settings, connection)
        except ExceptionGroup as failed:
            lost, others = failed.split((OSError, DBAPIError))
            if others is not None or lost is None:
                raise
            msg = f"the market's worker lost its database: {lost.exceptions[0]!r:.200}"
            raise ConnectionError(msg) from failed


@asynccontextmanager
async def _leading(runtime: Runtime) -> AsyncGenerator[AsyncConnection]:
    """Wait for the lead; it ends with the connection that is yielded."""
    async with runtime.worker_engine.connect() as pooled:
        # No transaction stays open between two looks.
        connection = await pooled.execution_options(isolation_level="AUTOCOMMIT")
        try:
            await _lead(connection)
            yield connection
        finally:
            # The lock belongs to the connection: it must not go back to the pool with it.
            with suppress(Exception):
                await connection.invalidate()


async def _lead(connection: AsyncConnection) -> None:
    while True:
        if await connection.scalar(_TRY_TO_LEAD):
            return
        await asyncio.sleep(_LOOK_S)


async def _follow(runtime: Runtime, settings: Settings, connection: AsyncConnection) -> None:
    # ccxt costs most of a second of CPU and 100 MB: only who leads pays for it.
    from intelligence.market.feed import Feed  # noqa: PLC0415
    from intelligence.market.venues import open_venues  # noqa: PLC0415

    spans = dict.fromkeys(Interval, settings.market_bars) | {
        Interval.DAY: settings.market_daily_bars
    }
    async with open_venues(settings.venue_urls()) as venues, asyncio.TaskGroup() as tasks:
        await forget_others(runtime, {venue.exchange.name for venue in venues})
        tasks.create_task(_hold_on(connection))
        tasks.create_task(_snapshots(runtime, settings.market_snapshot_s))
        tasks.create_task(_prune(runtime))
        for venue in venues:
            feed = Feed(runtime, venue, spans)
            tasks.create_task(_candles_after_price(feed))
            tasks.create_task(feed.follow_price(settings.market_ticker_s))


async def forget_others(runtime: Runtime, followed: set[str]) -> None:
    """Drop the prices of venues that are no longer asked: they would be stale for ever."""
    async with runtime.worker_session() as session:
        await session.execute(delete(Ticker).where(Ticker.venue.not_in(followed)))


async def _candles_after_price(feed: "Feed") -> None:
    """Let the first price go before the long backfill."""
    await asyncio.sleep(0.5)
    await feed.follow_candles()


async def _hold_on(connection: AsyncConnection) -> None:
    """Fail when the connection that holds the lock is lost: somebody else leads by then."""
    while True:
        await connection.execute(_STILL_THERE)
        await asyncio.sleep(_LOOK_S)


async def _snapshots(runtime: Runtime, every_s: float) -> None:
    every = timedelta(seconds=every_s)
    while True:
        await snapshots.take(runtime, every)
        await asyncio.sleep(min(every_s / 2, _SNAPSHOT_LOOK_S * 5))


async def _prune(runtime: Runtime) -> None:
    while True:
        await prune(runtime)
        await asyncio.sleep(_PRUNE_S)


async def prune(runtime: Runtime) -> None:
    """Delete venues' short bars and quotes that nothing is computed from any more."""
    at = now()
    async with runtime.worker_session() as session:
        for interval, kept in _KEPT.items():
            old = Candle.interval == interval, Candle.opened_at < at - kept
            await session.execute(delete(Candle).where(*old, Candle.venue.in_(NAMES)))
        await session.execute(delete(CalculatorQuote).where(CalculatorQuote.at < at - _QUOTES_KEPT))
