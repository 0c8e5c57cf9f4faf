"""When the market is asked for, by how many, and what is served when nobody answers."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from calculator.quotes.current import MarketUnknown, current_market
from common.auth import PLATFORM_ORGANISATION
from simulation.upstreams import Fault

PRICE = ("coingecko", "/api/v3/simple/price")
STATS = ("blockchain", "/stats")


async def test_a_hundred_waiters_are_one_call(world: Any) -> None:
    markets = await asyncio.gather(*(current_market(world.runtime) for _ in range(100)))
    assert len({market.price_usd for market in markets}) == 1
    assert world.providers.calls == {"coingecko": 1, "blockchain": 1, "mempool": 4, "ankr": 2}
    assert world.providers.calls_of(*PRICE) == 1
    assert world.providers.calls_of(*STATS) == 1


async def test_price_is_asked_again_after_300_s_and_difficulty_after_900_s(world: Any) -> None:
    await current_market(world.runtime)
    for seconds, prices, difficulties in (
        (299, 1, 1), (2, 2, 1), (298, 2, 1), (3, 3, 1), (297, 3, 1), (3, 4, 2),
    ):  # fmt: skip
        world.clock.forward(seconds)
        await current_market(world.runtime)
        await world.until(lambda: world.providers.calls_of(*PRICE) >= prices)  # noqa: B023
        await world.until(lambda: world.providers.calls_of(*STATS) >= difficulties)  # noqa: B023
        await asyncio.sleep(0.05)
        assert world.providers.calls_of(*PRICE) == prices
        assert world.providers.calls_of(*STATS) == difficulties


async def test_the_old_answer_is_served_while_it_is_renewed(world: Any) -> None:
    first = await current_market(world.runtime)
    world.clock.forward(301)
    served = await current_market(world.runtime)
    assert served.price_usd == first.price_usd
    await world.until(lambda: world.providers.calls_of(*PRICE) == 2)
    await asyncio.sleep(0.1)
    world.clock.forward(2)
    renewed = await current_market(world.runtime)
    assert renewed.price_usd.at > first.price_usd.at
    assert not renewed.price_usd.stale


async def test_with_all_providers_down_the_last_figures_are_served_as_stale(world: Any) -> None:
    first = await current_market(world.runtime)
    world.fault(Fault.REFUSED)
    world.clock.forward(3600)
    later = await current_market(world.runtime)
    assert later.price_usd.value == first.price_usd.value
    assert later.price_usd.stale
    assert later.difficulty.stale
    assert later.price_usd.age_s(world.clock()) >= 3600
    assert any("old" in warning for warning in later.warnings)


async def test_the_last_figures_survive_restart_and_the_loss_of_redis(world: Any) -> None:
    first = await current_market(world.runtime)
    world.fault(Fault.STATUS_500)
    world.clock.forward(7200)
    await world.runtime.redis.flushdb()
    world.restart()
    later = await current_market(world.runtime)
    assert later.price_usd.value == first.price_usd.value
    assert later.price_usd.stale


async def test_nothing_known_at_all_is_503_with_retry_after(world: Any, client: Any) -> None:
    world.fault(Fault.REFUSED)
    with pytest.raises(MarketUnknown):
        await current_market(world.runtime)
    answer = await client.get("/api/calculator/network")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["code"] == "market_unknown"
    assert answer.json()["missing"] == ["price_usd", "difficulty"]


async def test_providers_that_come_back_are_asked_again(world: Any) -> None:
    world.fault(Fault.REFUSED)
    with pytest.raises(MarketUnknown):
        await current_market(world.runtime)
    world.fault(None)
    with pytest.raises(MarketUnknown):
        await current_market(world.runtime)  # nobody is asked for a quarter of a minute
    world.clock.forward(75)
    assert not (await current_market(world.runtime)).price_usd.stale


async def test_providers_that_differ_are_200_with_a_warning(world: Any, client: Any) -> None:
    world.fault(Fault.OFF_BY_HALF, "mempool")
    answer = await client.get("/api/calculator/network")
    assert answer.status_code == 200
    assert any("coingecko" in one and "mempool" in one for one in answer.json()["warnings"])


async def test_without_the_first_pair_the_second_is_served(world: Any) -> None:
    world.fault(Fault.REFUSED, "coingecko", "blockchain")
    market = await current_market(world.runtime)
    assert market.price_usd.source == "mempool"
    assert market.difficulty.source == "ankr"
    assert market.price_usd.simulated
    assert not market.price_usd.stale


async def test_a_source_without_an_address_is_switched_off(world: Any) -> None:
    world.restart(coingecko_url="", mempool_url="", ankr_url="")
    with pytest.raises(MarketUnknown):
        await current_market(world.runtime)
    assert set(world.providers.calls) == {"blockchain"}


async def test_without_redis_nobody_is_asked_more_often(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    away: Redis = Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(world.runtime, "redis", away)
    world.restart()
    await asyncio.gather(*(current_market(world.runtime) for _ in range(100)))
    for _ in range(5):
        world.clock.forward(5)
        await current_market(world.runtime)
    assert world.providers.calls_of(*PRICE) == 1
    await away.aclose()


async def test_the_exchanges_median_is_a_cross_check(world: Any, deliver: Any) -> None:
    world.fault(Fault.REFUSED, "mempool")
    await deliver(
        "intelligence.market-price.observed.v1",
        {"pair": "BTC/USD", "median_usd": "123456.78", "at": world.clock().isoformat()},
        organisation_id=PLATFORM_ORGANISATION,
    )
    market = await current_market(world.runtime)
    assert market.price_usd.source == "coingecko"
    assert market.second_price_usd is not None
    assert market.second_price_usd.value == Decimal("123456.78")
    assert "exchanges" in market.warnings[0]


@pytest.mark.parametrize(
    "event",
    [
        {"pair": "ETH/USD", "median_usd": "3000"},
        {"pair": "BTC/USD", "median_usd": "-3000"},
        {"pair": "BTC/USD", "median_usd": "1e400"},
        {"pair": "BTC/USD", "median_usd": "97000", "at": "2099-01-01T00:00:00Z"},
    ],
)
async def test_a_median_that_cannot_be_used_is_left_aside(
    world: Any, deliver: Any, event: dict[str, str]
) -> None:
    at = {"at": world.clock().isoformat()}
    await deliver(
        "intelligence.market-price.observed.v1", at | event, organisation_id=PLATFORM_ORGANISATION
    )
    market = await current_market(world.runtime)
    assert market.second_price_usd is not None
    assert market.second_price_usd.source == "mempool"


async def test_another_organisations_median_is_not_the_platforms(world: Any, deliver: Any) -> None:
    world.fault(Fault.REFUSED, "mempool")
    event = {"pair": "BTC/USD", "median_usd": "1", "at": world.clock().isoformat()}
    await deliver("intelligence.market-price.observed.v1", event)
    assert (await current_market(world.runtime)).second_price_usd is None
