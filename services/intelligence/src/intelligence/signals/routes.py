"""HTTP of signals, levels and back-tests."""

import asyncio
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Query

from common.clock import now
from common.db import Session
from common.errors import problems
from intelligence.auth import MarketReader
from intelligence.domain.candles import Interval
from intelligence.indicators.answers import with_warm_up
from intelligence.market import candles
from intelligence.signals import reading
from intelligence.signals.network import history
from intelligence.signals.reading import HistoryTooShort
from intelligence.signals.schemas import Levels, MarketSignals, SignalBacktest

router = APIRouter(prefix="/api/analytics", tags=["signals"])
Looked: TypeAlias = Annotated[
    int, Query(ge=11, le=2000, description="How many candles, at most 2,000")
]
Tested: TypeAlias = Annotated[
    int, Query(ge=30, le=10_000, description="How many candles, at most 10,000")
]
Percent: TypeAlias = Annotated[float, Query(ge=0, le=10, allow_inf_nan=False)]


@router.get("/signals")
async def read_signals(
    session: Session, _: MarketReader, interval: Interval = Interval.HOUR, limit: Looked = 200
) -> MarketSignals:
    """Say BUY, SELL or NEUTRAL by the stored index, with every part's share in it.

    Two groups of parts share the score by how much of a trend there is (ADX 15 to 35): EMA 40,
    MACD 30 and direction 30 in a trend, RSI 40, Bollinger 35 and Stochastic 25 in a range, each
    leaning between -1 and +1. BUY from +50, SELL from -50, NEUTRAL while parts that are defined
    weigh less than 50. Levels come from the last `limit` candles. Beside it the signals of mining:
    Puell multiple, hash ribbons and hashprice percentile.
    """
    series = await with_warm_up(session, interval, limit)
    past = await history(session)
    return await asyncio.to_thread(reading.market_signals, series, past, now())


@router.get("/signals/backtest", responses=problems(HistoryTooShort))
async def backtest_signals(
    session: Session,
    _: MarketReader,
    interval: Interval = Interval.DAY,
    limit: Tested = 1000,
    fee_percent: Percent = 0.1,
    slippage_percent: Percent = 0.05,
) -> SignalBacktest:
    """Follow the signal over the stored candles, beside buying once and holding.

    A signal is acted upon at the next candle's open; BUY goes into bitcoin with everything, SELL
    out of it, NEUTRAL changes nothing. Every change costs fee and slippage. 300 candles before
    the first one shown are the warm-up.
    """
    series = await with_warm_up(session, interval, limit)
    return await asyncio.to_thread(reading.tested, series, fee_percent + slippage_percent, now())


@router.get("/levels")
async def read_levels(
    session: Session, _: MarketReader, interval: Interval = Interval.HOUR, limit: Looked = 500
) -> Levels:
    """Return support and resistance: turning points of the last candles, clustered.

    A turning point is the extreme of five candles on either side; those nearer to each other than
    half a candle's average range are one level. At most five on either side, the nearest first;
    those touched once give way to those touched more often.
    """
    series = await candles.stored(session, interval=interval, limit=limit)
    return await asyncio.to_thread(reading.market_levels, series, now())
