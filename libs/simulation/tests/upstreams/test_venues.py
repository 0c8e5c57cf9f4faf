"""The venues' real clients work against the simulated ones as against the real."""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import ccxt.async_support as ccxt
import pytest

from simulation.upstreams import Fault, Upstreams
from simulation.upstreams.clock import HandClock

Get = Callable[..., Awaitable[Any]]
NewExchange = Callable[[str], Awaitable[Any]]

SYMBOLS = {
    "binance": ("BTC/USDT", "BTC/USDC", "BTC/USDT:USDT", "BTC/USD:BTC"),
    "okx": ("BTC/USDT", "BTC/USDC", "BTC/USDT:USDT", "BTC/USD:BTC"),
    "deribit": ("BTC/USD:BTC", "BTC/USDC"),
    "bybit": ("BTC/USDT", "BTC/USDC", "BTC/USDT:USDT", "BTC/USD:BTC"),
}
MAIN = {venue: symbols[0] for venue, symbols in SYMBOLS.items()}
LIMITS = {"binance": 1000, "okx": 300, "deribit": 5000, "bybit": 1000}
STEPS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "6h": 21600, "12h": 43200, "1d": 86400}
venues = pytest.mark.parametrize("venue", SYMBOLS)


def time_s(candle: list[float]) -> int:
    return int(candle[0]) // 1000


@venues
async def test_markets_are_listed_and_active(venue: str, new_exchange: NewExchange) -> None:
    exchange = await new_exchange(venue)
    markets: dict[str, Any] = await exchange.load_markets()
    assert set(markets) == set(SYMBOLS[venue])
    assert all(market["active"] for market in markets.values())
    perpetual: dict[str, Any] = markets.get("BTC/USD:BTC", {})
    assert perpetual["inverse"]
    assert perpetual["swap"]


@venues
async def test_ticker_tells_price_spread_and_volume(venue: str, new_exchange: NewExchange) -> None:
    exchange = await new_exchange(venue)
    for symbol in SYMBOLS[venue]:
        ticker = await exchange.fetch_ticker(symbol)
        assert ticker["symbol"] == symbol
        assert 55_000 < ticker["low"] <= ticker["last"] <= ticker["high"] < 140_000
        assert 0 < ticker["ask"] - ticker["bid"] <= 2
        assert ticker["baseVolume"] > 1000


@pytest.mark.parametrize("venue", ["binance", "okx", "deribit"])
async def test_ticker_is_of_now(venue: str, new_exchange: NewExchange, clock: HandClock) -> None:
    ticker = await (await new_exchange(venue)).fetch_ticker(MAIN[venue])
    assert ticker["timestamp"] == int(clock.s * 1000)


@venues
@pytest.mark.parametrize("timeframe", STEPS)
async def test_newest_candles_come_in_order_and_touch(
    venue: str, timeframe: str, new_exchange: NewExchange, clock: HandClock
) -> None:
    exchange, step_s = await new_exchange(venue), STEPS[timeframe]
    candles: list[list[float]] = await exchange.fetch_ohlcv(MAIN[venue], timeframe, limit=50)
    times = [time_s(candle) for candle in candles]
    newest_s = int(clock.s) // step_s * step_s
    # Deribit's client counts the open candle's beginning out of the window.
    assert times == list(range(newest_s - (len(times) - 1) * step_s, newest_s + 1, step_s))
    assert len(times) in {49, 50}
    for _, opened, high, low, closed, volume in candles:
        assert low <= min(opened, closed) <= max(opened, closed) <= high
        assert volume > 0


