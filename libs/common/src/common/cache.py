"""A read-through cache on Redis: single flight, stale while it is revalidated, never required.

An entry belongs to one organisation. When Redis is away the source is asked each time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog import get_logger

log = get_logger()
reads = Counter("cache_reads_total", "Reads of the cache", ("name", "result"))
_LOCK_S = 10
_WAIT_S = 0.02


class Cache:
    """One named cache.

    `fresh_s`: how long an entry is served without a question; `stale_s`: how much longer it is
    served while one caller renews it.
    """

    def __init__(self, redis: Redis, name: str, *, fresh_s: float, stale_s: float = 0) -> None:
        self._redis: Any = redis  # its commands are typed as sync-or-async unions
        self._name = name
        self._fresh_s = fresh_s
        self._stale_s = stale_s
        self._flights: dict[str, asyncio.Task[Any]] = {}

    def _key(self, organisation_id: UUID, key: str) -> str:
        return f"cache:{self._name}:{organisation_id}:{key}"

    async def get(self, organisation_id: UUID, key: str, load: Callable[[], Awaitable[Any]]) -> Any:
        """Return the value (anything JSON can hold); `load` asks the source."""
        place = self._key(organisation_id, key)
        try:
            raw: bytes | None = await self._redis.get(place)
        except (RedisError, OSError):
            reads.labels(self._name, "bypass").inc()
            return await self._fly(place, load)
        if raw is not None:
            entry = orjson.loads(raw)
            fresh = time.time() < entry["until"]
            reads.labels(self._name, "hit" if fresh else "stale").inc()
            if not fresh:
                self._start(place, load)  # somebody renews it; this caller does not wait
            return entry["value"]
        reads.labels(self._name, "miss").inc()
        return await self._fly(place, load)

    async def drop(self, organisation_id: UUID, key: str) -> None:
        """Forget an entry: what it was made from has changed."""
        with suppress(RedisError, OSError):
            await self._redis.delete(self._key(organisation_id, key))

    async def _fly(self, place: str, load: Callable[[], Awaitable[Any]]) -> Any:
        return await asyncio.shield(self._start(place, load))

    def _start(self, place: str, load: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any]:
        """Join the load that is under way in this process, or begin one."""
        flight = self._flights.get(place)
        if flight is None:
            flight = asyncio.create_task(self._load(place, load))
            self._flights[place] = flight
            flight.add_done_callback(lambda done: self._landed(place, done))
        return flight

    def _landed(self, place: str, done: "asyncio.Task[Any]") -> None:
        self._flights.pop(place, None)
        if not done.cancelled() and (error := done.exception()) is not None:
            log.info("cache.load_failed", name=self._name, error=repr(error)[:200])

    async def _load(self, place: str, load: Callable[[], Awaitable[Any]]) -> Any:
        lock = f"{place}:lock"
        mine = await self._acquire(lock)
        if not mine:
            with suppress(RedisError, OSError, TimeoutError):
                return await self._await_other(place, lock)
        try:
            value = await load()
            with suppress(RedisError, OSError):
                entry = {"value": value, "until": time.time() + self._fresh_s}
                ttl_ms = round((self._fresh_s + self._stale_s) * 1000)
                await self._redis.set(place, orjson.dumps(entry, default=str), px=ttl_ms)
            return value
        finally:
            if mine:
                with suppress(RedisError, OSError):
                    await self._redis.delete(lock)

    async def _acquire(self, lock: str) -> bool:
        """Take the flight for all processes; without Redis each process flies alone."""
        try:
            return bool(await self._redis.set(lock, b"1", nx=True, ex=_LOCK_S))
        except (RedisError, OSError):
            return True

    async def _await_other(self, place: str, lock: str) -> Any:
        """Wait for the value that another process is loading."""
        async with asyncio.timeout(_LOCK_S):
            while True:
                raw: bytes | None = await self._redis.get(place)
                if raw is not None and time.time() < (entry := orjson.loads(raw))["until"]:
                    return entry["value"]
                if not await self._redis.exists(lock):
                    raise TimeoutError
                await asyncio.sleep(_WAIT_S)
