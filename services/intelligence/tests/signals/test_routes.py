from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pytest

from common.clock import now
from common.runtime import Runtime
from intelligence.domain.candles import Bar, Interval
from intelligence.domain.indicators import Bars
from intelligence.market.models import NetworkEpoch

Walk = Callable[..., Bars]
StoreCandles = Callable[..., Awaitable[list[Bar]]]
StoreEpochs = Callable[..., Awaitable[None]]


@pytest.fixture
def reader(client_as: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_as(scopes=frozenset({"market:read"}))


@pytest.fixture
def store_epochs(runtime: Runtime, store_candles: StoreCandles) -> StoreEpochs:
    """Store epochs of two weeks each, the last one begun five days ago."""

    async def store(count: int, growth: float = 1.02) -> None:
        async with runtime.worker_session() as session:
            for back in range(count):
                session.add(
                    NetworkEpoch(
                        height=920_304 - 2016 * back,
                        started_at=now() - timedelta(days=5 + 14 * back),
                        difficulty=Decimal(1e14 * growth**-back).quantize(Decimal(1)),
                        bits=None,
                        subsidy_btc=Decimal("3.125"),
                        version=1,
                    )
                )

    return store


async def _get(reader: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    answer = await reader.get(f"/api/analytics/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_signal_comes_with_the_share_of_every_part(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles
) -> None:
    bars = walk(400)
    stored = await store_candles(bars)
    found = await _get(reader, "signals", interval="1h")
    assert sum(part["points"] for part in found["parts"]) == pytest.approx(found["score"])
    assert sum(part["weight"] for part in found["parts"]) == pytest.approx(100)
    assert [part["name"] for part in found["parts"]] == [
        "ema", "macd", "direction", "rsi", "bollinger", "stochastic",
    ]  # fmt: skip
    expected = "BUY" if found["score"] >= 50 else "SELL" if found["score"] <= -50 else "NEUTRAL"
    assert found["signal"] == expected
    assert found["trend"]["direction"] in ("up", "down", "sideways")
    assert datetime.fromisoformat(found["as_of"]) == stored[-1].opened_at + timedelta(hours=1)
    assert found["close_usd"] == bars.close[-1]
    assert (found["stale"], found["simulated"], found["reasons"]) == (False, False, {})
    assert all(level["price_usd"] < bars.close[-1] for level in found["support"])
    assert all(level["price_usd"] >= bars.close[-1] for level in found["resistance"])


@pytest.mark.parametrize(("step", "signal"), [(100, "BUY"), (-100, "SELL")])
async def test_a_steady_march_is_followed(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles, step: float, signal: str
) -> None:
    at = np.arange(301, dtype=np.float64)
    close = (50_000 + step * at + 150 * np.sin(at)).round(4)
    bars = replace(
        walk(300),
        open=close[:-1],
        close=close[1:],
        high=np.maximum(close[:-1], close[1:]),
        low=np.minimum(close[:-1], close[1:]),
    )
    await store_candles(bars)
    found = await _get(reader, "signals", interval="1h")
    assert found["signal"] == signal
    assert found["trend"]["direction"] == ("up" if step > 0 else "down")
    assert found["trend"]["strength"] == "strong"


async def test_a_flat_market_is_neutral(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles
) -> None:
    flat = np.full(300, 60_000.0)
    await store_candles(replace(walk(300), open=flat, high=flat, low=flat, close=flat))
    found = await _get(reader, "signals", interval="1h")
    assert (found["signal"], found["score"], found["trend"]) == ("NEUTRAL", 0, None)
    assert "zero divided by zero" in found["reasons"]["rsi"]
    assert found["support"] == found["resistance"] == []


async def test_without_history_everything_is_null_with_its_reason(
    reader: httpx.AsyncClient, store_candles: StoreCandles
) -> None:
    found = await _get(reader, "signals")
    assert (found["signal"], found["parts"], found["as_of"]) == ("NEUTRAL", [], None)
    assert found["stale"] is True
    for name in ("puell_multiple", "hash_ribbons", "hashprice_percentile"):
        assert found["mining"][name]["value"] is None
        assert "needed" in found["mining"][name]["reason"]
    assert (await _get(reader, "levels"))["support"] == []


async def test_candles_of_long_ago_are_stale_and_simulated_ones_say_so(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles
) -> None:
    await store_candles(walk(60), simulated=True, ago=4)
    for path in ("signals", "levels"):
        found = await _get(reader, path, interval="1h")
        assert (found["stale"], found["simulated"]) == (True, True)


async def test_signals_of_mining_from_closes_and_epochs(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles, store_epochs: StoreEpochs
) -> None:
    bars = walk(365)
    await store_candles(bars, Interval.DAY, simulated=True)
    await store_epochs(40)
    found = await _get(reader, "signals", interval="1h")
    mining = found["mining"]
    # Epochs of just two weeks: every day issues the same, and only the price counts.
    assert mining["puell_multiple"]["value"] == pytest.approx(
        float(bars.close[-1] / bars.close.mean()), rel=1e-6
    )
    assert 0 <= mining["hashprice_percentile"]["value"] <= 100
    assert mining["hash_ribbons"]["value"] > 1  # the difficulty grows
    assert found["simulated"] is True


async def test_epochs_with_a_gap_are_too_few(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles, store_epochs: StoreEpochs
) -> None:
    await store_candles(walk(365), Interval.DAY)
    await store_epochs(5)
    mining = (await _get(reader, "signals"))["mining"]
    assert mining["puell_multiple"]["value"] is None
    assert mining["puell_multiple"]["signal"] == "NEUTRAL"
    assert "Difficulty epochs of 364 days are needed" in mining["puell_multiple"]["reason"]


async def test_levels_are_turning_points_on_either_side(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles
) -> None:
    wave = 60_000 + 2000 * np.sin(np.arange(200, dtype=np.float64) / 5)
    bars = replace(walk(200), open=wave, high=wave + 100, low=wave - 100, close=wave)
    await store_candles(bars)
    found = await _get(reader, "levels", interval="1h", limit=200)
    [support], [resistance] = found["support"], found["resistance"]
    assert support["price_usd"] == pytest.approx(57_900, abs=10)
    assert resistance["price_usd"] == pytest.approx(62_100, abs=10)
    assert support["touches"] >= 5
    assert support["distance_percent"] < 0 < resistance["distance_percent"]


async def test_the_signal_is_tested_on_the_stored_history_with_costs(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles
) -> None:
    bars = walk(800)
    await store_candles(bars)
    path = "signals/backtest"
    free = await _get(reader, path, interval="1h", fee_percent=0, slippage_percent=0)
    dear = await _get(reader, path, interval="1h", fee_percent=0.5, slippage_percent=0.1)
    assert (free["bars"], free["cost_percent"], dear["cost_percent"]) == (500, 0, 0.6)
    assert free["closed_trades"] > 3
    assert dear["strategy"]["return_percent"] < free["strategy"]["return_percent"]
    assert len(dear["equity"]) == len(dear["held_equity"]) == len(dear["time"]) == 500
    assert dear["strategy"]["return_percent"] == pytest.approx(100 * (dear["equity"][-1] - 1))
    # Holding begins where the signal could first have been acted upon.
    assert free["buy_and_hold"]["return_percent"] == pytest.approx(
        100 * (bars.close[-1] / bars.open[301] - 1)
    )
    assert 0 <= dear["win_rate_percent"] <= 100
    assert 0 < dear["strategy"]["max_drawdown_percent"] < 100
    first = dear["trades"][0]
    assert first["bought_usd"] in bars.open
    assert first["sold_at"] > first["bought_at"]


async def test_a_history_too_short_to_test_is_a_conflict(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles
) -> None:
    await store_candles(walk(329))
    answer = await reader.get("/api/analytics/signals/backtest?interval=1h")
    assert answer.status_code == 409
    assert answer.json()["code"] == "history_too_short"
    assert "329 are stored" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "signals?interval=7m", "signals?limit=10", "signals?limit=2001", "levels?limit=0",
        "signals/backtest?limit=29", "signals/backtest?limit=10001",
        "signals/backtest?fee_percent=-1", "signals/backtest?fee_percent=11",
        "signals/backtest?fee_percent=nan", "signals/backtest?slippage_percent=inf",
    ],
)  # fmt: skip
async def test_a_query_that_cannot_be_is_refused(reader: httpx.AsyncClient, path: str) -> None:
    assert (await reader.get(f"/api/analytics/{path}")).status_code == 422


@pytest.mark.parametrize("path", ["signals", "signals/backtest", "levels"])
async def test_it_needs_the_permission(
    client_as: Callable[..., httpx.AsyncClient], path: str
) -> None:
    client = client_as(scopes=frozenset({"miners:read"}))
    assert (await client.get(f"/api/analytics/{path}")).status_code == 403
