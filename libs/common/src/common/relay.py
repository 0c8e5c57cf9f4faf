"""The relay: committed outbox rows become Kafka records, in order, at least once.

One process per service leads (a session-level advisory lock on its own connection). The leader
reads a window, sends it with no transaction open, then marks it, each on the connection that holds
the lock. A crash in
between repeats the window; the consumers' inbox removes the repeats. Rows are never skipped by
number: a lower id may commit later than a higher one.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from sqlalchemy import text
from structlog import get_logger

from common import metrics
from common.clock import now
from common.kafka import make_producer, prefixed
from common.postgres import Connection, connect
from common.runtime import Runtime

log = get_logger()
WINDOW = 1000
_POLL_S = 0.25
_LOCK = 7_201_312
_NO_TRACE: dict[str, str] = {}
_GIVE_UP = 5
"""Tries after which a row that the broker refuses is left to the operator (`last_error`)."""


class Relay:
    """Sends one service's outbox. Run one per process; the lock chooses who works."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._schema = runtime.name
        self._channel = f"{runtime.name}_outbox"
        self._wake = runtime.outbox_wake
        self._producer: Any = None
        self._source = f"/{runtime.name}".encode()
        outbox = f"{runtime.name}.outbox"
        self._pending = (
            "SELECT id, event_id, type, topic, key, organisation_id, version, data::text AS data, "  # noqa: S608
            f"headers::text AS headers, occurred_at FROM {outbox} "
            f"WHERE published_at IS NULL AND attempts < {_GIVE_UP} ORDER BY id LIMIT {WINDOW}"
        )
        self._mark_sent = (
            f"UPDATE {outbox} SET published_at = clock_timestamp() WHERE id = ANY($1::bigint[])"  # noqa: S608
        )
        self._mark_refused = (
            f"UPDATE {outbox} SET attempts = attempts + 1, last_error = $2 WHERE id = $1"  # noqa: S608
        )

    async def run(self) -> None:
        """Lead when the lock is free, else pass wake-ups on to the leader. Never returns."""
        dsn = self._runtime.settings.worker_database_url.get_secret_value()
        connection = await connect(dsn, application_name=f"{self._schema}-relay")
        lost = asyncio.Event()
        connection.add_termination_listener(lambda *_: (lost.set(), self._wake.set()))
        try:
            await self._follow(connection, lost)
            await self._lead(connection, lost)
        finally:
            metrics.relay_leader.set(0)
            await self._drop_producer()
            with suppress(Exception):
                await connection.close(timeout=2)

    async def _follow(self, connection: Connection, lost: asyncio.Event) -> None:
        """Wait for the leader's lock; meanwhile tell the leader of commits in this process."""
        query = "SELECT pg_try_advisory_lock($1, hashtext($2))"
        while not await connection.fetchval(query, _LOCK, self._schema):
            with suppress(TimeoutError):
                await _within(1, self._wake.wait())
                self._wake.clear()
                await connection.execute(f"NOTIFY {self._channel}")
                await asyncio.sleep(0.005)  # one wake-up for all commits of 5 ms
            _raise_if(lost)

    async def _lead(self, connection: Connection, lost: asyncio.Event) -> None:
        await connection.add_listener(self._channel, self._on_notify)
        metrics.relay_leader.set(1)
        log.info("relay.leading")
        while True:
            _raise_if(lost)
            self._wake.clear()
            if not await self._pass(connection):
                with suppress(TimeoutError):
                    await _within(_POLL_S, self._wake.wait())

    def _on_notify(self, *_: object) -> None:
        self._wake.set()

    async def _pass(self, connection: Connection) -> bool:
        """Send one window; return whether there may be more."""
        rows = await connection.fetch(self._pending)
        if not rows:
            metrics.outbox_oldest_age.set(0)
            return False
        metrics.outbox_oldest_age.set((now() - rows[0]["occurred_at"]).total_seconds())
        sent, refused = await self._send(rows)
        if sent:
            await connection.execute(self._mark_sent, sent)
        for row_id, reason in refused.items():
            await connection.execute(self._mark_refused, row_id, reason[:500])
        metrics.outbox_published.inc(len(sent))
        return len(rows) == WINDOW or bool(refused)

    async def _send(self, rows: Sequence[Any]) -> tuple[list[int], dict[int, str]]:
        """Send a window from this one coroutine; return ids sent, and refused with the reason."""
        producer: Any = self._producer or await self._new_producer()
        prefix = self._runtime.settings
        futures: list[tuple[int, asyncio.Future[Any]]] = []
        refused: dict[int, str] = {}
        for row in rows:
            try:
                future = await producer.send(
                    prefixed(prefix, row["topic"]),
                    value=row["data"].encode() if row["data"] is not None else None,
                    key=row["key"].encode(),
                    headers=self._headers(row),
                )
            except MessageSizeTooLargeError as error:
                refused[row["id"]] = str(error)
            else:
                futures.append((row["id"], future))
        if futures:
            await asyncio.wait([future for _, future in futures])
        sent: list[int] = []
        for row_id, future in futures:
            error = future.exception()
            if error is None:
                sent.append(row_id)
            else:
                refused[row_id] = repr(error)
        if refused:
            # After one refused batch an idempotent producer cannot go on (aiokafka #1017).
            log.warning("relay.refused", count=len(refused), first=next(iter(refused.values())))
            await self._drop_producer()
        return sent, refused

    def _headers(self, row: Any) -> list[tuple[str, bytes]]:
        """Return the CloudEvents attributes (binary mode); written out, as this is the hot path."""
        key = row["key"].encode()
        trace = _NO_TRACE if row["headers"] == "{}" else orjson.loads(row["headers"])
        return [
            ("ce_specversion", b"1.0"),
            ("ce_id", str(row["event_id"]).encode()),
            ("ce_source", self._source),
            ("ce_type", row["type"].encode()),
            ("ce_subject", key),
            ("ce_time", row["occurred_at"].isoformat().encode()),
            ("ce_partitionkey", key),
            ("ce_sequence", b"%d" % row["version"]),
            ("ce_tenant", str(row["organisation_id"]).encode()),
            ("ce_correlationid", trace.get("correlation_id", "").encode()),
            ("ce_causationid", trace.get("causation_id", "").encode()),
            ("content-type", b"application/json"),
        ]

    async def _new_producer(self) -> AIOKafkaProducer:
        producer = make_producer(self._runtime.settings)
        self._producer = producer  # before it starts, so that whatever ends us also stops it
        await producer.start()
        return producer

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            # stop() flushes for as long as the broker is away; the rows are still unmarked.
            with suppress(Exception):
                await _within(5, producer.stop())


