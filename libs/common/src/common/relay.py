"""The relay: committed outbox rows become Kafka records, in order, at least once.

One process per service leads (a session-level advisory lock on its own connection). The leader
reads a window, sends it with no transaction open, then marks what the broker acknowledged; reads
and marks go over the connection that holds the lock. A crash in between repeats the window; the
consumers' inbox removes the repeats. Rows are never skipped by number: a lower id may commit later
than a higher one.

Order per key: a partition has one batch on its way at a time, and nothing follows a batch that the
broker refused before that batch has been read again.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
from aiokafka.partitioner import murmur2  # pyright: ignore[reportUnknownVariableType]  (untyped)
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
_GIVE_UP = 5
"""Tries after which a row that the broker refuses is left to the operator (`last_error`)."""
_TUNING = """
SET synchronous_commit = off;  -- a mark lost in a crash of the database repeats a window, no more
SET enable_sort = off;         -- a planner with old statistics sorts the whole backlog per window
"""
_PRODUCER_FAULTS = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
"""What a broker says of a producer, not of its records: another producer may send the same."""

Header = tuple[str, bytes]
_SPEC_VERSION: Header = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Header = ("content-type", b"application/json")


@dataclass(slots=True)
class _Batch:
    """The records of one partition that travel together, and the rows they are made of."""

    builder: Any
    ids: list[int] = field(default_factory=list[int])


_Place = tuple[str, int]
"""A topic, without its prefix, and a partition."""
_Refusal = tuple[_Batch, BaseException]


class Relay:
    """Sends one service's outbox. Run one per process; the lock chooses who works."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._schema = runtime.name
        self._channel = f"{runtime.name}_outbox"
        self._wake = runtime.outbox_wake
        self._producer: Any = None
        self._one_by_one = False
        self._source: Header = ("ce_source", f"/{runtime.name}".encode())
        outbox = f"{runtime.name}.outbox"
        self._pending = (
            "SELECT id, event_id, type, topic, key, organisation_id, version, data::text AS data, "  # noqa: S608
            "coalesce(headers ->> 'correlation_id', '') AS correlation_id, "
            f"coalesce(headers ->> 'causation_id', '') AS causation_id, occurred_at FROM {outbox} "
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
            await connection.execute(_TUNING)
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
        position = 0
        while position < len(rows):
            batches, position = await self._pack(rows, position)
            sent, refused = await self._send(batches)
            if sent:
                await connection.execute(self._mark_sent, sent)
                metrics.outbox_published.inc(len(sent))
            if refused:
                await self._recover(connection, refused)
                return True
        self._one_by_one = False
        return len(rows) == WINDOW

    async def _pack(self, rows: Sequence[Any], start: int) -> tuple[dict[_Place, _Batch], int]:
        """Return a batch per partition and the position of the first row that is in none.

        Where a second batch of a partition would begin, the rest has to wait for the first one's
        acknowledgement.
        """
        producer: Any = self._producer or await self._new_producer()
        batches: dict[_Place, _Batch] = {}
        partitions: dict[str, int] = {}
        stop = start + 1 if self._one_by_one else len(rows)
        for position in range(start, stop):
            row = rows[position]
            topic, key, data = row["topic"], row["key"].encode(), row["data"]
            if topic not in partitions:
                name = prefixed(self._runtime.settings, topic)
                partitions[topic] = len(await producer.partitions_for(name))
            place = (topic, _partition(key, partitions[topic]))
            if (batch := batches.get(place)) is None:
                batch = batches[place] = _Batch(producer.create_batch())
            value = None if data is None else data.encode()
            headers = self._headers(row, key)
            if not batch.builder.append(timestamp=None, key=key, value=value, headers=headers):
                return batches, position
            batch.ids.append(row["id"])
        return batches, stop

    def _headers(self, row: Any, key: bytes) -> list[Header]:
        """Return the CloudEvents attributes (binary mode); written out, as this is the hot path."""
        return [
            _SPEC_VERSION,
            ("ce_id", str(row["event_id"]).encode()),
            self._source,
            ("ce_type", row["type"].encode()),
            ("ce_subject", key),
            ("ce_time", row["occurred_at"].isoformat().encode()),
            ("ce_partitionkey", key),
            ("ce_sequence", b"%d" % row["version"]),
            ("ce_tenant", str(row["organisation_id"]).encode()),
            ("ce_correlationid", row["correlation_id"].encode()),
            ("ce_causationid", row["causation_id"].encode()),
            _CONTENT_TYPE,
        ]

    async def _send(self, batches: dict[_Place, _Batch]) -> tuple[list[int], list[_Refusal]]:
        """Send batches; return the rows the broker acknowledged, and what it refused."""
        producer = self._producer
        futures: list[asyncio.Future[Any]] = [
            await producer.send_batch(
                batch.builder, prefixed(self._runtime.settings, topic), partition=partition
            )
            for (topic, partition), batch in batches.items()
        ]
        await asyncio.wait(futures)
        sent: list[int] = []
        refused: list[_Refusal] = []
        for batch, future in zip(batches.values(), futures, strict=True):
            if error := future.exception():
                refused.append((batch, error))
            else:
                sent += batch.ids
        return sent, refused

    async def _recover(self, connection: Connection, refused: Sequence[_Refusal]) -> None:
        """Find the record a batch was refused for: only one that travelled alone is charged."""
        log.warning("relay.refused", count=len(refused), first=repr(refused[0][1]))
        # After one refused batch an idempotent producer cannot go on (aiokafka #1017).
        await self._drop_producer()
        for batch, error in refused:
            if isinstance(error, _PRODUCER_FAULTS):
                raise error
            if len(batch.ids) > 1:
                self._one_by_one = True
            else:
                await connection.execute(self._mark_refused, batch.ids[0], repr(error)[:500])

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


@lru_cache(maxsize=16_384)
def _partition(key: bytes, partitions: int) -> int:
    """Return the partition of a key, as every Kafka client's default partitioner does."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


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
