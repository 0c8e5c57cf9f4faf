"""The stored candles as a chart shows them: exact, with their holes named."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from intelligence.domain.candles import Bar, Hole, Interval, holes
from intelligence.market import candles
from intelligence.market.schemas import Candle, Candles, MissingCandles

_GRACE = timedelta(minutes=2)
"""So long a bar may be on its way from the venues."""


async def chart(session: AsyncSession, *, interval: Interval, limit: int, venue: str) -> Candles:
    """Return the last closed bars of a venue, by default of the index."""
    found = await candles.bars(session, venue=venue, interval=interval, limit=limit)
    closed_at = found[-1].opened_at + interval.length if found else None
    age = now() - closed_at if closed_at else None
    return Candles(
        pair="BTC/USD",
        venue=venue,
        interval=interval,
        simulated=any(bar.simulated for bar in found),
        stale=age is None or age > interval.length + _GRACE,
        age_s=None if age is None else round(age.total_seconds(), 3),
        candles=[_candle(bar) for bar in found],
        holes=[missing(hole) for hole in holes([bar.opened_at for bar in found], interval)],
        venues=await candles.venues_with(session, interval),
    )


def missing(hole: Hole) -> MissingCandles:
    """Return a hole as it is answered."""
    return MissingCandles(starts_at=hole.starts_at, ends_at=hole.ends_at, bars=hole.bars)


def _candle(bar: Bar) -> Candle:
    return Candle(
        time=bar.opened_at,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        venues=bar.venues,
        disputed=bar.disputed,
        simulated=bar.simulated,
    )
