"""Every fault is what its name says, and goes away again."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
import pytest

from simulation.upstreams import PROVIDERS, Fault, Upstreams
from simulation.upstreams.clock import HandClock

Get = Callable[..., Awaitable[Any]]
PRICES = {
    "coingecko": "/api/v3/simple/price?ids=bitcoin&vs_currencies=usd",
    "blockchain": "/ticker",
    "mempool": "/api/v1/prices",
    "ankr": "/btc",
    "binance": "/api/v3/ticker/24hr?symbol=BTCUSDT",
    "okx": "/api/v5/market/ticker?instId=BTC-USDT",
    "deribit": "/api/v2/public/ticker?instrument_name=BTC-PERPETUAL",
    "bybit": "/v5/market/tickers?category=spot&symbol=BTCUSDT",
}
CANDLES = {
    "binance": "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=30",
    "okx": "/api/v5/market/candles?instId=BTC-USDT&bar=1H&limit=30",
    "deribit": "/api/v2/public/get_tradingview_chart_data?instrument_name=BTC-PERPETUAL"
    "&resolution=60&start_timestamp=1795165200000&end_timestamp=1795273200000",
    "bybit": "/v5/market/kline?category=spot&symbol=BTCUSDT&interval=60&limit=30",
}
every_provider = pytest.mark.parametrize("provider", PROVIDERS)
Fetch = Callable[[str], Awaitable[tuple[int, str, bytes]]]


@pytest.fixture
def fetch(upstreams: Upstreams, http: aiohttp.ClientSession) -> Fetch:
    """Ask a provider for its price (the node for its difficulty): status, kind, body."""

    async def ask(provider: str) -> tuple[int, str, bytes]:
        url = upstreams.url(provider) + PRICES[provider]
        body = {"id": 1, "method": "getdifficulty"} if provider == "ankr" else None
        async with http.request("POST" if body else "GET", url, json=body) as answer:
            assert answer.headers["X-Simulated"] == "true"
            return answer.status, answer.content_type, await answer.read()

    return ask


@every_provider
async def test_faults_of_the_whole_answer(
    provider: str, upstreams: Upstreams, fetch: Fetch
) -> None:
    _, _, well = await fetch(provider)
    orjson.loads(well)

    upstreams.fault(provider, Fault.HTML)
    status, kind, body = await fetch(provider)
    assert (status, kind) == (200, "text/html")
    assert body.startswith(b"<!DOCTYPE html>")

    upstreams.fault(provider, Fault.TRUNCATED)
    _, kind, body = await fetch(provider)
    assert kind == "application/json"
    assert body == well[: len(well) // 2]

    upstreams.fault(provider, Fault.EMPTY)
    assert (await fetch(provider))[2] == b""

    upstreams.fault(provider, Fault.STATUS_500)
    assert (await fetch(provider))[0] == 500

    upstreams.fault(provider, Fault.REFUSED)
    with pytest.raises(aiohttp.ClientConnectionError):
        await fetch(provider)

    upstreams.fault(provider, None)
    assert await fetch(provider) == (200, "application/json", well)


@every_provider
async def test_numbers_no_one_should_believe(
    provider: str, upstreams: Upstreams, fetch: Fetch
) -> None:
    upstreams.fault(provider, Fault.HUGE_NUMBER)
    body = (await fetch(provider))[2]
    assert b"1e400" in body
    assert b"Infinity" not in body
    json.loads(body)

    upstreams.fault(provider, Fault.NAN)
    assert b"NaN" in (await fetch(provider))[2]

    upstreams.fault(provider, Fault.NEGATIVE_PRICE)
    assert b"-" in (await fetch(provider))[2]


async def test_too_many_requests_say_when_to_come_back(
    upstreams: Upstreams, http: aiohttp.ClientSession
) -> None:
    upstreams.fault("coingecko", Fault.STATUS_429)
    async with http.get(upstreams.url("coingecko") + PRICES["coingecko"]) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "30"


async def test_slow_waits_before_it_answers(upstreams: Upstreams, fetch: Fetch) -> None:
    upstreams.fault("mempool", Fault.SLOW)
    began = time.perf_counter()
    assert (await fetch("mempool"))[0] == 200
    assert time.perf_counter() - began >= 0.3


async def test_huge_body_is_26_mb_of_valid_json_without_a_length(
    upstreams: Upstreams, http: aiohttp.ClientSession
) -> None:
    upstreams.fault("coingecko", Fault.HUGE_BODY)
    async with http.get(upstreams.url("coingecko") + PRICES["coingecko"]) as answer:
        assert "Content-Length" not in answer.headers
        body = await answer.read()
    assert 26_000_000 < len(body) < 28_000_000
    assert len(orjson.loads(body)) > 400


async def test_off_by_half_and_future_clock(
    upstreams: Upstreams, get: Get, clock: HandClock
) -> None:
    true = await get("mempool", "/api/v1/prices")
    upstreams.fault("mempool", Fault.OFF_BY_HALF)
    assert (await get("mempool", "/api/v1/prices"))["USD"] == pytest.approx(true["USD"] / 2)
    upstreams.fault("mempool", Fault.FUTURE_CLOCK)
    ahead = await get("mempool", "/api/v1/prices")
    assert ahead["USD"] == true["USD"]
    assert ahead["time"] == true["time"] + 86400
    upstreams.fault("blockchain", Fault.FUTURE_CLOCK)
    assert (await get("blockchain", "/stats"))["timestamp"] == int(clock.s + 86400) * 1000


async def test_a_spoiled_difficulty_in_plain_text(upstreams: Upstreams, get: Get) -> None:
    path = "/q/getdifficulty"
    upstreams.fault("blockchain", Fault.HUGE_NUMBER)
    assert await get("blockchain", path) == "1E400"
    upstreams.fault("blockchain", Fault.NAN)
    assert await get("blockchain", path) == "NaN"
    upstreams.fault("blockchain", Fault.NEGATIVE_PRICE)
    assert float(await get("blockchain", path)) < -1e13


@pytest.mark.parametrize("venue", CANDLES)
async def test_candles_with_one_fault_in_three_rows(
    venue: str, upstreams: Upstreams, get: Get
) -> None:
    def closes(answer: Any) -> list[Any]:
        if venue == "deribit":
            return answer["result"]["close"]
        rows: Any = answer
        if venue != "binance":
            rows = answer["data"] if venue == "okx" else answer["result"]["list"]
        return [row[4] for row in rows]

    path = CANDLES[venue]
    well = closes(await get(venue, path))
    assert len(well) == 30
    upstreams.fault(venue, Fault.NEGATIVE_PRICE)
    spoiled = closes(await get(venue, path))
    assert sum(float(each) < 0 for each in spoiled) == 10
    upstreams.fault(venue, Fault.GAP)
    assert len(closes(await get(venue, path))) == 25
    upstreams.fault(venue, Fault.DUPLICATES)
    assert len(closes(await get(venue, path))) == 36
    upstreams.fault(venue, Fault.DISORDER)
    mixed = closes(await get(venue, path))
    assert mixed != well
    assert sorted(mixed) == sorted(well)


async def test_faults_are_set_seen_and_cleared_over_http(
    upstreams: Upstreams, http: aiohttp.ClientSession, get: Get
) -> None:
    control = f"http://127.0.0.1:{upstreams.port}/control"
    async with http.post(f"{control}/fault", json={"provider": "okx", "fault": "html"}) as answer:
        told = await answer.json()
    assert told["providers"]["okx"]["fault"] == "html"
    assert "<html>" in await get("okx", PRICES["okx"])
    async with http.get(f"{control}/status") as answer:
        assert (await answer.json())["providers"]["okx"]["calls"] == 1
    async with http.post(f"{control}/fault", json={"provider": "okx", "fault": None}) as answer:
        assert answer.status == 200
    assert (await get("okx", PRICES["okx"]))["code"] == "0"
    async with http.post(f"{control}/reset") as answer:
        assert (await answer.json())["providers"]["okx"]["calls"] == 0
    for bad in ({"provider": "nobody"}, {"provider": "okx", "fault": "sulk"}, [1], {}):
        async with http.post(f"{control}/fault", json=bad) as answer:
            assert answer.status == 400
            assert "known" in (await answer.json())["error"].lower()
