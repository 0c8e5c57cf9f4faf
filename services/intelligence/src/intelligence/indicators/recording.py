"""Every snapshot of the market gets its indicators, by a task that follows the snapshots."""

import asyncio
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.ids import new_id
from common.runtime import Runtime
from intelligence.domain.candles import Interval, Series
from intelligence.domain.indicators import Column
from intelligence.domain.signals import Scores, Signal, score
from intelligence.indicators.answers import at, bars_of, values
from intelligence.indicators.compute import WARM_UP, compute
from intelligence.indicators.models import TechnicalIndicators
from intelligence.indicators.schemas import Recorded
from intelligence.market import candles
from intelligence.market.models import MarketAnalytics

INTERVAL = Interval.HOUR
_KEPT = ("rsi", "macd", "macd_signal", "bb_upper", "bb_middle", "bb_lower", "ema_12", "ema_26")
_LOOK_EVERY_S = 15
_AT_ONCE = 20


async def record(session: AsyncSession, analytics_id: UUID) -> None:
    """Store the indicators of the hourly candles closed by the time of a snapshot.

    Without candles they are null and the signal is NEUTRAL. A second call changes nothing.
    """
    taken = await session.scalar(
        select(MarketAnalytics.created_at).where(MarketAnalytics.id == analytics_id)
    )
    if taken is None:
        return
    series = await candles.stored(session, interval=INTERVAL, limit=WARM_UP, until=taken)
    row = await asyncio.to_thread(_row, series)
    await session.execute(
        insert(TechnicalIndicators)
        .values(
            id=new_id(), organisation_id=PLATFORM_ORGANISATION, analytics_id=analytics_id, **row
        )
        .on_conflict_do_nothing(index_elements=["analytics_id"])
    )


def _row(series: Series) -> dict[str, object]:
    bars = bars_of(series)
    found = compute(bars)
    scores = score(bars, found)
    columns = found.columns()
    return {
        "interval": series.interval.value,
        "bar_opened_at": at(float(bars.time_s[-1])) if len(bars) else None,
        **{name: _last(columns[name]) for name in _KEPT},
        **_said(scores),
    }


def _said(scores: Scores) -> dict[str, object]:
    if not len(scores.total):
        return {"score": 0.0, "signal": Signal.NEUTRAL.value}
    return {"score": float(scores.total[-1]), "signal": scores.said().value}


def _last(column: Column) -> float | None:
    return values(column[-1:])[0] if len(column) else None


async def recorded(session: AsyncSession, limit: int, before: datetime | None) -> list[Recorded]:
    """Return the last snapshots with their indicators, the newest first."""
    query = (
        select(TechnicalIndicators, MarketAnalytics)
        .join(MarketAnalytics, MarketAnalytics.id == TechnicalIndicators.analytics_id)
        .order_by(MarketAnalytics.created_at.desc(), MarketAnalytics.id)
        .limit(limit)
    )
    if before is not None:
        query = query.where(MarketAnalytics.created_at < before)
    return [_recorded(*row) for row in await session.execute(query)]


def _recorded(row: TechnicalIndicators, taken: MarketAnalytics) -> Recorded:
    return Recorded(
        analytics_id=row.analytics_id,
        at=taken.created_at,
        btc_price=taken.btc_price,
        interval=Interval(row.interval),
        bar_opened_at=row.bar_opened_at,
        score=row.score,
        signal=Signal(row.signal),
        simulated=taken.simulated,
        **{name: getattr(row, name) for name in _KEPT},
    )


async def follow(runtime: Runtime) -> None:
    """Record the indicators of new snapshots until the service stops; the newest first."""
    while not runtime.stopping.is_set():
        behind = await record_new(runtime)
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if behind else _LOOK_EVERY_S):
                await runtime.stopping.wait()


async def record_new(runtime: Runtime) -> bool:
    """Record snapshots that have no indicators yet; return whether there may be more."""
    query = (
        select(MarketAnalytics.id)
        .outerjoin(TechnicalIndicators, TechnicalIndicators.analytics_id == MarketAnalytics.id)
        .where(TechnicalIndicators.id.is_(None))
        .order_by(MarketAnalytics.created_at.desc())
        .limit(_AT_ONCE)
    )
    async with runtime.worker_session() as session:
        waiting = list(await session.scalars(query))
        for analytics_id in waiting:
            await record(session, analytics_id)
    return len(waiting) == _AT_ONCE
