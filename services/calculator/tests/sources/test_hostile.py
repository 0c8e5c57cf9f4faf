"""Answers that are no answers: each is refused, the next party's counts, and nothing breaks."""

import time
from dataclasses import replace
from typing import Any

import pytest

from calculator.quotes.current import MarketUnknown, current_market
from calculator.sources import parties
from simulation.upstreams import Fault

HOSTILE = (
    Fault.HTML,
    Fault.TRUNCATED,
    Fault.HUGE_NUMBER,
    Fault.NEGATIVE_PRICE,
    Fault.NAN,
    Fault.FUTURE_CLOCK,
    Fault.HUGE_BODY,
    Fault.EMPTY,
    Fault.STATUS_429,
    Fault.STATUS_500,
    Fault.REFUSED,
    Fault.SLOW,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = replace(parties.PATIENCE, timeout_s=1)
    monkeypatch.setattr(parties, "PATIENCE", impatient)


@pytest.mark.parametrize("fault", HOSTILE)
async def test_a_hostile_first_pair_gives_way_to_the_second(world: Any, fault: Fault) -> None:
    world.fault(fault, "coingecko", "blockchain")
    market = await current_market(world.runtime)
    assert market.price_usd.source == "mempool"
    assert market.difficulty.source == "ankr"
    assert 1_000 < market.price_usd.value < 10_000_000
    assert not market.price_usd.stale


@pytest.mark.parametrize("fault", HOSTILE)
async def test_a_hostile_second_pair_changes_nothing(world: Any, fault: Fault) -> None:
    world.fault(fault, "mempool", "ankr")
    market = await current_market(world.runtime)
    assert market.price_usd.source == "coingecko"
    assert market.difficulty.source == "blockchain"
    assert market.second_price_usd is None
    assert market.height is not None


@pytest.mark.parametrize("fault", [Fault.HTML, Fault.HUGE_NUMBER, Fault.NEGATIVE_PRICE])
async def test_hostile_from_all_sides_is_nothing_known(world: Any, fault: Fault) -> None:
    world.fault(fault)
    with pytest.raises(MarketUnknown):
        await current_market(world.runtime)


async def test_26_megabytes_are_not_read_to_the_end(world: Any) -> None:
    world.fault(Fault.HUGE_BODY)
    began = time.perf_counter()
    with pytest.raises(MarketUnknown):
        await current_market(world.runtime)
    assert time.perf_counter() - began < 30


async def test_a_party_that_fails_three_times_is_left_alone(world: Any) -> None:
    world.fault(Fault.HTML)
    for asked in (1, 2, 3, 3, 3, 3, 4):  # every 16 s, then a pause of a minute
        with pytest.raises(MarketUnknown):
            await current_market(world.runtime)
        assert world.providers.calls["coingecko"] == asked
        world.clock.forward(16)


async def test_a_party_that_names_a_pause_gets_it(world: Any) -> None:
    world.fault(Fault.STATUS_429)
    for asked in (1, 1, 2, 2, 3):  # every 16 s, with a pause of 30 s
        with pytest.raises(MarketUnknown):
            await current_market(world.runtime)
        assert world.providers.calls["coingecko"] == asked
        world.clock.forward(16)


async def test_a_broken_connection_is_tried_once_more_and_nonsense_is_not(world: Any) -> None:
    world.fault(Fault.REFUSED, "coingecko")
    world.fault(Fault.HTML, "blockchain")
    await current_market(world.runtime)
    assert world.providers.calls["coingecko"] == 2
    assert world.providers.calls["blockchain"] == 1
