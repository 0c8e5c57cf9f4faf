from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from intelligence.domain.candles import Bar, Interval
from intelligence.domain.indicators import Bars
from intelligence.indicators.compute import compute

Walk = Callable[..., Bars]
StoreCandles = Callable[..., Awaitable[list[Bar]]]
URL = "/api/analytics/indicators"
NAMED = [
    "rsi", "macd", "macd_signal", "macd_histogram", "bb_upper", "bb_middle", "bb_lower", "ema_12",
    "ema_20", "ema_26", "sma_20", "stoch_k", "stoch_d", "adx", "plus_di", "minus_di", "atr",
]  # fmt: skip
MORE = [
    "obv", "vwap", "ichimoku_conversion", "ichimoku_base", "ichimoku_span_a", "ichimoku_span_b",
    "ichimoku_lagging",
]  # fmt: skip


@pytest.fixture
def reader(client_as: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_as(scopes=frozenset({"market:read"}))


def _sent(bars: Bars) -> list[dict[str, Any]]:
    return [
        {
            "time": datetime.fromtimestamp(float(bars.time_s[row]), UTC).isoformat(),
            "open": float(bars.open[row]),
            "high": float(bars.high[row]),
            "low": float(bars.low[row]),
            "close": float(bars.close[row]),
            "volume": float(bars.volume[row]),
        }
        for row in range(len(bars))
    ]


async def _ask(reader: httpx.AsyncClient, candles: list[dict[str, Any]]) -> dict[str, Any]:
    answer = await reader.post(URL, json={"candles": candles})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_array_is_as_long_as_the_input_and_null_only_in_the_warm_up(
    reader: httpx.AsyncClient, walk: Walk
) -> None:
    bars = walk(120)
    found = await _ask(reader, _sent(bars))
    expected = compute(bars).columns()
    for name in NAMED + MORE:
        assert len(found[name]) == 120
        ours = np.array(found[name], dtype=np.float64)
        np.testing.assert_allclose(ours, expected[name], rtol=1e-12, err_msg=name)
    assert found["time"][0] == datetime.fromtimestamp(1_750_000_000, UTC).isoformat().replace(
        "+00:00", "Z"
    )
    assert found["warnings"] == []
    assert found["reasons"] == {}
    assert found["signal"] in ("BUY", "SELL", "NEUTRAL")
    assert sum(part["points"] for part in found["parts"]) == pytest.approx(found["score"])


async def test_times_may_be_seconds_or_milliseconds(reader: httpx.AsyncClient, walk: Walk) -> None:
    candles = _sent(walk(20))
    whole = await _ask(reader, candles)
    for scale in (1, 1000):
        for row, candle in enumerate(candles):
            candle["time"] = (1_750_000_000 + 3600 * row) * scale
        assert (await _ask(reader, candles))["time"] == whole["time"]


async def test_fewer_than_15_closes_leave_the_rsi_null_with_a_reason(
    reader: httpx.AsyncClient, walk: Walk
) -> None:
    found = await _ask(reader, _sent(walk(14)))
    assert found["rsi"] == [None] * 14
    assert found["reasons"]["rsi"] == "It needs 15 candles with close; there are 14."
    assert found["signal"] == "NEUTRAL"
    assert (await _ask(reader, _sent(walk(15))))["rsi"][:14] == [None] * 14


async def test_a_flat_series_is_null_and_neutral(reader: httpx.AsyncClient, walk: Walk) -> None:
    candles = [
        candle | dict.fromkeys(("open", "high", "low", "close"), 60_000)
        for candle in _sent(walk(100))
    ]
    found = await _ask(reader, candles)
    for name in ("rsi", "stoch_k", "stoch_d", "adx", "plus_di", "minus_di"):
        assert found[name] == [None] * 100
        assert "zero divided by zero" in found["reasons"][name]
    assert (found["signal"], found["score"]) == ("NEUTRAL", 0)
    assert found["sma_20"][-1] == 60_000


@pytest.mark.parametrize("missing", [None, "NaN", "nan"])
async def test_a_nan_close_is_never_a_0_rsi(
    reader: httpx.AsyncClient, walk: Walk, missing: str | None
) -> None:
    candles = _sent(walk(100))
    candles[40]["close"] = missing
    found = await _ask(reader, candles)
    for name in NAMED:
        assert found[name][40] is None
        assert None not in found[name][41:]
    assert 0 not in found["rsi"]
    assert found["warnings"] == ["1 candles have no close and were left out."]


async def test_a_close_is_enough_for_what_needs_only_closes(
    reader: httpx.AsyncClient, walk: Walk
) -> None:
    bars = walk(60)
    candles = [{"time": one["time"], "close": one["close"]} for one in _sent(bars)]
    found = await _ask(reader, candles)
    np.testing.assert_allclose(found["rsi"][14:], compute(bars).rsi[14:])
    assert found["adx"] == found["obv"] == [None] * 60
    assert (
        found["reasons"]["adx"] == "It needs 28 candles with high and low and close; there are 0."
    )


async def test_disorder_is_sorted_and_duplicates_are_dropped(
    reader: httpx.AsyncClient, walk: Walk
) -> None:
    candles = _sent(walk(100))
    whole = await _ask(reader, candles)
    shuffled = [candles[37 * row % 100] for row in range(100)]
    found = await _ask(reader, shuffled)
    assert all(found[name] == whole[name] for name in [*NAMED, *MORE, "time", "score"])
    assert found["warnings"] == ["The candles were not in the order of time; the answer is."]
    wrong = candles[50] | {"close": 1, "low": 1}
    found = await _ask(reader, [wrong, *candles])
    assert len(found["rsi"]) == 101
    assert found["time"][50] == found["time"][51]
    assert found["rsi"][50] == found["rsi"][51] == whole["rsi"][50]
    assert found["rsi"][52:] == whole["rsi"][51:]
    assert "1 candles repeat a time; the last one sent of each counts." in found["warnings"]


async def test_gaps_are_named_and_not_filled(reader: httpx.AsyncClient, walk: Walk) -> None:
    candles = _sent(walk(100))
    found = await _ask(reader, candles[:30] + candles[33:])
    assert len(found["rsi"]) == 97
    assert found["warnings"] == ["3 candles are missing, at one every 3600 s; none were invented."]
    assert None not in found["adx"][27:]


async def test_a_high_below_the_low_is_rejected(reader: httpx.AsyncClient, walk: Walk) -> None:
    candles = _sent(walk(20))
    candles[3] |= {"high": 10, "low": 11}
    answer = await reader.post(URL, json={"candles": candles})
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"].endswith("/candles/3/low")
    assert "the low 11 is above the high 10" in error["detail"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time", "0001-01-01T00:00:00+14:00"),
        ("time", "9999-12-31T23:59:59-14:00"),
        ("close", 0),
        ("close", -1),
        ("close", "1e400"),
        ("close", "Infinity"),
        ("close", "-Infinity"),
        ("close", "abc"),
        ("close", []),
        ("close", 1e13),
        ("high", -1),
        ("volume", -1),
        ("volume", "inf"),
        ("time", "yesterday"),
        ("time", "2026-01-01T00:00:00"),
        ("time", None),
    ],
)
async def test_what_cannot_be_a_candle_is_refused_by_its_field(
    reader: httpx.AsyncClient, walk: Walk, field: str, value: object
) -> None:
    candles = _sent(walk(3))
    candles[1][field] = value
    answer = await reader.post(URL, json={"candles": candles})
    assert answer.status_code == 422
    assert f"/candles/1/{field}" in answer.json()["errors"][0]["pointer"]


