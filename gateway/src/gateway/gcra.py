"""The generic cell rate algorithm: one number per name says when its next request conforms.

Redis holds the truth, for all gateways; the same arithmetic in this process is the stand-in.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

_SCRIPT = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local interval, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local free = tonumber(redis.call('GET', KEYS[1]) or now)
if free < now then free = now end
local grant = math.min(want, math.floor((burst * interval - (free - now)) / interval))
if grant <= 0 then
    return {0, free + interval - burst * interval - now, 0}
end
free = free + grant * interval
redis.call('SET', KEYS[1], string.format('%.0f', free), 'PX', math.ceil((free - now) / 1000) + 1000)
return {grant, 0, math.floor((burst * interval - (free - now)) / interval)}
"""
_GIVE_BACK = """
local free = tonumber(redis.call('GET', KEYS[1]) or 0)
if free > 0 then
    redis.call('SET', KEYS[1], string.format('%.0f', free - tonumber(ARGV[1])), 'KEEPTTL')
end
return 0
"""
_TIMEOUT_S = 0.2
_MAX_LOCAL_NAMES = 20_000
_ROUNDING = 1e-6
"""So that 19 whole requests, computed in floats, are not 18."""


@dataclass(frozen=True, slots=True)
class Policy:
    """So many per second on average, so many at once."""

    rate_per_s: float
    burst: int

    @property
    def interval_us(self) -> int:
        """Microseconds that one request uses up."""
        return max(1, round(1_000_000 / self.rate_per_s))


@dataclass(frozen=True, slots=True)
class Grant:
    """How many requests may pass, or after how long to try again."""

    count: int
    retry_after_s: float
    left: int
    """How many more could have passed."""


class RedisAway(Exception):
    """Redis did not answer in time."""


async def take(redis: Redis, name: str, policy: Policy, want: int) -> Grant:
    """Take up to `want` requests from the shared allowance of `name`.

    Raises:
        RedisAway: nothing was decided.
    """
    arguments = (policy.interval_us, policy.burst, want)
    count, wait_us, left = await _run(redis, _SCRIPT, name, *arguments)
    return Grant(int(count), int(wait_us) / 1_000_000, int(left))


async def give_back(redis: Redis, name: str, policy: Policy) -> None:
    """Return one request to the allowance of `name`."""
    await _run(redis, _GIVE_BACK, name, policy.interval_us)


async def _run(redis: Redis, script: str, name: str, *arguments: int) -> Any:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await cast("Any", redis.eval(script, 1, name, *arguments))
    except (TimeoutError, OSError, RedisError) as error:
        raise RedisAway(str(error)) from error


class LocalGcra:
    """The same rule inside one process, for its share of the allowance."""

    def __init__(self, replicas: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._replicas = replicas
        self._clock = clock
        self._free: dict[str, float] = {}

    def take(self, name: str, policy: Policy) -> Grant:
        """Take one request."""
        if len(self._free) > _MAX_LOCAL_NAMES:
            self._free.clear()
        now = self._clock()
        interval = self._replicas / policy.rate_per_s
        tolerance = max(1.0, policy.burst / self._replicas) * interval
        free = max(now, self._free.get(name, now))
        wait = free + interval - tolerance - now
        if wait > 0:
            return Grant(0, wait, 0)
        self._free[name] = free + interval
        left = (now + tolerance - self._free[name]) / interval
        return Grant(1, 0.0, int(left + _ROUNDING))
