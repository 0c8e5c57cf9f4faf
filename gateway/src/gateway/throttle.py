"""How often somebody may try a password: counted by address and mailbox, never telling which.

Codes of a second factor are counted by person: who may try them knows the password.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Self
from uuid import UUID

from redis.asyncio import Redis

from common.errors import TooManyRequests, Unavailable
from common.runtime import Runtime
from gateway import gcra
from gateway.gcra import Policy, RedisAway
from gateway.security import Security

_SPREAD = 10
"""A mailbox may be tried this many times more from many addresses than from one."""


@dataclass(frozen=True, slots=True)
class _Count:
    name: str
    policy: Policy


class Throttle:
    """Failures use up an allowance; a success gives its try back.

    The count per mailbox alone is loose, so that a stranger cannot lock a person out; the count
    per mailbox and address is tight. While Redis is away nobody logs in: guessing would be free.
    """

    def __init__(self, security: Security, redis: Redis, prefix: str) -> None:
        self._security = security
        self._redis = redis
        self._prefix = f"{prefix}gateway:login:"

    @classmethod
    def of(cls, security: Security, runtime: Runtime) -> Self:
        """Return the throttle of this gateway."""
        return cls(security, runtime.redis, runtime.settings.kafka_topic_prefix)

    async def begin(self, email: str, address: str) -> None:
        """Count a try.

        Raises:
            TooManyRequests: too many tries failed lately.
            Unavailable: Redis is away.
        """
        for count in self._counts(email, address):
            await self._take(count)

    async def succeeded(self, email: str, address: str) -> None:
        """Give a try back: the password was right."""
        for count in self._counts(email, address):
            await self._give_back(count)

    @asynccontextmanager
    async def code_try(self, user_id: UUID) -> AsyncGenerator[None]:
        """Count a try of a code, and give it back if what is done with it succeeds.

        Raises:
            TooManyRequests: too many tries failed lately.
            Unavailable: Redis is away.
        """
        count = self._count(f"code {user_id}", self._security.settings.login_failures)
        await self._take(count)
        yield
        await self._give_back(count)

    async def _take(self, count: _Count) -> None:
        try:
            grant = await gcra.take(self._redis, count.name, count.policy, 1)
        except RedisAway as error:
            raise Unavailable("Nobody can log in just now; try again.", retry_after_s=2) from error
        if grant.count == 0:
            raise TooManyRequests(
                "Too many tries failed; wait before the next.", retry_after_s=grant.retry_after_s
            )

    async def _give_back(self, count: _Count) -> None:
        with suppress(RedisAway):
            await gcra.give_back(self._redis, count.name, count.policy)

    def _counts(self, email: str, address: str) -> list[_Count]:
        settings = self._security.settings
        network = network_of(address)
        return [
            self._count(f"address {network}", settings.login_failures_per_address),
            self._count(f"mailbox {email}", settings.login_failures * _SPREAD),
            self._count(f"both {network} {email}", settings.login_failures),
        ]

    def _count(self, name: str, failures: int) -> _Count:
        digest = self._security.mac("throttle", name).hex()[:32]
        rate = failures / self._security.settings.login_window_s
        return _Count(self._prefix + digest, Policy(rate, failures))


def network_of(address: str) -> str:
    """Return what an address counts as: itself, or the subscriber's part of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.exploded)[:19]  # the first 64 bits: one subscriber
    return address
