"""Price and chain providers: shapes as the real ones have them, facts that agree."""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from simulation.upstreams import Upstreams
from simulation.upstreams.clock import HandClock

Get = Callable[..., Awaitable[Any]]
SATS = 100_000_000


async def test_all_prices_agree_within_a_few_basis_points(get: Get) -> None:
    query = {"ids": "bitcoin", "vs_currencies": "usd", "precision": "2"}
    prices = [
        (await get("coingecko", "/api/v3/simple/price", **query))["bitcoin"]["usd"],
        (await get("blockchain", "/ticker"))["USD"]["last"],
        (await get("blockchain", "/stats"))["market_price_usd"],
        (await get("mempool", "/api/v1/prices"))["USD"],
        (await get("deribit", "/api/v2/public/get_index_price", index_name="btc_usd"))["result"][
            "index_price"
        ],
        float((await get("binance", "/api/v3/ticker/price", symbol="BTCUSDT"))["price"]),
    ]
    assert max(prices) / min(prices) < 1.0015
    mean = float(await get("blockchain", "/q/24hrprice"))
    assert mean == pytest.approx(prices[0], rel=0.1)


async def test_all_difficulties_heights_and_hashes_agree(get: Get, rpc: Get) -> None:
    info = (await rpc("getblockchaininfo"))["result"]
    difficulty = info["difficulty"]
    assert (await rpc("getdifficulty"))["result"] == difficulty
    assert (await get("mempool", "/api/v1/mining/hashrate/3d"))["currentDifficulty"] == difficulty
    [newest, *_] = await get("mempool", "/api/v1/mining/difficulty-adjustments/1y")
    assert newest[2] == difficulty
    assert (await get("blockchain", "/stats"))["difficulty"] == difficulty
    written = await get("blockchain", "/q/getdifficulty")
    assert float(written) == pytest.approx(difficulty, rel=1e-12)
    assert "E14" in written
    assert int(await get("mempool", "/api/blocks/tip/height")) == info["blocks"]
    assert int(await get("blockchain", "/q/getblockcount")) == info["blocks"]
    assert await get("mempool", "/api/blocks/tip/hash") == info["bestblockhash"]
    assert await get("blockchain", "/q/latesthash") == info["bestblockhash"]
    assert (await get("blockchain", "/latestblock"))["hash"] == info["bestblockhash"]


async def test_hashrates_agree_in_their_units(get: Get, rpc: Get) -> None:
    hashes_per_s = (await rpc("getnetworkhashps", 1008))["result"]
    hashrate = await get("mempool", "/api/v1/mining/hashrate/1m")
    assert hashrate["currentHashrate"] == hashes_per_s
    days = [day["avgHashrate"] for day in hashrate["hashrates"]]
    assert len(days) == 29  # whole ones
    assert sum(days) / len(days) == pytest.approx(hashes_per_s, rel=0.25)
    ghs = float(await get("blockchain", "/q/hashrate"))
    assert ghs == pytest.approx((await get("blockchain", "/stats"))["hash_rate"], rel=1e-6)
    assert ghs * 1e9 == pytest.approx(hashes_per_s, rel=0.4)  # one day is luck
    assert (await rpc("getnetworkhashps", -1))["result"] == pytest.approx(hashes_per_s, rel=0.3)


async def test_block_rewards_agree_between_mempool_and_node(get: Get, rpc: Get) -> None:
    stats = await get("mempool", "/api/v1/mining/reward-stats/3")
    blocks = [
        (await rpc("getblockstats", height))["result"]
        for height in range(stats["startBlock"], stats["endBlock"] + 1)
    ]
    assert len(blocks) == 3
    assert int(stats["totalFee"]) == sum(block["totalfee"] for block in blocks)
    assert int(stats["totalReward"]) == int(stats["totalFee"]) + 3 * 312_500_000
    assert int(stats["totalTx"]) == sum(block["txs"] for block in blocks)
    [shown, *_] = await get("mempool", "/api/v1/blocks")
    assert shown["extras"]["totalFees"] == blocks[-1]["totalfee"]
    named = (await rpc("getblockstats", stats["endBlock"], ["totalfee", "subsidy"]))["result"]
    assert named == {"totalfee": blocks[-1]["totalfee"], "subsidy": 312_500_000}
    assert 0.005 < int(stats["totalFee"]) / 3 / SATS < 0.2


async def test_a_block_is_found_by_height_then_hash_everywhere(get: Get, rpc: Get) -> None:
    block_hash = await get("mempool", "/api/block-height/840000")
    assert (await rpc("getblockhash", 840_000))["result"] == block_hash
    block = await get("mempool", f"/api/v1/block/{block_hash}")
    header = (await rpc("getblockheader", block_hash))["result"]
    assert block["height"] == header["height"] == 840_000
    assert block["timestamp"] == header["time"]
    assert f"{block['bits']:08x}" == header["bits"]
    assert block["previousblockhash"] == header["previousblockhash"]
    assert block["extras"]["reward"] - block["extras"]["totalFees"] == 312_500_000
    await get("mempool", "/api/block-height/9999999", status=404)
    await get("mempool", "/api/v1/block/" + "0" * 64, status=404)