async def test_a_missing_close_member_is_refused(reader: httpx.AsyncClient) -> None:
    answer = await reader.post(URL, json={"candles": [{"time": "2026-01-01T00:00:00Z"}]})
    assert answer.status_code == 422


async def test_nan_written_as_a_number_is_no_json(reader: httpx.AsyncClient) -> None:
    body = b'{"candles": [{"time": "2026-01-01T00:00:00Z", "close": NaN}]}'
    answer = await reader.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("count", [0, 10_001])
async def test_no_candles_and_too_many_are_refused(reader: httpx.AsyncClient, count: int) -> None:
    candle = {"time": 0, "close": 1}
    answer = await reader.post(URL, json={"candles": [candle] * count})
    assert answer.status_code == 422


async def test_one_candle_and_a_candle_closing_outside_of_its_range(
    reader: httpx.AsyncClient,
) -> None:
    candle = {"time": 0, "high": 2, "low": 1, "close": 3}
    found = await _ask(reader, [candle])
    assert found["rsi"] == [None]
    assert found["warnings"] == ["1 candles close outside of their high and low."]


async def test_stored_indicators_are_warmed_up_before_the_first_one_shown(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles
) -> None:
    bars = walk(700)
    stored = await store_candles(bars)
    answer = await reader.get(URL, params={"interval": "1h", "limit": 50})
    assert answer.status_code == 200
    found = answer.json()
    whole = compute(bars).take(slice(-50, None)).columns()
    for name in NAMED:
        assert len(found[name]) == 50
        assert None not in found[name]
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(found["close"], bars.close[-50:])
    assert datetime.fromisoformat(found["time"][-1]) == stored[-1].opened_at
    assert (found["interval"], found["simulated"]) == ("1h", False)


async def test_stored_indicators_of_a_short_history_are_null(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles
) -> None:
    await store_candles(walk(20), Interval.DAY, simulated=True)
    found = (await reader.get(URL, params={"interval": "1d"})).json()
    assert found["macd"] == [None] * 20
    assert found["reasons"]["macd"] == "It needs 34 candles with close; there are 20."
    assert found["simulated"] is True
    empty = (await reader.get(URL, params={"interval": "1m"})).json()
    assert (empty["rsi"], empty["time"], empty["signal"]) == ([], [], "NEUTRAL")
    assert empty["reasons"]["rsi"] == "It needs 15 candles with close; there are 0."


@pytest.mark.parametrize("query", ["interval=2h", "limit=0", "limit=2001", "limit=x", "last=5"])
async def test_a_query_that_cannot_be_is_refused(reader: httpx.AsyncClient, query: str) -> None:
    assert (await reader.get(f"{URL}?{query}")).status_code == 422


async def test_it_needs_the_permission(client_as: Callable[..., httpx.AsyncClient]) -> None:
    client = client_as(scopes=frozenset({"miners:read"}))
    assert (await client.get(URL)).status_code == 403
    assert (await client.post(URL, json={"candles": [{"time": 0, "close": 1}]})).status_code == 403


async def test_another_tenant_reads_the_same(
    client_as: Callable[..., httpx.AsyncClient], walk: Walk, store_candles: StoreCandles
) -> None:
    await store_candles(walk(30))
    for client_id in (None, "01900000-0000-7000-8000-000000000001"):
        client = client_as(scopes=frozenset({"market:read"}), client_id=client_id)
        assert len((await client.get(URL)).json()["rsi"]) == 30


async def test_what_is_stale_says_when_its_last_candle_was(
    reader: httpx.AsyncClient, walk: Walk, store_candles: StoreCandles
) -> None:
    stored = await store_candles(walk(40), ago=48)
    found = (await reader.get(URL)).json()
    assert datetime.fromisoformat(found["time"][-1]) == stored[-1].opened_at
    assert stored[-1].opened_at < datetime.now(UTC) - timedelta(hours=48)
