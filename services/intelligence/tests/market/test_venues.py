"""Venues over HTTP, against the simulated ones: what they may say, and what comes of it."""

import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

import pytest

from common.clock import now
from intelligence.domain.candles import Cleaned, Interval, clean, holes, opening
from intelligence.market.exchanges import EXCHANGES, NAMES
from intelligence.market.venues import Venue, VenueFailed, open_venues
from simulation.upstreams import Fault, Upstreams

Opened: TypeAlias = Callable[..., AbstractAsyncContextManager[list[Venue]]]
H = Interval.HOUR


@pytest.fixture
async def venues(upstreams: Upstreams) -> AsyncGenerator[dict[str, Venue]]:
    urls = {name: upstreams.url(name) for name in NAMES}
    quick = [replace(exchange, timeout_s=1.0) for exchange in EXCHANGES]
    async with open_venues(urls, quick) as opened:
        yield {venue.exchange.name: venue for venue in opened}


async def hours(venue: Venue, back: int) -> Cleaned:
    since = opening(now(), H) - back * H.length
    return clean(await venue.bars(H, since, 100), H, now())


@pytest.mark.parametrize("name", sorted(NAMES))
async def test_a_venue_tells_price_and_candles_and_that_it_is_simulated(
    venues: dict[str, Venue], name: str
) -> None:
    venue = venues[name]
    told = await venue.ticker()
    assert told.simulated
    assert told.bid_usd is not None
    assert told.ask_usd is not None
    assert told.bid_usd <= told.price_usd <= told.ask_usd
    assert told.volume_btc_24h
    assert now() - told.at < timedelta(minutes=1)
    for interval in Interval:
        if interval in venue.exchange.lacks:
            continue
        since = opening(now(), interval) - 40 * interval.length
        cleaned = clean(await venue.bars(interval, since, 100), interval, now())
        assert len(cleaned.bars) in (39, 40)  # a bar may have closed meanwhile
        assert cleaned.bars[0].opened_at == since
        assert cleaned.bars[0].simulated
        assert not cleaned.rejected


async def test_one_client_serves_all_and_markets_are_loaded_once(
    venues: dict[str, Venue], upstreams: Upstreams
) -> None:
    for _ in range(3):
        await venues["binance"].ticker()
    assert upstreams.calls_of("binance", "/api/v3/exchangeInfo") == 1
    assert upstreams.calls["binance"] == 4


async def test_a_venue_without_a_url_is_not_asked(upstreams: Upstreams) -> None:
    async with open_venues({"okx": upstreams.url("okx"), "bybit": ""}) as opened:
        assert [venue.exchange.name for venue in opened] == ["okx"]


_NO_PRICE = (
    Fault.HTML,
    Fault.TRUNCATED,
    Fault.HUGE_NUMBER,
    Fault.NEGATIVE_PRICE,
    Fault.HUGE_BODY,
    Fault.STATUS_429,
    Fault.STATUS_500,
    Fault.SLOW,
    Fault.REFUSED,
    Fault.NAN,
    Fault.EMPTY,
)
_NO_CANDLES = (
    Fault.HTML,
    Fault.TRUNCATED,
    Fault.HUGE_BODY,
    Fault.STATUS_429,
    Fault.STATUS_500,
    Fault.REFUSED,
    Fault.EMPTY,
)


@pytest.mark.parametrize("name", sorted(NAMES))
async def test_no_hostile_answer_becomes_a_price(
    venues: dict[str, Venue], upstreams: Upstreams, name: str
) -> None:
    await venues[name].prepare()
    for fault in _NO_PRICE:
        upstreams.fault(name, fault)
        with pytest.raises(VenueFailed) as failed:
            await venues[name].ticker()
        assert str(failed.value), fault
        assert len(str(failed.value)) <= 200
    upstreams.fault(name, None)
    assert (await venues[name].ticker()).price_usd > 0


@pytest.mark.parametrize("name", sorted(NAMES))
async def test_no_hostile_answer_is_taken_for_no_candles(
    venues: dict[str, Venue], upstreams: Upstreams, name: str
) -> None:
    await venues[name].prepare()
    for fault in _NO_CANDLES:
        upstreams.fault(name, fault)
        with pytest.raises(VenueFailed):
            await hours(venues[name], 60)


@pytest.mark.parametrize("name", sorted(NAMES))
async def test_bars_that_cannot_be_are_rejected_whoever_says_them(
    venues: dict[str, Venue], upstreams: Upstreams, name: str
) -> None:
    upstreams.fault(name, Fault.NEGATIVE_PRICE)
    cleaned = await hours(venues[name], 60)
    assert cleaned.rejected["not_positive"] > 0
    upstreams.fault(name, Fault.FUTURE_CLOCK)
    cleaned = await hours(venues[name], 60)
    assert cleaned.rejected["future"] > 0
    assert all(bar.opened_at < now() for bar in cleaned.bars)


@pytest.mark.parametrize("name", ["binance", "okx", "bybit"])
@pytest.mark.parametrize("fault", [Fault.NAN, Fault.HUGE_NUMBER])
async def test_bars_of_no_number_are_rejected(
    venues: dict[str, Venue], upstreams: Upstreams, name: str, fault: Fault
) -> None:
    upstreams.fault(name, fault)
    cleaned = await hours(venues[name], 60)
    assert cleaned.rejected["not_a_number"] > 0
    assert cleaned.bars


async def test_a_clock_in_the_future_is_no_price(
    venues: dict[str, Venue], upstreams: Upstreams
) -> None:
    upstreams.fault("binance", Fault.FUTURE_CLOCK)
    with pytest.raises(VenueFailed, match="in the future"):
        await venues["binance"].ticker()


async def test_gaps_duplicates_and_disorder_are_seen_through(
    venues: dict[str, Venue], upstreams: Upstreams
) -> None:
    for fault in (Fault.DUPLICATES, Fault.DISORDER, Fault.GAP):
        upstreams.fault("okx", fault)
        cleaned = await hours(venues["okx"], 60)
        times = [bar.opened_at for bar in cleaned.bars]
        assert times == sorted(set(times))
        assert (cleaned.duplicates > 0) == (fault is Fault.DUPLICATES)
        assert bool(holes(times, H)) == (fault is Fault.GAP)


async def test_too_many_requests_say_when_to_come_back(
    venues: dict[str, Venue], upstreams: Upstreams
) -> None:
    upstreams.fault("bybit", Fault.STATUS_429)
    with pytest.raises(VenueFailed) as failed:
        await venues["bybit"].ticker()
    assert failed.value.retry_after_s is not None
    assert failed.value.retry_after_s > 0


async def test_markets_that_could_not_be_loaded_are_asked_for_again(
    venues: dict[str, Venue], upstreams: Upstreams
) -> None:
    for fault in (Fault.HTML, Fault.EMPTY, Fault.STATUS_500):
        upstreams.fault("okx", fault)
        with pytest.raises(VenueFailed):
            await venues["okx"].ticker()
    upstreams.fault("okx", None)
    assert (await venues["okx"].ticker()).price_usd > 0


def test_only_the_worker_that_leads_loads_ccxt() -> None:
    code = "import sys, intelligence.main; sys.exit('ccxt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