async def test_difficulty_history_reaches_back_400_days_in_whole_epochs(
    get: Get, clock: HandClock
) -> None:
    rows = await get("mempool", "/api/v1/mining/difficulty-adjustments/2y")
    assert clock.s - rows[-1][0] > 400 * 86400
    for newer, older in pairwise(rows):
        assert newer[1] - older[1] == 2016
        assert newer[2] / older[2] == pytest.approx(newer[3], abs=1e-6)
        assert 9 * 86400 < newer[0] - older[0] < 20 * 86400
    listed = (await get("mempool", "/api/v1/mining/hashrate/2y"))["difficulty"]
    assert [epoch["height"] for epoch in listed] == [row[1] for row in reversed(rows)]


async def test_difficulty_adjustment_adds_up_and_the_retarget_comes(
    get: Get, clock: HandClock
) -> None:
    told = await get("mempool", "/api/v1/difficulty-adjustment")
    height = int(await get("mempool", "/api/blocks/tip/height"))
    assert told["nextRetargetHeight"] % 2016 == 0
    assert told["remainingBlocks"] == told["nextRetargetHeight"] - height - 1
    assert told["progressPercent"] == pytest.approx(height % 2016 / 2016 * 100)
    assert told["estimatedRetargetDate"] == int(clock.s * 1000) + told["remainingTime"]
    clock.forward(told["remainingTime"] / 1000 + 3 * 86400)
    after = await get("mempool", "/api/v1/difficulty-adjustment")
    assert after["previousRetarget"] == pytest.approx(told["difficultyChange"], abs=3.0)
    assert after["nextRetargetHeight"] == told["nextRetargetHeight"] + 2016


async def test_coingecko_answers_only_what_was_asked_for(get: Get, clock: HandClock) -> None:
    path = "/api/v3/simple/price"
    bare = await get("coingecko", path, ids="bitcoin", vs_currencies="usd,eur")
    assert set(bare["bitcoin"]) == {"usd", "eur"}
    assert await get("coingecko", path, ids="dogecoin", vs_currencies="usd") == {}
    await get("coingecko", path, ids="bitcoin", status=422)
    full = await get(
        "coingecko",
        path,
        ids="bitcoin",
        vs_currencies="usd",
        include_24hr_vol="true",
        include_24hr_change="true",
        include_market_cap="true",
        include_last_updated_at="true",
    )
    told = full["bitcoin"]
    assert clock.s - 60 < told["last_updated_at"] <= clock.s
    assert told["usd_market_cap"] == pytest.approx(told["usd"] * 20.1e6, rel=0.01)
    assert 1e9 < told["usd_24h_vol"] < 20e9
    assert -20 < told["usd_24h_change"] < 20


@pytest.mark.parametrize(
    ("days", "step_s", "points"), [("1", 300, 289), ("30", 3600, 721), ("365", 86400, 366)]
)
async def test_coingecko_charts_have_the_steps_of_the_real_ones(
    days: str, step_s: int, points: int, get: Get, clock: HandClock
) -> None:
    path = "/api/v3/coins/bitcoin/market_chart"
    chart = await get("coingecko", path, vs_currency="usd", days=days)
    times = [at_ms for at_ms, _ in chart["prices"]]
    assert len(times) == points
    assert {after - before for before, after in pairwise(times[:-1])} == {step_s * 1000}
    assert times[-1] == int(clock.s * 1000)
    assert [row[0] for row in chart["total_volumes"]] == times
    assert all(50_000 < price < 140_000 for _, price in chart["prices"])


async def test_coingecko_keeps_older_history_to_paying_users(get: Get) -> None:
    path = "/api/v3/coins/bitcoin/market_chart"
    refused = await get("coingecko", path, vs_currency="usd", days="max", status=401)
    assert refused["error"]["status"]["error_code"] == 10012


async def test_coingecko_candles_and_ranges(get: Get, clock: HandClock) -> None:
    candles = await get("coingecko", "/api/v3/coins/bitcoin/ohlc", vs_currency="usd", days="7")
    assert all(low <= min(o, c) <= max(o, c) <= high for _, o, high, low, c in candles)
    span = {"from": int(clock.s) - 7200, "to": int(clock.s) - 3600}
    path = "/api/v3/coins/bitcoin/market_chart/range"
    chart = await get("coingecko", path, vs_currency="usd", **span)
    assert len(chart["prices"]) == 12


