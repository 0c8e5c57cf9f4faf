"""The rate limit on the hot path: a lease of requests taken from Redis, spent in this process."""

import asyncio
import time
from math import ceil

from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.errors import TooManyRequests
from gateway import gcra
from gateway.front.answers import RawHeaders
from gateway.front.metrics import rate_limited
from gateway.gcra import LocalGcra, Policy

_LEASE_SHARE = 20
"""A lease is a twentieth of the burst, so that a gateway overspends by 5 % at most."""
_LEASE_S = 2.0
_PROBE_S = 1.0
_MAX_LEASES = 20_000


class Quota:
    """A policy as answers tell of it: the fields RateLimit-Policy and RateLimit (IETF draft 11).

    What is left of it is a floor: an allowance grows with time, and a lease is not asked again.
    """

    __slots__ = ("_burst", "_form", "_per_s", "_policy_field", "policy")

    def __init__(self, name: str, policy: Policy) -> None:
        self.policy = policy
        self._burst, self._per_s = policy.burst, policy.rate_per_s
        window_s = ceil(policy.burst / policy.rate_per_s)
        told = f'"{name}";q={policy.burst};w={window_s}'
        self._policy_field = (b"ratelimit-policy", told.encode())
        self._form = f'"{name}";r='.encode() + b"%d;t=%d"

    def fields(self, left: int) -> RawHeaders:
        """Return the headers of an answer after which `left` requests remain at once."""
        full_in_s = ceil((self._burst - left) / self._per_s)
        return [self._policy_field, (b"ratelimit", self._form % (left, full_in_s))]


class _Lease:
    __slots__ = ("beyond", "ends", "left", "refill", "retry_at")

    def __init__(self) -> None:
        self.left = 0
        self.beyond = 0
        """What Redis had left for further leases."""
        self.ends = 0.0
        self.retry_at = 0.0
        self.refill: asyncio.Task[None] | None = None


class Limits:
    """Answers "may this caller send one more?", nearly always without waiting."""

    def __init__(self, redis: Redis, replicas: int, *, prefix: str = "") -> None:
        self._redis = redis
        self._prefix = f"{prefix}gateway:limit:"
        self._leases: dict[str, _Lease] = {}
        self._local = LocalGcra(replicas)
        self._away = False
        self._probe: asyncio.Task[None] | None = None

    def spend(self, name: str, policy: Policy) -> int | None:
        """Spend one request of the lease at hand and return how many remain, if there is one."""
        lease = self._leases.get(name)
        if lease is None or lease.left <= 0 or lease.ends < time.monotonic():
            return None
        lease.left -= 1
        if lease.left <= _size(policy) // 4 and lease.refill is None and not self._away:
            lease.refill = asyncio.create_task(self._refill(name, policy, lease))
        return lease.left + lease.beyond

    async def admit(self, name: str, policy: Policy) -> int:
        """Spend one request and return how many remain, waiting for a lease if there is none.

        Raises:
            TooManyRequests: the caller's allowance is used up.
        """
        while (left := self.spend(name, policy)) is None:
            if self._away:
                return self._admit_locally(name, policy)
            lease = self._lease(name)
            wait = lease.retry_at - time.monotonic()
            if wait > 0:
                raise _refusal(policy, wait)
            if lease.refill is None:  # all who wait share one question to Redis
                lease.refill = asyncio.create_task(self._refill(name, policy, lease))
            await asyncio.shield(lease.refill)
        return left

    async def close(self) -> None:
        """Stop probing."""
        tasks = [lease.refill for lease in self._leases.values()] + [self._probe]
        pending = [task for task in tasks if task is not None]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _admit_locally(self, name: str, policy: Policy) -> int:
        grant = self._local.take(name, policy)
        if grant.count == 0:
            raise _refusal(policy, grant.retry_after_s)
        return grant.left

    def _lease(self, name: str) -> _Lease:
        lease = self._leases.get(name)
        if lease is None:
            if len(self._leases) > _MAX_LEASES:
                self._drop_old()
            lease = self._leases[name] = _Lease()
        return lease

    def _drop_old(self) -> None:
        now = time.monotonic()
        for name, lease in list(self._leases.items()):
            if lease.ends < now and lease.refill is None:
                del self._leases[name]

    async def _refill(self, name: str, policy: Policy, lease: _Lease) -> None:
        try:
            grant = await gcra.take(self._redis, self._prefix + name, policy, _size(policy))
        except gcra.RedisAway:
            self._fall_back()
        else:
            now = time.monotonic()
            if lease.ends < now:
                lease.left = 0
            lease.left += grant.count
            lease.beyond = grant.left
            lease.ends = now + _LEASE_S
            lease.retry_at = now + grant.retry_after_s if grant.count == 0 else 0.0
        finally:
            lease.refill = None

    def _fall_back(self) -> None:
        self._away = True
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._wait_for_redis())

    async def _wait_for_redis(self) -> None:
        while self._away:
            await asyncio.sleep(_PROBE_S)
            try:
                async with asyncio.timeout(_PROBE_S):
                    await self._redis.ping()  # pyright: ignore[reportUnknownMemberType]
            except (TimeoutError, OSError, RedisError):
                continue
            self._away = False


def _size(policy: Policy) -> int:
    return max(1, min(100, policy.burst // _LEASE_SHARE))


def _refusal(policy: Policy, wait_s: float) -> TooManyRequests:
    rate_limited.inc()
    return TooManyRequests(
        f"At most {policy.rate_per_s:g} requests per second, {policy.burst} at once.",
        retry_after_s=wait_s,
    )
