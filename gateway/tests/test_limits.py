"""The rate limit: shared through Redis by lease, local without it."""

import asyncio
import socket
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from common.errors import TooManyRequests
from common.ids import new_id
from gateway import gcra
from gateway.front.limits import Limits, Quota
from gateway.gcra import LocalGcra, Policy, RedisAway

SLOW = Policy(rate_per_s=0.01, burst=40)


async def _admitted(limits: Limits, name: str, policy: Policy, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            await limits.admit(name, policy)
        except TooManyRequests:
            continue
        count += 1
    return count


async def test_a_burst_is_granted_and_no_more(runtime: Any) -> None:
    name = str(new_id())
    limits = Limits(runtime.redis, replicas=1)
    assert await _admitted(limits, name, SLOW, 60) == SLOW.burst
    with pytest.raises(TooManyRequests) as refused:
        await limits.admit(name, SLOW)
    assert 50 < int(refused.value.headers()["Retry-After"]) <= 100
    # Somebody else is not held up.
    await limits.admit(str(new_id()), SLOW)
    await limits.close()


async def test_two_gateways_share_one_allowance(runtime: Any) -> None:
    name = str(new_id())
    pair = [Limits(runtime.redis, replicas=2) for _ in range(2)]
    counts = await asyncio.gather(*(_admitted(one, name, SLOW, 60) for one in pair))
    # A lease in one gateway's hands is lost to the other, never given twice.
    assert SLOW.burst - 2 <= sum(counts) <= SLOW.burst
    for one in pair:
        await one.close()


async def test_many_at_once_share_one_question(runtime: Any) -> None:
    name = str(new_id())
    limits = Limits(runtime.redis, replicas=1)
    results = await asyncio.gather(
        *(limits.admit(name, SLOW) for _ in range(100)), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in results) == SLOW.burst
    await limits.close()


async def test_an_allowance_comes_back_with_time(runtime: Any) -> None:
    name = str(new_id())
    policy = Policy(rate_per_s=20, burst=2)
    limits = Limits(runtime.redis, replicas=1)
    assert await _admitted(limits, name, policy, 4) == 2
    await asyncio.sleep(0.12)
    assert await _admitted(limits, name, policy, 4) >= 1
    await limits.close()


async def test_a_try_can_be_given_back(runtime: Any) -> None:
    name = f"test:{new_id()}"
    policy = Policy(rate_per_s=0.01, burst=1)
    for _ in range(3):
        assert (await gcra.take(runtime.redis, name, policy, 1)).count == 1
        await gcra.give_back(runtime.redis, name, policy)
    assert (await gcra.take(runtime.redis, name, policy, 1)).count == 1
    assert (await gcra.take(runtime.redis, name, policy, 1)).count == 0


@pytest.fixture
def frozen_redis() -> Any:
    """A server that accepts and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield Redis(host="127.0.0.1", port=listener.getsockname()[1])


async def test_without_redis_each_gateway_grants_its_share(frozen_redis: Any) -> None:
    limits = Limits(frozen_redis, replicas=2)
    began = time.monotonic()
    assert await _admitted(limits, "x", SLOW, 60) == SLOW.burst // 2
    assert time.monotonic() - began < 2  # one time-out for all of them
    await limits.close()
    await frozen_redis.aclose()


async def test_redis_is_used_again_when_it_is_back(
    runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.front.limits._PROBE_S", 0.05)
    away = Redis(host="127.0.0.1", port=9)
    limits = Limits(away, replicas=2)
    name = str(new_id())
    assert await _admitted(limits, name, SLOW, 60) == SLOW.burst // 2
    away.connection_pool = runtime.redis.connection_pool  # it is back, at another place
    await asyncio.sleep(0.3)
    assert await _admitted(limits, name, SLOW, 60) == SLOW.burst
    await limits.close()


async def test_a_refused_connection_is_redis_away() -> None:
    redis = Redis(host="127.0.0.1", port=9)
    with pytest.raises(RedisAway):
        await gcra.take(redis, "x", SLOW, 1)
    await redis.aclose()


def test_the_local_rule_follows_the_clock() -> None:
    moment = 0.0
    local = LocalGcra(replicas=1, clock=lambda: moment)
    policy = Policy(rate_per_s=1, burst=3)
    assert [local.take("x", policy).count for _ in range(4)] == [1, 1, 1, 0]
    assert local.take("x", policy).retry_after_s == pytest.approx(1)
    moment = 1.0
    assert [local.take("x", policy).count for _ in range(2)] == [1, 0]


async def test_over_http_a_limit_is_a_problem(
    world: Any, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy(rate_per_s=0.01, burst=3)
    monkeypatch.setattr(world.front, "_user", Quota("user", policy))
    headers = operator.headers["Client"]
    answers = [await world.client.get("/api/hosting/echo", headers=headers) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].json()["code"] == "too_many_requests"
    assert int(answers[-1].headers["retry-after"]) >= 1
    # The fields of IETF draft 11: what is left, and when all of it is back.
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"user";q=3;w=300'}
    told = [answer.headers["ratelimit"] for answer in answers]
    assert told == [f'"user";r={left};t={(3 - left) * 100}' for left in (2, 1, 0, 0, 0)]


async def test_every_limited_answer_tells_what_is_left(world: Any, operator: Any) -> None:
    for path in ("/", "/api/openapi.json", "/api/calculator/miner-models", "/problems/x"):
        answer = await world.client.get(path)
        assert answer.headers["ratelimit-policy"].startswith('"address";q=10000;w=1')
    missing = await world.client.get("/api/organisations/x", headers=operator.headers["Owner"])
    assert missing.status_code == 422
    assert missing.headers["ratelimit"].startswith('"user";r=')
    # Before the caller is known nothing is counted.
    assert "ratelimit" not in (await world.client.get("/api/me")).headers


async def test_what_is_left_counts_the_other_leases(runtime: Any) -> None:
    name = str(new_id())
    limits = Limits(runtime.redis, replicas=1)
    left = [await limits.admit(name, SLOW) for _ in range(SLOW.burst)]
    assert left[0] == SLOW.burst - 1
    assert left[-1] == 0
    assert left == sorted(left, reverse=True)
    await limits.close()


async def test_what_is_left_without_redis(frozen_redis: Any) -> None:
    limits = Limits(frozen_redis, replicas=2)
    assert await limits.admit("x", SLOW) == SLOW.burst // 2 - 1
    await limits.close()
    await frozen_redis.aclose()