async def reap(runtime: Runtime) -> None:
    """Delete what nobody needs any more: sent events after a day, inbox rows after 14 days."""
    statements = (
        (
            "DELETE FROM {s}.outbox WHERE id IN (SELECT id FROM {s}.outbox WHERE published_at "
            "< now() - interval '24 hours' ORDER BY id LIMIT 1000)"
        ),
        (
            "DELETE FROM {s}.inbox WHERE (consumer, event_id) IN (SELECT consumer, event_id FROM "
            "{s}.inbox WHERE processed_at < now() - interval '14 days' LIMIT 1000)"
        ),
        "DELETE FROM {s}.idempotency_key WHERE created_at < now() - interval '24 hours'",
    )
    while True:
        for statement in statements:
            async with runtime.worker_engine.begin() as connection:
                await connection.execute(text(statement.format(s=runtime.name)))
        await asyncio.sleep(60)


async def _within(seconds: float, waiting: Awaitable[object]) -> None:
    """Wait for a while. Not by `wait_for`: before Python 3.12 it can swallow a cancellation."""
    async with asyncio.timeout(seconds):
        await waiting


def _raise_if(lost: asyncio.Event) -> None:
    if lost.is_set():
        msg = "the relay's connection is gone, and its lock with it"
        raise ConnectionError(msg)
