import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import httpx
import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from intelligence.domain.candles import Bar, Interval
from intelligence.domain.indicators import Bars
from intelligence.indicators import recording
from intelligence.indicators.compute import compute
from intelligence.indicators.models import TechnicalIndicators
from intelligence.market.models import MarketAnalytics

Walk = Callable[..., Bars]
StoreCandles = Callable[..., Awaitable[list[Bar]]]
Snapshot = Callable[..., Awaitable[UUID]]
TenantSessions = Callable[..., AbstractAsyncContextManager[AsyncSession]]


@pytest.fixture
def snapshot(runtime: Runtime, store_candles: StoreCandles) -> Snapshot:
    """Take a snapshot of the market; those of other tests are gone."""

    async def take(created_at: datetime | None = None) -> UUID:
        row = MarketAnalytics(
            btc_price=Decimal(60_000),
            volume_24h=Decimal(1),
            venues=[],
            dropped=[],
            agrees=True,
            simulated=False,
            created_at=created_at or now(),
        )
        async with runtime.worker_session() as session:
            session.add(row)
            await session.flush()
            return row.id

    return take


async def _rows(runtime: Runtime) -> list[TechnicalIndicators]:
    async with runtime.worker_session() as session:
        return list(await session.scalars(select(TechnicalIndicators)))


async def test_a_snapshot_gets_the_indicators_of_the_hours_closed_by_then(
    runtime: Runtime, walk: Walk, store_candles: StoreCandles, snapshot: Snapshot
) -> None:
    bars = walk(290)
    stored = await store_candles(bars)
    taken = stored[-2].opened_at + timedelta(minutes=90)  # half an hour after that candle's end
    analytics_id = await snapshot(taken)
    assert await recording.record_new(runtime) is False
    [row] = await _rows(runtime)
    found = compute(bars.take(slice(0, 289))).columns()
    assert row.analytics_id == analytics_id
    assert (row.interval, row.bar_opened_at) == (Interval.HOUR, stored[-2].opened_at)
    for name in ("rsi", "macd", "macd_signal", "bb_upper", "bb_middle", "bb_lower", "ema_12"):
        np.testing.assert_allclose(getattr(row, name), found[name][-1])
    np.testing.assert_allclose(row.ema_26 or 0, found["ema_26"][-1])
    assert row.signal in ("BUY", "SELL", "NEUTRAL")


async def test_without_candles_it_records_null_and_neutral(
    runtime: Runtime, snapshot: Snapshot
) -> None:
    await snapshot()
    await recording.record_new(runtime)
    [row] = await _rows(runtime)
    assert (row.rsi, row.bb_upper, row.bar_opened_at) == (None, None, None)
    assert (row.signal, row.score) == ("NEUTRAL", 0)


async def test_a_snapshot_is_recorded_once(runtime: Runtime, snapshot: Snapshot) -> None:
    analytics_id = await snapshot()
    for _ in range(2):
        async with runtime.worker_session() as session:
            await recording.record(session, analytics_id)
    await recording.record_new(runtime)
    assert len(await _rows(runtime)) == 1


async def test_an_unknown_snapshot_is_left(runtime: Runtime, snapshot: Snapshot) -> None:
    async with runtime.worker_session() as session:
        await recording.record(session, new_id())
    assert await _rows(runtime) == []


async def test_many_snapshots_are_recorded_in_turns(runtime: Runtime, snapshot: Snapshot) -> None:
    for _ in range(22):
        await snapshot()
    assert await recording.record_new(runtime) is True
    assert len(await _rows(runtime)) == 20
    assert await recording.record_new(runtime) is False
    assert len(await _rows(runtime)) == 22


async def test_the_task_follows_new_snapshots(runtime: Runtime, snapshot: Snapshot) -> None:
    await snapshot()
    task = asyncio.create_task(recording.follow(runtime))
    async with asyncio.timeout(10):
        while not await _rows(runtime):
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_task_ends_with_the_service(runtime: Runtime, snapshot: Snapshot) -> None:
    runtime.stopping.set()
    try:
        async with asyncio.timeout(5):
            await recording.follow(runtime)
    finally:
        runtime.stopping.clear()


async def test_the_row_goes_with_its_snapshot_and_every_tenant_may_read_it(
    runtime: Runtime, snapshot: Snapshot, tenant_session: TenantSessions
) -> None:
    analytics_id = await snapshot()
    await recording.record_new(runtime)
    async with tenant_session() as session:
        assert len(list(await session.scalars(select(TechnicalIndicators)))) == 1
    async with runtime.worker_session() as session:
        await session.delete(await session.get_one(MarketAnalytics, analytics_id))
    assert await _rows(runtime) == []


async def test_what_was_recorded_is_read_newest_first(
    client_as: Callable[..., httpx.AsyncClient], runtime: Runtime, snapshot: Snapshot
) -> None:
    times = [now() - timedelta(minutes=5 * back) for back in (2, 0, 1)]
    ids = [str(await snapshot(one)) for one in times]
    await recording.record_new(runtime)
    reader = client_as(scopes=frozenset({"market:read"}))
    url = "/api/analytics/indicators/snapshots"
    found = (await reader.get(url, params={"limit": 2})).json()["items"]
    assert [one["analytics_id"] for one in found] == [ids[1], ids[2]]
    assert (found[0]["rsi"], found[0]["signal"]) == (None, "NEUTRAL")
    assert found[0]["btc_price"] == "60000.000000"
    rest = (await reader.get(url, params={"before": found[-1]["at"]})).json()["items"]
    assert [one["analytics_id"] for one in rest] == [ids[0]]
    assert (await reader.get(url, params={"limit": 501})).status_code == 422
    assert (await reader.get(url, params={"before": "x"})).status_code == 422
    assert (await client_as(scopes=frozenset()).get(url)).status_code == 403
