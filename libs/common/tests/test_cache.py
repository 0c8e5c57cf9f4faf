"""The cache: one load for many callers, stale while renewed, never required."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.cache import Cache
from common.ids import new_id
from common.runtime import Runtime


class Source:
    def __init__(self) -> None:
        self.calls = 0

    async def load(self) -> Any:
        self.calls += 1
        await asyncio.sleep(0.05)
        return {"call": self.calls}


@pytest.fixture
def cache(runtime: Runtime) -> Cache:
    return Cache(runtime.redis, str(new_id()), fresh_s=0.3, stale_s=60)


@pytest.fixture
async def without_redis() -> AsyncGenerator[Cache]:
    redis: Redis = Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    yield Cache(redis, "away", fresh_s=60)
    await redis.aclose()


async def test_a_hundred_callers_are_one_call(cache: Cache) -> None:
    source, organisation = Source(), new_id()
    answers = await asyncio.gather(*(cache.get(organisation, "k", source.load) for _ in range(100)))
    assert source.calls == 1
    assert answers == [{"call": 1}] * 100


async def test_two_processes_share_a_flight(runtime: Runtime) -> None:
    source, organisation, name = Source(), new_id(), str(new_id())
    caches = [Cache(runtime.redis, name, fresh_s=60) for _ in range(2)]
    await asyncio.gather(*(cache.get(organisation, "k", source.load) for cache in caches))
    assert source.calls == 1


async def test_a_flight_that_ended_before_the_lock_was_free_is_shared_too(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process has looked before the first one stored, and locks after it unlocked."""
    source, organisation, name = Source(), new_id(), str(new_id())
    first, second = (Cache(runtime.redis, name, fresh_s=60) for _ in range(2))
    take = runtime.redis.set

    async def takes_later(*arguments: Any, **options: Any) -> Any:
        if options.get("nx"):
            monkeypatch.setattr(runtime.redis, "set", take)
            await first.get(organisation, "k", source.load)
        return await take(*arguments, **options)

    monkeypatch.setattr(runtime.redis, "set", takes_later)
    assert await second.get(organisation, "k", source.load) == {"call": 1}
    assert source.calls == 1


async def test_stale_is_served_while_it_is_renewed(cache: Cache) -> None:
    source, organisation = Source(), new_id()
    await cache.get(organisation, "k", source.load)
    await asyncio.sleep(0.35)
    assert await cache.get(organisation, "k", source.load) == {"call": 1}
    await asyncio.sleep(0.15)
    assert await cache.get(organisation, "k", source.load) == {"call": 2}


async def test_organisations_do_not_share(cache: Cache) -> None:
    source = Source()
    await cache.get(new_id(), "k", source.load)
    await cache.get(new_id(), "k", source.load)
    assert source.calls == 2


async def test_a_dropped_entry_is_loaded_again(cache: Cache) -> None:
    source, organisation = Source(), new_id()
    await cache.get(organisation, "k", source.load)
    await cache.drop(organisation)
    assert await cache.get(organisation, "k", source.load) == {"call": 2}


async def test_a_load_that_began_before_the_drop_does_not_bring_the_old_state_back(
    runtime: Runtime,
) -> None:
    state = {"now": "old"}

    async def load() -> Any:
        seen = state["now"]
        await asyncio.sleep(0.1)
        return seen

    organisation, name = new_id(), str(new_id())
    here, there = (Cache(runtime.redis, name, fresh_s=60) for _ in range(2))
    early = asyncio.create_task(here.get(organisation, "k", load))
    await asyncio.sleep(0.05)
    state["now"] = "new"
    await there.drop(organisation)
    # Neither the flight under way nor what it leaves behind is taken for the present state.
    assert await here.get(organisation, "k", load) == "new"
    assert await early == "old"
    assert await there.get(organisation, "k", load) == "new"


async def test_what_redis_could_not_be_told_is_not_read_from_it_later(runtime: Runtime) -> None:
    source, organisation, name = Source(), new_id(), str(new_id())
    cache = Cache(runtime.redis, name, fresh_s=60)
    await cache.get(organisation, "k", source.load)
    away: Redis = Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    cache._redis = away  # pyright: ignore[reportPrivateUsage]  (Redis goes away)
    await cache.drop(organisation)
    assert await cache.get(organisation, "k", source.load) == {"call": 2}
    cache._redis = runtime.redis  # pyright: ignore[reportPrivateUsage]  (and comes back)
    await asyncio.sleep(1.1)  # it is not asked again at once
    assert await cache.get(organisation, "k", source.load) == {"call": 3}
    assert await cache.get(organisation, "k", source.load) == {"call": 3}
    await away.aclose()


async def test_without_redis_the_source_is_asked(without_redis: Cache) -> None:
    source, organisation = Source(), new_id()
    assert await without_redis.get(organisation, "k", source.load) == {"call": 1}
    assert await without_redis.get(organisation, "k", source.load) == {"call": 2}


async def test_a_failed_load_is_the_callers_and_is_not_kept(cache: Cache) -> None:
    async def fail() -> Any:
        raise LookupError

    organisation, source = new_id(), Source()
    with pytest.raises(LookupError):
        await cache.get(organisation, "k", fail)
    assert await cache.get(organisation, "k", source.load) == {"call": 1}
