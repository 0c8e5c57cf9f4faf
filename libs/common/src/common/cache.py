"""A read-through cache on Redis: single flight, stale while it is revalidated, never required.

An entry belongs to one organisation. When Redis is away the source is asked each time.

What is dropped stays dropped: an organisation has a mark, which `drop` renews, and an entry counts
only under the mark that stood before its load began. A load that saw the state before a change may
so end after it without bringing the old state back.
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

from common.ids import new_id

log = get_logger()
reads = Counter("cache_reads_total", "Reads of the cache", ("name", "result"))
_LOCK_S = 10
_WAIT_S = 0.02
_MARK_S = 86_400
"""Longer than any entry lives."""
_PAUSE_S = 1
"""So long nobody waits for a Redis that has just failed."""


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
        self._flights: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._undropped: set[UUID] = set()
        self._away_until = 0.0

    def _key(self, organisation_id: UUID, key: str) -> str:
        return f"cache:{self._name}:{organisation_id}:{key}"

    async def get(self, organisation_id: UUID, key: str, load: Callable[[], Awaitable[Any]]) -> Any:
        """Return the value (anything JSON can hold); `load` asks the source."""
        place = self._key(organisation_id, key)
        if time.monotonic() < self._away_until:
            reads.labels(self._name, "bypass").inc()
            return await load()
        try:
            if organisation_id in self._undropped:
                await self._renew_mark(organisation_id)
            found: list[bytes | None] = await self._redis.mget(self._mark(organisation_id), place)
        except (RedisError, OSError):
            self._away_until = time.monotonic() + _PAUSE_S
            reads.labels(self._name, "bypass").inc()
            return await load()
        mark = (found[0] or b"").decode()
        entry = _entry(found[1], mark)
        if entry is None:
            reads.labels(self._name, "miss").inc()
            return await self._fly(place, mark, load)
        fresh = time.time() < entry["until"]
        reads.labels(self._name, "hit" if fresh else "stale").inc()
        if not fresh:
            self._start(place, mark, load)  # somebody renews it; this caller does not wait
        return entry["value"]

    async def drop(self, organisation_id: UUID) -> None:
        """Forget an organisation's entries: what they were made from has changed.

        Where Redis cannot be told, this process does without the entries until it can be.
        """
        self._undropped.add(organisation_id)
        if time.monotonic() < self._away_until:
            return
        try:
            for one in list(self._undropped):  # and those that it could not be told of before
                await self._renew_mark(one)
        except (RedisError, OSError):
            self._away_until = time.monotonic() + _PAUSE_S

    async def settle(self) -> None:
        """End the loads that are under way; the process is about to let its connections go."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _mark(self, organisation_id: UUID) -> str:
        return f"cache-mark:{self._name}:{organisation_id}"

    async def _renew_mark(self, organisation_id: UUID) -> None:
        await self._redis.set(self._mark(organisation_id), str(new_id()), ex=_MARK_S)
        self._undropped.discard(organisation_id)

    async def _fly(self, place: str, mark: str, load: Callable[[], Awaitable[Any]]) -> Any:
        return await asyncio.shield(self._start(place, mark, load))

    def _start(
        self, place: str, mark: str, load: Callable[[], Awaitable[Any]]
    ) -> asyncio.Task[Any]:
        """Join the load that is under way in this process since the last drop, or begin one."""
        flight = self._flights.get((place, mark))
        if flight is None:
            flight = asyncio.create_task(self._load(place, mark, load))
            self._flights[place, mark] = flight
            flight.add_done_callback(lambda done: self._landed(place, mark, done))
        return flight

    def _landed(self, place: str, mark: str, done: "asyncio.Task[Any]") -> None:
        self._flights.pop((place, mark), None)
        if not done.cancelled() and (error := done.exception()) is not None:
            log.info("cache.load_failed", name=self._name, error=repr(error)[:200])

    async def _load(self, place: str, mark: str, load: Callable[[], Awaitable[Any]]) -> Any:
        lock = f"{place}:{mark}:lock"
        mine = await self._acquire(lock)
        if not mine:
            with suppress(RedisError, OSError, TimeoutError):
                return await self._await_other(place, mark, lock)
        try:
            if mine and (landed := await self._fresh(place, mark)) is not None:
                return landed["value"]  # another process's flight ended between look and lock
            value = await load()
            with suppress(RedisError, OSError):
                entry = {"value": value, "until": time.time() + self._fresh_s, "mark": mark}
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

    async def _await_other(self, place: str, mark: str, lock: str) -> Any:
        """Wait for the value that another process is loading."""
        async with asyncio.timeout(_LOCK_S):
            while True:
                under_way = await self._redis.exists(lock)  # asked first: it stores, then unlocks
                entry = await self._fresh(place, mark)
                if entry is not None:
                    return entry["value"]
                if not under_way:
                    raise TimeoutError
                await asyncio.sleep(_WAIT_S)

    async def _fresh(self, place: str, mark: str) -> dict[str, Any] | None:
        """Return the stored entry, if there is one that needs no renewal."""
        try:
            entry = _entry(await self._redis.get(place), mark)
        except (RedisError, OSError):
            return None
        return entry if entry is not None and time.time() < entry["until"] else None


def _entry(raw: bytes | None, mark: str) -> dict[str, Any] | None:
    entry: dict[str, Any] | None = None if raw is None else orjson.loads(raw)
    return entry if entry is not None and entry["mark"] == mark else None
