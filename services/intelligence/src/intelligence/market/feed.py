"""Following one venue: its price every minute, its candles as they close, and its holes."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import Counter
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from structlog import get_logger

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.runtime import Runtime
from intelligence.domain.candles import Bar, Cleaned, Hole, Interval, clean, holes, opening
from intelligence.market.breaker import Breaker
from intelligence.market.candles import store
from intelligence.market.models import Candle, Ticker
from intelligence.market.venues import Venue, VenueFailed, VenueTicker

log = get_logger()
calls = Counter("market_venue_calls_total", "Questions to venues", ("venue", "result"))
rejected = Counter("market_bars_rejected_total", "Bars that cannot be", ("venue", "reason"))
FIRST = (
    Interval.DAY,
    Interval.HOUR,
    Interval.FOUR_HOURS,
    Interval.QUARTER,
    Interval.FIVE_MINUTES,
    Interval.MINUTE,
)
"""In which order history is fetched: what most is computed from comes first."""
_ON_ITS_WAY = timedelta(seconds=3)
"""A venue needs that long to close a bar."""
_BACKFILL = 50
"""From so many bars on, fetching them is worth a line in the log."""
_HOLES_AT_ONCE = 5
_ASK_HOLE_AGAIN = timedelta(minutes=10)
_HOLE_RESTS_AT_MOST = timedelta(days=1)


class Feed:
    """Follows one venue into the database. Keeps nothing but when to ask again."""

    def __init__(self, runtime: Runtime, venue: Venue, spans: dict[Interval, int]) -> None:
        self.breaker = Breaker()
        self._runtime = runtime
        self._venue = venue
        self._name = venue.exchange.name
        self._spans = spans
        """How many bars of each interval are asked for where there are none yet."""
        self._again: dict[Interval, datetime] = {}
        self._holes: dict[tuple[Interval, datetime], tuple[datetime, timedelta]] = {}

    async def follow_price(self, every_s: float) -> None:
        """Take the price for ever."""
        while True:
            began = time.monotonic()
            await self.take_price()
            await asyncio.sleep(max(0.05, every_s - (time.monotonic() - began)))

    async def follow_candles(self, rest_s: float = 2) -> None:
        """Take what has closed since, for ever."""
        while True:
            for interval in FIRST:
                await self.catch_up(interval)
            await asyncio.sleep(rest_s)

    async def take_price(self) -> None:
        """Ask for the price once and store it, or that the venue failed."""
        if self.breaker.is_open:
            return
        try:
            told = await self._venue.ticker()
        except VenueFailed as failure:
            self._failed(failure)
            await self._note_failure(str(failure))
        else:
            self._succeeded()
            await self._note(told)

    async def catch_up(self, interval: Interval) -> None:
        """Store the bars that have closed since the last stored one, then fill holes.

        Where there are none yet, history is fetched page by page; a restart goes on where it was.
        """
        at = now()
        again = self._again.get(interval)
        early = self.breaker.is_open or (again is not None and at < again)
        if early or interval in self._venue.exchange.lacks:
            return
        self._again[interval] = at + _patience(interval)
        try:
            if await self._fetch_since_last(interval):
                await self._fill_holes(interval)
        except VenueFailed as failure:
            self._failed(failure)

    async def _fetch_since_last(self, interval: Interval) -> bool:
        """Return whether the last bar that has closed is stored now."""
        newest = opening(now() - _ON_ITS_WAY, interval) - interval.length
        first = since = await self._frontier(interval)
        last: datetime | None = None
        while since <= newest:
            if self.breaker.is_open:
                return False
            useful = await self._fetch(interval, since, self._venue.exchange.page)
            last = useful[-1].opened_at if useful else last
            reached = useful[-1].opened_at if useful else self._page_end(interval, since)
            since = reached + interval.length
            if newest - first > _BACKFILL * interval.length:
                self._tell_progress(interval, first, min(reached, newest), newest)
        if last is None or last < newest:
            return False  # it is overdue: asked for again soon, not at the end of the next one
        self._again[interval] = newest + 2 * interval.length + _ON_ITS_WAY
        return True

    def _page_end(self, interval: Interval, since: datetime) -> datetime:
        """Return the last opening of a page that came back empty: before the venue's history."""
        return since + (self._venue.exchange.page - 1) * interval.length

    async def _fetch(self, interval: Interval, since: datetime, limit: int) -> list[Bar]:
        bars = await self._venue.bars(interval, since, limit)
        self._succeeded()
        cleaned = clean(bars, interval, now())
        self._count(interval, cleaned)
        useful = [bar for bar in cleaned.bars if bar.opened_at >= since]
        async with self._runtime.worker_session() as session:
            await store(session, venue=self._name, interval=interval, cleaned=useful)
        return useful

    def _count(self, interval: Interval, cleaned: Cleaned) -> None:
        for reason, times in cleaned.rejected.items():
            rejected.labels(self._name, reason).inc(times)
        if cleaned.rejected or cleaned.duplicates or cleaned.out_of_order:
            log.warning(
                "market.bars_put_right",
                venue=self._name,
                interval=interval.value,
                rejected=dict(cleaned.rejected),
                duplicates=cleaned.duplicates,
                out_of_order=cleaned.out_of_order,
            )

    async def _frontier(self, interval: Interval) -> datetime:
        """Return from where on to ask: the last stored bar again, as it may have been corrected.

        Simulated bars do not count once the venue is real: their time is asked for anew.
        """
        if self._venue.simulated is None:
            await self._venue.prepare()
        query = select(func.max(Candle.opened_at)).where(
            Candle.venue == self._name, Candle.interval == interval
        )
        if not self._venue.simulated:
            query = query.where(~Candle.simulated)
        async with self._runtime.worker_session() as session:
            last = await session.scalar(query)
        start = opening(now(), interval) - self._spans[interval] * interval.length
        return start if last is None else last

    async def _fill_holes(self, interval: Interval) -> None:
        """Ask once more for what is missing. What the venue lacks stays a hole, and is named."""
        missing = await self._missing(interval)
        at = now()
        due = [hole for hole in missing if self._is_due(interval, hole, at)]
        for hole in due[:_HOLES_AT_ONCE]:
            limit = min(hole.bars, self._venue.exchange.page)
            bars = await self._fetch(interval, hole.starts_at, limit)
            got = sum(hole.starts_at <= bar.opened_at < hole.ends_at for bar in bars)
            if got < hole.bars:
                self._rest(interval, hole, at, got)

    async def _missing(self, interval: Interval) -> list[Hole]:
        query = (
            select(Candle.opened_at)
            .where(Candle.venue == self._name, Candle.interval == interval)
            .order_by(Candle.opened_at.desc())
            .limit(self._spans[interval])
        )
        async with self._runtime.worker_session() as session:
            times = list(await session.scalars(query))
        return holes(times[::-1], interval)

    def _is_due(self, interval: Interval, hole: Hole, at: datetime) -> bool:
        return (interval, hole.starts_at) not in self._holes or (
            self._holes[interval, hole.starts_at][0] <= at
        )

    def _rest(self, interval: Interval, hole: Hole, at: datetime, got: int) -> None:
        _, rested = self._holes.get((interval, hole.starts_at), (at, _ASK_HOLE_AGAIN / 2))
        rest = min(2 * rested, _HOLE_RESTS_AT_MOST)
        self._holes[interval, hole.starts_at] = (at + rest, rest)
        log.warning(
            "market.hole",
            venue=self._name,
            interval=interval.value,
            starts_at=hole.starts_at.isoformat(),
            ends_at=hole.ends_at.isoformat(),
            bars=hole.bars - got,
        )

    def _tell_progress(
        self, interval: Interval, first: datetime, reached: datetime, newest: datetime
    ) -> None:
        whole = (newest - first).total_seconds() or 1
        log.info(
            "market.backfill",
            venue=self._name,
            interval=interval.value,
            percent=round(100 * (reached - first).total_seconds() / whole),
        )

    def _failed(self, failure: VenueFailed) -> None:
        self.breaker.failed(failure.retry_after_s)
        calls.labels(self._name, "failed").inc()
        log.warning(
            "market.venue_failed",
            venue=self._name,
            failures=self.breaker.failures,
            error=str(failure),
        )

    def _succeeded(self) -> None:
        self.breaker.succeeded()
        calls.labels(self._name, "ok").inc()

    async def _note(self, told: VenueTicker) -> None:
        await self._upsert(
            {
                "price_usd": told.price_usd,
                "bid_usd": told.bid_usd,
                "ask_usd": told.ask_usd,
                "volume_btc_24h": told.volume_btc_24h,
                "at": told.at,
                "simulated": told.simulated,
                "failures": 0,
                "failing_since": None,
                "last_error": None,
            }
        )

    async def _note_failure(self, reason: str) -> None:
        """Keep the last price: its age tells what it is worth."""
        at = now()
        await self._upsert(
            {"failures": self.breaker.failures, "failing_since": at, "last_error": reason},
            on_change={"failing_since": func.coalesce(Ticker.failing_since, at)},
        )

    async def _upsert(
        self, changed: dict[str, Any], on_change: dict[str, Any] | None = None
    ) -> None:
        values = {"pair": self._venue.exchange.pair, "updated_at": now(), **changed}
        row = {
            "organisation_id": PLATFORM_ORGANISATION,
            "venue": self._name,
            "simulated": bool(self._venue.simulated),
            **values,
        }
        statement = insert(Ticker).values(row)
        async with self._runtime.worker_session() as session:
            await session.execute(
                statement.on_conflict_do_update(
                    index_elements=["venue"], set_=values | (on_change or {})
                )
            )


def _patience(interval: Interval) -> timedelta:
    """Return how long to wait before asking again for a bar that is overdue."""
    return min(max(interval.length / 10, timedelta(seconds=5)), timedelta(minutes=5))
