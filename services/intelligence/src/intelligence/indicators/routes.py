"""HTTP of the indicators."""

import asyncio
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from common.db import Session
from intelligence.auth import MarketReader
from intelligence.domain.candles import Interval
from intelligence.indicators import answers, recording
from intelligence.indicators.schemas import (
    CandleSeries,
    ComputedIndicators,
    RecordedIndicators,
    StoredIndicators,
)

router = APIRouter(prefix="/api/analytics", tags=["indicators"])
Shown: TypeAlias = Annotated[
    int, Query(ge=1, le=2000, description="How many candles, at most 2,000")
]


@router.post("/indicators")
async def compute_indicators(body: CandleSeries, _: MarketReader) -> ComputedIndicators:
    """Compute the indicators of a series of your own.

    The answer is in the order of time and has one member per candle sent; candles that repeat a
    time share the values of the last one sent. RSI 14, MACD 12/26/9, Bollinger 20/2 (population
    deviation), Stochastic 14/3/3, ADX 14, by TA-Lib's conventions (averages seeded by a simple
    one). Null while not yet defined, where the candle lacks what is needed, and where nothing
    moves (RSI, Stochastic, ADX).
    """
    return await asyncio.to_thread(answers.of_callers, body)


@router.get("/indicators")
async def read_indicators(
    session: Session,
    _: MarketReader,
    interval: Interval = Interval.HOUR,
    limit: Shown = 200,
) -> StoredIndicators:
    """Return the indicators of the last stored candles of the index, the median of the venues.

    They are computed from 300 candles more than are shown, where there are as many.
    """
    series = await answers.with_warm_up(session, interval, limit)
    return await asyncio.to_thread(answers.of_series, series, limit)


@router.get("/indicators/snapshots")
async def list_recorded_indicators(
    session: Session,
    _: MarketReader,
    limit: Annotated[int, Query(ge=1, le=500, description="At most 500")] = 100,
    before: AwareDatetime | None = None,
) -> RecordedIndicators:
    """Return the indicators recorded with every snapshot of the market, the newest first."""
    return RecordedIndicators(items=await recording.recorded(session, limit, before))