@venues
@pytest.mark.parametrize(("timeframe", "days"), [("1m", 3), ("1h", 90), ("1d", 400)])
async def test_history_is_paged_through_with_since_and_the_venues_limit(
    venue: str, timeframe: str, days: int, new_exchange: NewExchange, clock: HandClock
) -> None:
    exchange, step_s = await new_exchange(venue), STEPS[timeframe]
    first_s = (int(clock.s) - days * 86400) // step_s * step_s
    since_s, times = first_s, list[int]()
    while since_s <= clock.s:
        page: list[list[float]] = await exchange.fetch_ohlcv(
            MAIN[venue], timeframe, since=since_s * 1000, limit=LIMITS[venue]
        )
        assert 0 < len(page) <= LIMITS[venue]
        times += [time_s(candle) for candle in page]
        since_s = times[-1] + step_s
    assert times == list(range(first_s, int(clock.s) // step_s * step_s + 1, step_s))


@venues
async def test_more_than_the_venue_gives_at_once_is_cut(
    venue: str, new_exchange: NewExchange, clock: HandClock
) -> None:
    exchange = await new_exchange(venue)
    since_ms = (int(clock.s) - 30 * 86400) * 1000
    candles = await exchange.fetch_ohlcv(MAIN[venue], "1m", since=since_ms, limit=6000)
    assert len(candles) == LIMITS[venue]


@venues
async def test_coarse_candles_are_the_fine_ones_added_up(
    venue: str, new_exchange: NewExchange, clock: HandClock
) -> None:
    exchange, symbol = await new_exchange(venue), MAIN[venue]
    day_ms = (int(clock.s) // 86400 - 5) * 86400_000
    [day] = await exchange.fetch_ohlcv(symbol, "1d", since=day_ms, limit=1)
    hours = await exchange.fetch_ohlcv(symbol, "1h", since=day_ms, limit=24)
    minutes = await exchange.fetch_ohlcv(symbol, "1m", since=day_ms, limit=60)
    for coarse, fine in ((day, hours), (hours[0], minutes)):
        assert coarse[1] == fine[0][1]
        assert coarse[2] == max(each[2] for each in fine)
        assert coarse[3] == min(each[3] for each in fine)
        assert coarse[4] == fine[-1][4]
        assert coarse[5] == pytest.approx(sum(each[5] for each in fine), rel=1e-3)


@venues
async def test_contracts_count_their_volume_in_bitcoin(
    venue: str, new_exchange: NewExchange
) -> None:
    exchange = await new_exchange(venue)
    volumes = [
        (await exchange.fetch_ohlcv(symbol, "1h", limit=3))[0][5] for symbol in SYMBOLS[venue]
    ]
    assert volumes == pytest.approx([volumes[0]] * len(volumes), rel=0.01)


async def test_the_open_candle_grows_and_never_shrinks(
    new_exchange: NewExchange, clock: HandClock
) -> None:
    exchange = await new_exchange("binance")
    clock.forward(-28)
    high, low, volume = 0.0, 1e9, 0.0
    for _ in range(30):
        clock.forward(1.9)
        [*_, newest] = await exchange.fetch_ohlcv("BTC/USDT", "1d", limit=2)
        ticker = await exchange.fetch_ticker("BTC/USDT")
        assert newest[4] == ticker["last"]
        assert newest[2] >= high
        assert newest[3] <= low
        assert newest[5] > volume
        _, _, high, low, _, volume = newest


async def test_venues_differ_by_a_few_basis_points(new_exchange: NewExchange) -> None:
    prices = [
        (await (await new_exchange(venue)).fetch_ticker(symbol))["last"]
        for venue, symbol in MAIN.items()
    ]
    assert len(set(prices)) == 4
    assert max(prices) / min(prices) < 1.0015


async def test_nothing_is_told_of_the_time_before_the_world_or_after_now(
    new_exchange: NewExchange, clock: HandClock
) -> None:
    exchange = await new_exchange("binance")
    [first, *_] = await exchange.fetch_ohlcv("BTC/USDT", "1d", since=1, limit=3)
    assert time_s(first) == 1_577_836_800
    ahead_ms = int(clock.s * 1000) + 86_400_000
    assert await exchange.fetch_ohlcv("BTC/USDT", "1h", since=ahead_ms) == []


async def test_okx_serves_only_the_newest_1440_candles_outside_its_history(get: Get) -> None:
    async def oldest(path: str) -> int:
        after, times = "", list[int]()
        for _ in range(6):
            query = {"instId": "BTC-USDT", "bar": "1m", "limit": "300"} | (
                {"after": after} if after else {}
            )
            rows = (await get("okx", path, **query))["data"]
            times += [int(row[0]) for row in rows]
            assert times == sorted(times, reverse=True)
            after = str(times[-1])
        return len(times)

    assert await oldest("/api/v5/market/candles") == 1440
    assert await oldest("/api/v5/market/history-candles") == 1800


async def test_okx_long_candles_begin_at_midnight_in_hong_kong_unless_asked_otherwise(
    get: Get,
) -> None:
    async def first_hour(bar: str) -> int:
        query = {"instId": "BTC-USDT", "bar": bar, "limit": "1"}
        rows = (await get("okx", "/api/v5/market/history-candles", **query))["data"]
        return int(rows[0][0]) // 3_600_000 % 24

    assert await first_hour("1D") == 16
    assert await first_hour("1Dutc") == 0


@venues
async def test_what_a_venue_does_not_know_is_an_error_of_its_own_kind(
    venue: str, new_exchange: NewExchange
) -> None:
    exchange = await new_exchange(venue)
    await exchange.load_markets()
    with pytest.raises(ccxt.BaseError):
        await exchange.fetch_ohlcv(MAIN[venue], "7m")
    exchange.markets[MAIN[venue]]["id"] = "DOGE-NOWHERE"
    with pytest.raises(ccxt.BaseError):
        await exchange.fetch_ticker(MAIN[venue])


async def test_deribit_has_no_four_hour_candles(new_exchange: NewExchange) -> None:
    with pytest.raises(ccxt.BadRequest):
        await (await new_exchange("deribit")).fetch_ohlcv(MAIN["deribit"], "4h")


@venues
async def test_too_many_requests_are_known_as_such(
    venue: str, upstreams: Upstreams, new_exchange: NewExchange
) -> None:
    exchange = await new_exchange(venue)
    await exchange.load_markets()
    upstreams.fault(venue, Fault.STATUS_429)
    with pytest.raises((ccxt.RateLimitExceeded, ccxt.DDoSProtection)):
        await exchange.fetch_ticker(MAIN[venue])
    upstreams.fault(venue, None)
    assert (await exchange.fetch_ticker(MAIN[venue]))["last"] > 0


@venues
async def test_off_by_half_is_seen_in_ticker_and_candles(
    venue: str, upstreams: Upstreams, new_exchange: NewExchange
) -> None:
    exchange, symbol = await new_exchange(venue), MAIN[venue]
    true = await exchange.fetch_ticker(symbol), await exchange.fetch_ohlcv(symbol, "1h", limit=5)
    upstreams.fault(venue, Fault.OFF_BY_HALF)
    off = await exchange.fetch_ticker(symbol), await exchange.fetch_ohlcv(symbol, "1h", limit=5)
    assert off[0]["last"] == pytest.approx(true[0]["last"] / 2, rel=1e-5)
    assert [each[4] for each in off[1]] == pytest.approx(
        [each[4] / 2 for each in true[1]], rel=1e-5
    )


@venues
@pytest.mark.parametrize("fault", [Fault.GAP, Fault.DUPLICATES])
async def test_gaps_and_duplicates_reach_the_client(
    venue: str, fault: Fault, upstreams: Upstreams, new_exchange: NewExchange
) -> None:
    exchange = await new_exchange(venue)
    upstreams.fault(venue, fault)
    candles: list[list[float]] = await exchange.fetch_ohlcv(MAIN[venue], "1h", limit=60)
    steps = {after[0] - before[0] for before, after in pairwise(candles)}
    assert steps - {3_600_000}
    assert (0 in steps) is (fault is Fault.DUPLICATES)
