import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from decimal import Decimal
from typing import TypeAlias

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from intelligence.domain.candles import Bar, Interval, opening
from intelligence.market.candles import bars, daily_closes, store, stored

MakeBars: TypeAlias = Callable[..., list[Bar]]
Sessions: TypeAlias = Callable[..., AbstractAsyncContextManager[AsyncSession]]
H = Interval.HOUR


async def keep(worker_session: Sessions, venue: str, given: list[Bar], interval: Interval) -> None:
    async with worker_session() as session:
        await store(session, venue=venue, interval=interval, cleaned=given)


async def test_the_index_is_read_as_columns_of_every_organisation(
    worker_session: Sessions, tenant_session: Sessions, make_bars: MakeBars
) -> None:
    for venue, close in (("binance", "100000"), ("okx", "100100"), ("bybit", "100300")):
        await keep(worker_session, venue, make_bars(3, 2, 1, 0, close=close), H)
    async with tenant_session() as session:
        series = await stored(session, interval=H, limit=3)
        whole = await stored(session, interval=H, limit=100)
    assert (len(series), len(whole)) == (3, 4)
    assert series.close.tolist() == [100100.0] * 3
    assert series.volume.tolist() == [30.0] * 3
    assert series.time.dtype == series.open.dtype == "float64"
    assert (series.time[1:] - series.time[:-1]).tolist() == [3600.0, 3600.0]
    assert not series.simulated


async def test_nothing_later_than_until_is_known(
    worker_session: Sessions, make_bars: MakeBars
) -> None:
    await keep(worker_session, "okx", make_bars(2, 1, 0), H)
    end = opening(now(), H)
    async with worker_session() as session:
        series = await stored(session, interval=H, limit=9, until=end - timedelta(minutes=1))
        exact = await bars(session, venue="index", interval=H, limit=9, until=end)
    assert len(series) == 2  # the last bar had not closed by then
    assert len(exact) == 3


async def test_daily_closes_are_of_the_index(worker_session: Sessions, make_bars: MakeBars) -> None:
    given = make_bars(2, 1, 0, interval=Interval.DAY, simulated=True)
    await keep(worker_session, "deribit", given, Interval.DAY)
    async with worker_session() as session:
        closes = await daily_closes(session, 2)
        none = await daily_closes(session, 0)
    assert closes.close.tolist() == [100000.0, 100000.0]
    assert closes.simulated
    assert len(none) == 0


async def test_what_is_simulated_never_replaces_what_is_real(
    worker_session: Sessions, make_bars: MakeBars
) -> None:
    await keep(worker_session, "okx", make_bars(1, 0, close="99000", simulated=True), H)
    await keep(worker_session, "okx", make_bars(1), H)
    await keep(worker_session, "okx", make_bars(1, 0, close="98000", simulated=True), H)
    async with worker_session() as session:
        found = await bars(session, venue="index", interval=H, limit=9)
    assert [(bar.close, bar.simulated) for bar in found] == [
        (Decimal(100000), False),
        (Decimal(98000), True),
    ]


async def test_candles_are_listed_with_their_holes_and_venues(
    reader: httpx.AsyncClient, worker_session: Sessions, make_bars: MakeBars
) -> None:
    await keep(worker_session, "binance", make_bars(9, 8, 5, 4, 3, 2), H)
    await keep(worker_session, "okx", make_bars(3, close="100100", simulated=True), H)
    answer = await reader.get("/api/analytics/candles", params={"interval": "1h", "limit": 5})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert [candle["close"] for candle in said["candles"]] == ["100000.000000"] * 5
    assert said["candles"][0]["volume"] == "10.00000000"
    assert [hole["bars"] for hole in said["holes"]] == [2]
    assert said["venues"] == ["index", "binance", "okx"]
    assert (said["venue"], said["interval"], said["simulated"]) == ("index", "1h", False)
    assert said["stale"]  # the last two bars have not come
    own = (await reader.get("/api/analytics/candles?interval=1h&venue=okx")).json()
    assert (len(own["candles"]), own["simulated"]) == (1, True)
    none = (await reader.get("/api/analytics/candles?interval=1d")).json()
    assert (none["candles"], none["age_s"], none["stale"]) == ([], None, True)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=1e3", "interval=2h", "interval=", "venue=%00", "venue=a'b"],
)
async def test_a_senseless_query_is_422(reader: httpx.AsyncClient, query: str) -> None:
    assert (await reader.get(f"/api/analytics/candles?{query}")).status_code == 422


async def test_the_market_needs_its_permission(client_as: Callable[..., httpx.AsyncClient]) -> None:
    nobody = client_as(scopes=frozenset[str]())
    for path in ("price", "volume", "exchanges", "candles"):
        assert (await nobody.get(f"/api/analytics/{path}")).status_code == 403
    assert (await nobody.post("/api/analytics/quotes/aggregate", json={})).status_code == 403
    assert (await nobody.post("/api/analytics/candles/import?interval=1d")).status_code == 403


async def test_venues_that_store_one_bar_at_once_are_all_in_its_median(
    worker_session: Sessions, make_bars: MakeBars
) -> None:
    names = ("binance", "okx", "deribit", "bybit")
    await asyncio.gather(*(keep(worker_session, name, make_bars(1, 0), H) for name in names))
    async with worker_session() as session:
        index = await bars(session, venue="index", interval=H, limit=9)
    assert [bar.venues for bar in index] == [4, 4]