async def test_blockchain_units_are_the_real_ones(get: Get) -> None:
    assert float(await get("blockchain", "/q/bcperblock")) == 3.125
    assert 20.0e14 < int(await get("blockchain", "/q/totalbc")) < 20.3e14
    assert int(await get("blockchain", "/q/nextretarget")) % 2016 == 0
    assert 400 < float(await get("blockchain", "/q/interval")) < 900
    assert 0 <= float(await get("blockchain", "/q/eta")) <= 600
    assert float(await get("blockchain", "/q/hashestowin")) > 1e23
    stats = await get("blockchain", "/stats", format="json")
    assert stats["n_btc_mined"] == stats["n_blocks_mined"] * 312_500_000
    coins = (stats["n_btc_mined"] + stats["total_fees_btc"]) / SATS
    assert stats["miners_revenue_usd"] == pytest.approx(coins * stats["market_price_usd"])


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("difficulty", 5e13, 3e14), ("hash-rate", 4e8, 2e9), ("market-price", 55_000, 140_000)],
)
async def test_blockchain_charts_are_daily(name: str, least: float, most: float, get: Get) -> None:
    chart = await get("blockchain", f"/charts/{name}", timespan="2years")
    days = [point["x"] for point in chart["values"]]
    assert len(days) == 731
    assert {after - before for before, after in pairwise(days)} == {86400}
    assert all(least < point["y"] < most for point in chart["values"])
    await get("blockchain", "/charts/nothing", status=404)


async def test_mempool_tells_the_price_of_any_hour(get: Get, clock: HandClock) -> None:
    then = int(clock.s) - 100 * 86400
    [row] = (await get("mempool", "/api/v1/historical-price", currency="USD", timestamp=then))[
        "prices"
    ]
    assert then - 3600 < row["time"] <= then
    assert 55_000 < row["USD"] < 140_000


async def test_mempool_fees(get: Get) -> None:
    fees = await get("mempool", "/api/v1/fees/recommended")
    assert fees["fastestFee"] >= fees["halfHourFee"] >= fees["hourFee"] >= fees["minimumFee"] >= 1
    assert len(await get("mempool", "/api/v1/fees/mempool-blocks")) == 3
    days = await get("mempool", "/api/v1/mining/blocks/fees/1m")
    assert 28 <= len(days) <= 33
    assert all(1e6 < day["avgFees"] < 2e7 for day in days)
    await get("mempool", "/api/v1/mining/hashrate/5y", status=400)
    await get("mempool", "/api/v1/mining/reward-stats/0", status=400)


async def test_node_answers_a_batch_and_explains_errors(
    rpc: Get, upstreams: Upstreams, http: Any
) -> None:
    batch = [{"id": each, "method": "getblockcount"} for each in range(3)]
    async with http.post(upstreams.url("ankr") + "/btc/some-key", json=batch) as answer:
        answers = await answer.json()
    assert [each["id"] for each in answers] == [0, 1, 2]
    assert len({each["result"] for each in answers}) == 1
    assert (await rpc("getmoney"))["error"]["code"] == -32601
    assert (await rpc("getblockhash", 99_999_999))["error"]["code"] == -8
    assert (await rpc("getnetworkhashps", "many"))["error"]["code"] == -1
    assert (await rpc("getblockstats", 900_000, ["nothing"]))["error"]["code"] == -8
    async with http.post(upstreams.url("ankr") + "/btc", data=b"{oops") as answer:
        assert (await answer.json())["error"]["code"] == -32600


async def test_calls_are_counted_by_provider_and_path(upstreams: Upstreams, get: Get) -> None:
    await get("mempool", "/api/v1/prices")
    await get("mempool", "/api/v1/prices")
    await get("mempool", "/api/blocks/tip/height")
    await get("okx", "/api/v5/nothing", status=404)
    assert upstreams.calls == {"mempool": 3, "okx": 1}
    assert upstreams.calls_of("mempool", "/api/v1/prices") == 2
    upstreams.forget_calls()
    assert upstreams.calls["mempool"] == 0


@pytest.mark.parametrize(
    ("provider", "path", "query"),
    [
        ("coingecko", "/api/v3/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": "nan"}),
        ("coingecko", "/api/v3/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": "-1"}),
        ("coingecko", "/api/v3/coins/bitcoin/ohlc", {"vs_currency": "usd", "days": ""}),
        ("mempool", "/api/v1/historical-price", {"timestamp": "x"}),
        ("mempool", "/api/v1/blocks/x", {}),
        ("binance", "/api/v3/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "-1"}),
        ("binance", "/api/v3/klines", {"symbol": "BTCUSDT", "interval": "9m"}),
        ("deribit", "/api/v2/public/get_index_price", {"index_name": "doge_usd"}),
    ],
)
async def test_nonsense_is_refused_as_the_callers_fault(
    provider: str, path: str, query: dict[str, str], get: Get
) -> None:
    await get(provider, path, status=400, **query)


async def test_moments_outside_the_world_are_answered_with_what_there_is(get: Get) -> None:
    [row] = (await get("mempool", "/api/v1/historical-price", timestamp=0))["prices"]
    assert 55_000 < row["USD"] < 140_000
    far = {"symbol": "BTCUSDT", "interval": "1d", "startTime": 10**30}
    assert await get("binance", "/api/v3/klines", **far) == []
    assert await get("mempool", "/api/v1/blocks/5") == []
    assert len(await get("mempool", "/api/v1/blocks/99999999999")) == 15
    chart = await get("blockchain", "/charts/difficulty", timespan="all")
    assert len(chart["values"]) > 2000
