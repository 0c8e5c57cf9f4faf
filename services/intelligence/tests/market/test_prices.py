from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from intelligence.market.models import Ticker

MakeTicker: TypeAlias = Callable[..., Ticker]
Sessions: TypeAlias = Callable[..., AbstractAsyncContextManager[AsyncSession]]
AGGREGATE = "/api/analytics/quotes/aggregate"


async def keep(worker_session: Sessions, *tickers: Ticker) -> None:
    async with worker_session() as session:
        session.add_all(tickers)


async def test_the_price_is_the_median_of_fresh_venues(
    reader: httpx.AsyncClient, worker_session: Sessions, ticker: MakeTicker
) -> None:
    await keep(
        worker_session,
        ticker("binance", "100000"),
        ticker("okx", "100100", volume_btc_24h=3000),
        ticker("bybit", "99000", age_s=600),
    )
    said = (await reader.get("/api/analytics/price")).json()
    assert said["median_usd"] == "100050.000000"
    assert said["vwap_usd"] == "100075.000000"
    assert 4 < said["age_s"] < 60
    assert (said["stale"], said["simulated"], said["agrees"]) == (False, False, True)
    assert [(v["venue"], v["used"], v["stale"]) for v in said["venues"]] == [
        ("binance", True, False),
        ("bybit", False, True),
        ("okx", True, False),
    ]
    assert [(one["venue"], one["reason"]) for one in said["dropped"]] == [("bybit", "stale")]
    assert said["warnings"] == ["bybit is stale and was left out."]


async def test_one_venue_50_percent_off_is_dropped_from_the_price(
    reader: httpx.AsyncClient, worker_session: Sessions, ticker: MakeTicker
) -> None:
    await keep(
        worker_session,
        ticker("binance", "100000"),
        ticker("okx", "100100"),
        ticker("bybit", "50000"),
    )
    said = (await reader.get("/api/analytics/price")).json()
    assert said["median_usd"] == "100050.000000"
    [dropped] = said["dropped"]
    assert (dropped["venue"], dropped["reason"]) == ("bybit", "outlier")
    assert dropped["difference_percent"] == "-50.0250"
    volume = (await reader.get("/api/analytics/volume")).json()
    assert volume["total_btc_24h"] == "2000.00000000"
    assert [one["share_percent"] for one in volume["venues"]] == ["50.0000", None, "50.0000"]


async def test_two_venues_that_disagree_are_said_to(
    reader: httpx.AsyncClient, worker_session: Sessions, ticker: MakeTicker
) -> None:
    await keep(worker_session, ticker("binance", "100000"), ticker("okx", "50000"))
    said = (await reader.get("/api/analytics/price")).json()
    assert (said["median_usd"], said["agrees"]) == ("75000.000000", False)
    assert "disagree by more than 2 %" in said["warnings"][0]


async def test_all_stale_is_503_with_what_was_last_known(
    reader: httpx.AsyncClient, worker_session: Sessions, ticker: MakeTicker
) -> None:
    await keep(worker_session, ticker("binance", "100000", age_s=600), ticker("okx", None))
    for path in ("price", "volume"):
        answer = await reader.get(f"/api/analytics/{path}")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        said = answer.json()
        assert said["code"] == "no_fresh_price"
        assert [(k["venue"], k["price_usd"]) for k in said["last_known"]] == [
            ("binance", "100000.000000")
        ]
        assert said["last_known"][0]["age_s"] > 590


async def test_no_venue_at_all_is_503(reader: httpx.AsyncClient) -> None:
    answer = await reader.get("/api/analytics/price")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert answer.json()["last_known"] == []
    none = (await reader.get("/api/analytics/exchanges")).json()
    assert (none["median_usd"], none["exchanges"]) == (None, [])


async def test_what_is_simulated_is_said_on_every_route(
    reader: httpx.AsyncClient, worker_session: Sessions, ticker: MakeTicker
) -> None:
    await keep(worker_session, ticker("binance", "100000", simulated=True))
    for path in ("price", "volume", "exchanges"):
        said = (await reader.get(f"/api/analytics/{path}")).json()
        assert said["simulated"] is True
    assert (
        "The price is simulated." in (await reader.get("/api/analytics/price")).json()["warnings"]
    )


async def test_exchanges_are_set_beside_each_other(
    reader: httpx.AsyncClient, worker_session: Sessions, ticker: MakeTicker
) -> None:
    await keep(
        worker_session,
        ticker("binance", "100000"),
        ticker("bybit", "99900", age_s=400, failures=5, last_error="timed out"),
        ticker("deribit", None, failures=1, last_error="refused"),
        ticker("okx", "100200", failures=1),
    )
    said = (await reader.get("/api/analytics/exchanges")).json()
    assert (said["highest"], said["lowest"]) == ("okx", "binance")
    assert (said["difference_usd"], said["difference_percent"]) == ("200.000000", "0.2000")
    statuses = [(row["venue"], row["status"]) for row in said["exchanges"]]
    assert statuses == [
        ("binance", "ok"),
        ("bybit", "stale"),
        ("deribit", "silent"),
        ("okx", "failing"),
    ]
    first = said["exchanges"][0]
    assert (first["spread_percent"], first["difference_percent"]) == ("0.002000", "-0.0999")
    assert said["exchanges"][2]["last_error"] == "refused"


async def test_quotes_of_the_callers_own_are_aggregated(reader: httpx.AsyncClient) -> None:
    body = {
        "quotes": [
            {"venue": "a", "price": "100000", "volume": "3"},
            {"venue": "b", "price": 100400, "volume": 1},
            {"venue": "c", "price": "50000", "volume": 100},
        ]
    }
    answer = await reader.post(AGGREGATE, json=body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    # the median of all is 100000: c is 50 % off it
    assert said["median_usd"] == "100200.000000"
    assert said["vwap_usd"] == "100100.000000"
    assert [one["venue"] for one in said["dropped"]] == ["c"]
    assert said["venues_used"] == ["a", "b"]


async def test_stale_quotes_are_dropped_and_all_stale_is_422(reader: httpx.AsyncClient) -> None:
    old = {"venue": "a", "price": 100, "volume": 1, "at": "2020-01-01T00:00:00Z"}
    one = await reader.post(AGGREGATE, json={"quotes": [old, {"venue": "b", "price": 101}]})
    assert (one.json()["median_usd"], one.json()["vwap_usd"]) == ("101.000000", None)
    answer = await reader.post(AGGREGATE, json={"quotes": [old]})
    assert (answer.status_code, answer.json()["field"]) == (422, "quotes")


@pytest.mark.parametrize(
    "quotes",
    [
        [],
        [{"venue": "a", "price": 0}],
        [{"venue": "a", "price": -1}],
        [{"venue": "a", "price": "NaN"}],
        [{"venue": "a", "price": "Infinity"}],
        [{"venue": "a", "price": "1e400"}],
        [{"venue": "a", "price": 1, "volume": -1}],
        [{"venue": "a", "price": 1, "volume": "inf"}],
        [{"venue": "", "price": 1}],
        [{"price": 1}],
        [{"venue": "a", "price": 1}, {"venue": "a", "price": 2}],
        [{"venue": "a", "price": None}],
        [{"venue": "a", "price": 1, "volum": 1}],
        [{"venue": f"v{at}", "price": 1} for at in range(501)],
        {},
        None,
    ],
)
async def test_bad_quotes_are_422(reader: httpx.AsyncClient, quotes: Any) -> None:
    assert (await reader.post(AGGREGATE, json={"quotes": quotes})).status_code == 422
