"""A quote for the record every five minutes, once whoever looks."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from calculator.quotes.publishing import publish_if_due
from common.app import Service
from common.auth import PLATFORM_ORGANISATION
from common.runtime import Runtime
from simulation.upstreams import Fault

TYPE = "calculator.quote.published.v1"


async def test_a_quote_is_published_every_five_minutes(world: Any, published: Any) -> None:
    before = len(await published(TYPE, organisation_id=PLATFORM_ORGANISATION))
    assert await publish_if_due(world.runtime)
    world.clock.forward(299)
    assert not await publish_if_due(world.runtime)
    world.clock.forward(1)
    assert await publish_if_due(world.runtime)
    events = (await published(TYPE, organisation_id=PLATFORM_ORGANISATION))[before:]
    assert len(events) == 2
    assert {event["key"] for event in events} == {"BTC/USD"}
    assert events[1]["version"] == events[0]["version"] + 300


async def test_the_worker_asks_so_that_each_quote_is_new(world: Any, published: Any) -> None:
    for _ in range(3):
        await publish_if_due(world.runtime)
        world.clock.forward(300)
    events = await published(TYPE, organisation_id=PLATFORM_ORGANISATION)
    times = [event["data"]["at"] for event in events[-3:]]
    assert len(set(times)) == 3
    assert world.providers.calls["coingecko"] == 3


async def test_what_is_published_follows_from_its_own_figures(world: Any, published: Any) -> None:
    await publish_if_due(world.runtime)
    data = (await published(TYPE, organisation_id=PLATFORM_ORGANISATION))[-1]["data"]
    reward = Decimal(data["subsidy_btc"]) + Decimal(data["fees_btc_per_block"])
    btc = Decimal(10**12 * 86_400) * reward / (Decimal(data["difficulty"]) * 2**32)
    assert abs(Decimal(data["hashprice_btc_per_ths_day"]) - btc) < Decimal("1e-13")
    usd = btc * Decimal(data["price_usd"])
    assert abs(Decimal(data["hashprice_usd_per_ths_day"]) - usd) < Decimal("1e-8")
    assert (data["pair"], data["source"], data["simulated"]) == ("BTC/USD", "coingecko", True)
    assert (data["stale"], data["warnings"]) == (False, [])
    assert data["second_price_usd"] is not None


async def test_two_workers_publish_one_quote(world: Any) -> None:
    done = await asyncio.gather(*(publish_if_due(world.runtime) for _ in range(5)))
    assert sum(done) == 1


async def test_a_stale_quote_is_published_as_such(world: Any, published: Any) -> None:
    await publish_if_due(world.runtime)
    world.fault(Fault.REFUSED)
    world.clock.forward(3600)
    assert await publish_if_due(world.runtime)
    data = (await published(TYPE, organisation_id=PLATFORM_ORGANISATION))[-1]["data"]
    assert data["stale"] is True
    assert data["warnings"]


async def test_nothing_known_is_not_published(world: Any, published: Any) -> None:
    world.fault(Fault.HTML)
    before = len(await published(TYPE, organisation_id=PLATFORM_ORGANISATION))
    assert not await publish_if_due(world.runtime)
    assert len(await published(TYPE, organisation_id=PLATFORM_ORGANISATION)) == before


@pytest.mark.kafka
async def test_a_running_worker_publishes_quote_and_epochs_by_itself(
    service: Service, running_service: Any, extra_settings: dict[str, Any], empty: Any
) -> None:
    await empty()
    async with running_service(service, **extra_settings) as runtime, asyncio.timeout(60):
        while not await _all_sent(runtime):
            await asyncio.sleep(0.1)
    await empty()


async def _all_sent(runtime: Runtime) -> bool:
    """Whether a quote and told epochs were stored, and all events have left."""
    query = text(
        "SELECT EXISTS (SELECT FROM calculator.quote) "
        "AND EXISTS (SELECT FROM calculator.network_epoch WHERE source = 'mempool') "
        "AND NOT EXISTS (SELECT FROM calculator.outbox WHERE published_at IS NULL)"
    )
    async with runtime.worker_session() as session:
        return bool(await session.scalar(query))
