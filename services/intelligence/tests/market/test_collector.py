"""The market's worker against the simulated venues: what it stores, and what it survives."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.app import Service
from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.runtime import Runtime
from intelligence.domain.candles import Bar, Interval, holes, opening
from intelligence.market import collector, snapshots
from intelligence.market.candles import bars, daily_closes, store
from intelligence.market.exchanges import EXCHANGES, NAMES
from intelligence.market.feed import Feed
from intelligence.market.models import Candle, MarketAnalytics, Ticker
from intelligence.market.venues import Venue, open_venues
from simulation.upstreams import Fault, Upstreams

MakeBars: TypeAlias = Callable[..., list[Bar]]
MakeTicker: TypeAlias = Callable[..., Ticker]
FeedOf: TypeAlias = Callable[[str], AbstractAsyncContextManager[Feed]]
H, D = Interval.HOUR, Interval.DAY
SPANS = dict.fromkeys(Interval, 60) | {D: 500}


@pytest.fixture
def feed_of(runtime: Runtime, upstreams: Upstreams) -> FeedOf:
    @asynccontextmanager
    async def make(name: str) -> AsyncGenerator[Feed]:
        quick = [replace(exchange, timeout_s=1.0) for exchange in EXCHANGES]
        async with open_venues({name: upstreams.url(name)}, quick) as opened:
            [venue] = opened
            yield Feed(runtime, venue, SPANS)

    return make


async def of(runtime: Runtime, venue: str, interval: Interval) -> list[Bar]:
    async with runtime.worker_session() as session:
        return await bars(session, venue=venue, interval=interval, limit=1000)


async def forget(runtime: Runtime, venue: str, interval: Interval, *openings: datetime) -> None:
    async with runtime.worker_session() as session:
        wanted = Candle.venue == venue, Candle.interval == interval
        await session.execute(delete(Candle).where(*wanted, Candle.opened_at.in_(openings)))


@pytest.mark.parametrize("name", sorted(NAMES))
async def test_the_first_start_fetches_400_days_and_more(
    feed_of: FeedOf, runtime: Runtime, name: str
) -> None:
    async with feed_of(name) as feed:
        await feed.catch_up(D)
    found = await of(runtime, name, D)
    assert len(found) >= 499
    assert holes([bar.opened_at for bar in found], D) == []
    assert found[-1].opened_at == opening(now(), D) - D.length
    assert all(bar.simulated for bar in found)
    async with runtime.worker_session() as session:
        assert len(await daily_closes(session, 400)) == 400


async def test_a_restart_goes_on_where_it_was(
    feed_of: FeedOf, runtime: Runtime, upstreams: Upstreams
) -> None:
    for _ in range(2):
        upstreams.forget_calls()
        async with feed_of("okx") as feed:
            await feed.catch_up(H)
            await feed.catch_up(H)  # nothing has closed since: not even asked
    assert upstreams.calls["okx"] == 2  # the markets, and the last bar
    assert len(await of(runtime, "okx", H)) in (60, 61)


async def test_a_hole_is_filled_by_asking_again(feed_of: FeedOf, runtime: Runtime) -> None:
    async with feed_of("bybit") as feed:
        await feed.catch_up(H)
    whole = await of(runtime, "bybit", H)
    await forget(runtime, "bybit", H, *(bar.opened_at for bar in whole[20:24]))
    async with feed_of("bybit") as feed:
        await feed.catch_up(H)
    assert await of(runtime, "bybit", H) == whole
    assert holes([bar.opened_at for bar in await of(runtime, "index", H)], H) == []


async def test_a_hole_that_no_venue_fills_stays_a_hole_and_is_named(
    feed_of: FeedOf, runtime: Runtime, upstreams: Upstreams, reader: httpx.AsyncClient
) -> None:
    upstreams.fault("okx", Fault.GAP)
    async with feed_of("okx") as feed:
        await feed.catch_up(H)
        asked = upstreams.calls["okx"]
        await feed.catch_up(H)
    assert upstreams.calls["okx"] == asked  # it is not asked for all the time
    found = await of(runtime, "okx", H)
    missing = holes([bar.opened_at for bar in found], H)
    assert missing
    said = (await reader.get("/api/analytics/candles?interval=1h&limit=1000")).json()
    assert [hole["bars"] for hole in said["holes"]] == [hole.bars for hole in missing]


async def test_another_venue_closes_the_hole_of_the_index(
    feed_of: FeedOf, runtime: Runtime, upstreams: Upstreams
) -> None:
    upstreams.fault("okx", Fault.GAP)
    for name in ("okx", "binance"):
        async with feed_of(name) as feed:
            await feed.catch_up(H)
    index = await of(runtime, "index", H)
    assert holes([bar.opened_at for bar in index], H) == []
    assert {bar.venues for bar in index} == {1, 2}


async def test_duplicates_and_disorder_leave_one_bar_per_time(
    feed_of: FeedOf, runtime: Runtime, upstreams: Upstreams
) -> None:
    for name, fault in (("okx", Fault.DUPLICATES), ("bybit", Fault.DISORDER)):
        upstreams.fault(name, fault)
        async with feed_of(name) as feed:
            await feed.catch_up(H)
        times = [bar.opened_at for bar in await of(runtime, name, H)]
        assert len(times) in (59, 60, 61)
        assert holes(times, H) == []


async def test_one_venue_50_percent_off_is_dropped_from_price_and_candles(
    feed_of: FeedOf, runtime: Runtime, upstreams: Upstreams, reader: httpx.AsyncClient
) -> None:
    upstreams.fault("bybit", Fault.OFF_BY_HALF)
    for name in sorted(NAMES):
        async with feed_of(name) as feed:
            await feed.take_price()
            await feed.catch_up(H)
    said = (await reader.get("/api/analytics/price")).json()
    assert [(one["venue"], one["reason"]) for one in said["dropped"]] == [("bybit", "outlier")]
    assert (said["simulated"], said["agrees"]) == (True, True)
    index = await of(runtime, "index", H)
    assert {bar.venues for bar in index} == {3}


async def test_a_venue_that_fails_keeps_its_last_price_and_is_left_in_peace(
    feed_of: FeedOf, runtime: Runtime, upstreams: Upstreams, reader: httpx.AsyncClient
) -> None:
    async with feed_of("binance") as feed:
        await feed.take_price()
        upstreams.fault("binance", Fault.HTML)
        upstreams.forget_calls()
        for _ in range(5):
            await feed.take_price()
            await feed.catch_up(H)
        assert upstreams.calls["binance"] == 2  # then the breaker is open
        upstreams.fault("binance", None)
    [row] = (await reader.get("/api/analytics/exchanges")).json()["exchanges"]
    assert (row["status"], row["failures"] > 0) == ("failing", True)
    assert row["last_error"]
    assert row["price_usd"] is not None
    async with feed_of("binance") as feed:
        await feed.take_price()
    [row] = (await reader.get("/api/analytics/exchanges")).json()["exchanges"]
    assert (row["status"], row["failing_since"], row["last_error"]) == ("ok", None, None)


async def test_a_venue_that_never_answered_is_silent(
    feed_of: FeedOf, upstreams: Upstreams, reader: httpx.AsyncClient
) -> None:
    upstreams.fault("okx", Fault.REFUSED)
    async with feed_of("okx") as feed:
        await feed.take_price()
    [row] = (await reader.get("/api/analytics/exchanges")).json()["exchanges"]
    assert (row["status"], row["price_usd"], row["failures"]) == ("silent", None, 1)
    assert (await reader.get("/api/analytics/price")).status_code == 503


async def test_simulated_history_is_fetched_anew_once_the_venue_is_real(
    runtime: Runtime, make_bars: MakeBars, feed_of: FeedOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with runtime.worker_session() as session:
        shadows = make_bars(*range(30, -1, -1), close="1000", simulated=True)
        await store(session, venue="okx", interval=H, cleaned=shadows)
    real: Callable[[Venue], None] = lambda venue: setattr(venue, "simulated", False)  # noqa: E731
    monkeypatch.setattr(Venue, "_note_origin", real)
    async with feed_of("okx") as feed:
        await feed.catch_up(H)
    found = await of(runtime, "index", H)
    assert len(found) in (60, 61)
    assert not any(bar.simulated for bar in found)
    assert min(bar.close for bar in found) > 2000


async def test_a_snapshot_is_stored_and_published(
    runtime: Runtime,
    ticker: MakeTicker,
    published: Callable[..., Awaitable[list[dict[str, Any]]]],
    deliver: Callable[..., Awaitable[UUID]],
) -> None:
    quote = {
        "pair": "BTC/USD",
        "price_usd": "100000",
        "at": now().isoformat(),
        "source": "coingecko",
        "difficulty": "150000000000000",
        "network_hashrate_ehs": "1073.7",
    }
    await deliver("calculator.quote.published.v1", quote, organisation_id=PLATFORM_ORGANISATION)
    async with runtime.worker_session() as session:
        session.add_all([ticker("okx", "100000"), ticker("bybit", "100100", simulated=True)])
    for _ in range(2):  # the second is too early
        await snapshots.take(runtime, timedelta(minutes=5))
    async with runtime.worker_session() as session:
        [row] = await session.scalars(select(MarketAnalytics))
    assert (row.btc_price, row.volume_24h, row.network_hashrate) == (
        100000,
        1000,
        Decimal("1073.7"),
    )
    assert row.network_difficulty == 150000000000000
    [event] = await published("intelligence.market-price.observed.v1", PLATFORM_ORGANISATION)
    assert (event["topic"], event["key"]) == ("intelligence.market-price.v1", "BTC/USD")
    data = event["data"]
    assert (data["median_usd"], data["vwap_usd"]) == ("100000.000000", "100000.000000")
    assert [venue["venue"] for venue in data["venues"]] == ["okx"]
    assert data["dropped"] == [{"venue": "bybit", "reason": "simulated"}]
    assert data["simulated"] is False


async def test_without_a_quote_the_epoch_tells_the_networks_hashrate(
    runtime: Runtime, ticker: MakeTicker, deliver: Callable[..., Awaitable[UUID]]
) -> None:
    epoch = {
        "height": 925344,
        "started_at": now().isoformat(),
        "difficulty": "150000000000000",
        "subsidy_btc": "3.125",
        "simulated": True,
    }
    tell = partial(deliver, organisation_id=PLATFORM_ORGANISATION)
    await tell("calculator.network-epoch.changed.v1", epoch)
    async with runtime.worker_session() as session:
        session.add(ticker("okx", "100000"))
    await snapshots.take(runtime, timedelta(minutes=5))
    async with runtime.worker_session() as session:
        [row] = await session.scalars(select(MarketAnalytics))
    # D x 2^32 / 600 s = 1,073.7 EH/s
    assert row.network_hashrate == Decimal("1073.741824")
    assert row.simulated  # the price is not, but the network is


async def test_no_fresh_venue_is_no_snapshot(runtime: Runtime, ticker: MakeTicker) -> None:
    async with runtime.worker_session() as session:
        session.add(ticker("okx", "100000", age_s=3600))
    await snapshots.take(runtime, timedelta(minutes=5))
    async with runtime.worker_session() as session:
        assert await session.scalar(select(func.count()).select_from(MarketAnalytics)) == 0


async def test_old_minutes_of_venues_are_pruned_and_imports_stay(
    runtime: Runtime, make_bars: MakeBars
) -> None:
    minute = Interval.MINUTE
    for venue in ("okx", "import"):
        given = make_bars(15 * 1440, 0, interval=minute)
        async with runtime.worker_session() as session:
            await store(session, venue=venue, interval=minute, cleaned=given)
    await collector.prune(runtime)
    assert len(await of(runtime, "okx", minute)) == 1
    assert len(await of(runtime, "import", minute)) == 2


async def test_a_venue_that_is_no_longer_asked_is_forgotten(
    runtime: Runtime, ticker: MakeTicker, reader: httpx.AsyncClient
) -> None:
    async with runtime.worker_session() as session:
        session.add_all([ticker("okx", "100000"), ticker("binance", "100000")])
    await collector.forget_others(runtime, {"okx"})
    said = (await reader.get("/api/analytics/exchanges")).json()
    assert [row["venue"] for row in said["exchanges"]] == ["okx"]


async def test_the_worker_follows_and_two_of_them_do_not_double(
    service: Service,
    running_service: Callable[..., AbstractAsyncContextManager[Runtime]],
    runtime: Runtime,
    upstreams: Upstreams,
) -> None:
    places = {f"{name}_url": upstreams.url(name) for name in ("okx", "bybit")}
    changes: dict[str, Any] = places | {
        "binance_url": "", "deribit_url": "", "market_bars": 20, "market_snapshot_s": 1
    }  # fmt: skip
    only_market = replace(service, background=[collector.follow_market], reactions=[])

    async def complete() -> bool:
        async with runtime.worker_session() as session:
            query = select(func.count()).select_from(Candle).where(Candle.venue == "index")
            snapshot = await snapshots.latest_snapshot(session)
            return snapshot is not None and (await session.scalar(query) or 0) >= 730 + 5 * 20

    async with running_service(only_market, **changes), running_service(only_market, **changes):
        async with asyncio.timeout(60):
            while not await complete():
                await asyncio.sleep(0.2)
        # twice the markets would be two leaders
        assert upstreams.calls_of("okx", "/api/v5/public/instruments") == 1
        assert upstreams.calls_of("bybit", "/v5/market/instruments-info") == 1


async def test_a_market_that_is_switched_off_asks_nobody(
    service: Service,
    running_service: Callable[..., AbstractAsyncContextManager[Runtime]],
    upstreams: Upstreams,
) -> None:
    changes: dict[str, Any] = {f"{name}_url": upstreams.url(name) for name in NAMES}
    only_market = replace(service, background=[collector.follow_market], reactions=[])
    async with running_service(only_market, **changes, market_enabled=False):
        await asyncio.sleep(0.3)
    assert not upstreams.calls


async def test_a_lost_lock_ends_the_following(
    settings: Any, runtime: Runtime, upstreams: Upstreams
) -> None:
    places = {f"{name}_url": "" for name in NAMES} | {"okx_url": upstreams.url("okx")}
    chosen = settings.model_copy(update=places)
    other = Runtime(runtime.name, chosen)
    following = asyncio.create_task(collector.follow_market(other))
    held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 7201602"

    async def kill(session: AsyncSession) -> int:
        connection = await session.connection()
        rows = await connection.exec_driver_sql(
            f"SELECT pg_terminate_backend(pid) FROM ({held}) AS holder"
        )
        return len(rows.all())

    async with asyncio.timeout(20):
        while True:
            async with runtime.worker_session() as session:
                if await kill(session):
                    break
            await asyncio.sleep(0.1)
        with pytest.raises(ConnectionError, match="lost its database"):
            await following
    await other.close()
