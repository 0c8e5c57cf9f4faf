"""Consuming events: each effect exactly once, though delivery is at least once.

Inbox row, the handler's writes and its own outbox rows commit together; the Kafka offset follows.
A batch is tried in one transaction; if it fails, its events are handled one by one, so that one
bad event costs the others nothing. An event that cannot be handled becomes a row in `dead_letter`.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Generic, TypeVar, get_args, get_type_hints
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord
from pydantic import BaseModel, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common import metrics
from common.clock import now
from common.envelope import Message, Undecodable, message_of, nobodys
from common.events import topic_of
from common.ids import new_id
from common.kafka import prefixed
from common.runtime import Runtime
from common.trace import causation_id, correlation_id

log = get_logger()
M = TypeVar("M", bound=BaseModel)
_TRIES = 5
_AWAY = ("08", "53", "57P01", "57P02", "57P03")
"""SQLSTATEs: connection lost, out of resources, shutting down, crashed, starting up."""
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """An event as a handler sees it. `data` is the handler's own, tolerant reading of it."""

    event_id: UUID
    type: str
    organisation_id: UUID
    version: int
    occurred_at: datetime
    correlation_id: str
    data: M


@dataclass(frozen=True, slots=True)
class Erased:
    """A tombstone as a handler sees it: what is known of `key` is to be forgotten."""

    event_id: UUID
    type: str
    organisation_id: UUID
    version: int
    occurred_at: datetime
    correlation_id: str
    key: str


Handler = Callable[[AsyncSession, Received[Any]], Awaitable[None]]
ErasedHandler = Callable[[AsyncSession, Erased], Awaitable[None]]
BulkHandler = Callable[[AsyncSession, list[Received[Any]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Registered:
    """A handler, and how it reads what it is given."""

    model: type[BaseModel] | None
    """None: it takes tombstones, which have no data."""
    handler: Callable[[AsyncSession, list[Any]], Awaitable[None]]

    def read(self, messages: Sequence[Message]) -> "Sequence[Received[Any] | Erased]":
        """Return those messages that are for this handler, as it reads them."""
        if self.model is None:
            return [_erased(message) for message in messages if message.value is None]
        return [_received(message, self.model) for message in messages if message.value is not None]


class Reactions:
    """The event types a feature reacts to, with its handlers.

    Reactions of another `group` are consumed apart, each in its own order: an order to a machine
    need not wait behind a thousand changes of others.
    """

    def __init__(self, group: str = "") -> None:
        self.group = group
        self.handlers: dict[str, list[Registered]] = {}

    def on(self, *event_types: str) -> Callable[[Handler], Handler]:
        """Register a handler; its second parameter, `Received[Model]`, says how it reads data."""

        def register(handler: Handler) -> Handler:
            async def one_by_one(session: AsyncSession, events: list[Received[Any]]) -> None:
                for event in events:
                    with _because_of(event):
                        await handler(session, event)
                        await session.flush()

            model = get_args(list(get_type_hints(handler).values())[1])[0]
            self._register(event_types, Registered(model, one_by_one))
            return handler

        return register

    def on_many(self, *event_types: str) -> Callable[[BulkHandler], BulkHandler]:
        """Register a handler that takes a run of events at once, in order: `list[Received[M]]`."""

        def register(handler: BulkHandler) -> BulkHandler:
            async def together(session: AsyncSession, events: list[Received[Any]]) -> None:
                with _because_of(events[0]):
                    await handler(session, events)
                    await session.flush()

            received = get_args(list(get_type_hints(handler).values())[1])[0]
            self._register(event_types, Registered(get_args(received)[0], together))
            return handler

        return register

    def on_tombstone(self, *event_types: str) -> Callable[[ErasedHandler], ErasedHandler]:
        """Register a handler of tombstones; its second parameter is an `Erased`."""

        def register(handler: ErasedHandler) -> ErasedHandler:
            async def one_by_one(session: AsyncSession, events: list[Erased]) -> None:
                for event in events:
                    with _because_of(event):
                        await handler(session, event)
                        await session.flush()

            self._register(event_types, Registered(None, one_by_one))
            return handler

        return register

    def _register(self, event_types: Iterable[str], registered: Registered) -> None:
        for event_type in event_types:
            self.handlers.setdefault(event_type, []).append(registered)


@contextmanager
def _because_of(event: Received[Any] | Erased) -> Generator[None]:
    """What is published meanwhile was caused by this event."""
    correlation = correlation_id.set(event.correlation_id)
    causation = causation_id.set(str(event.event_id))
    try:
        yield
    finally:
        correlation_id.reset(correlation)
        causation_id.reset(causation)


def _received(message: Message, model: type[BaseModel]) -> Received[Any]:
    return Received(
        event_id=message.event_id,
        type=message.type,
        organisation_id=message.organisation_id,
        version=message.version,
        occurred_at=message.occurred_at,
        correlation_id=message.correlation_id,
        data=model.model_validate_json(message.value or b""),
    )


def _erased(message: Message) -> Erased:
    return Erased(
        event_id=message.event_id,
        type=message.type,
        organisation_id=message.organisation_id,
        version=message.version,
        occurred_at=message.occurred_at,
        correlation_id=message.correlation_id,
        key=message.key,
    )


class Unsupported(Exception):
    """An event of a type, or of a major version of it, that this service does not read."""


class Dispatcher:
    """Runs handlers over messages: transactions, inbox, retries, dead letters. Knows no broker."""

    def __init__(
        self, runtime: Runtime, reactions: Iterable[Reactions], group: str | None = None
    ) -> None:
        """Take the handlers of one group of reactions, or of all (None)."""
        self._runtime = runtime
        self._consumer = f"{runtime.name}-{group}" if group else runtime.name
        self._handlers: dict[str, list[Registered]] = {}
        for feature in reactions:
            if group is None or feature.group == group:
                for event_type, handlers in feature.handlers.items():
                    self._handlers.setdefault(event_type, []).extend(handlers)
        self._read = {_without_major(event_type): event_type for event_type in self._handlers}

    @property
    def consumer(self) -> str:
        """The name of this consumer: its Kafka group, and its rows in the inbox."""
        return self._consumer

    @property
    def types(self) -> list[str]:
        """All event types with a handler."""
        return sorted(self._handlers)

    @property
    def topics(self) -> list[str]:
        """The topics those types live in."""
        return sorted({topic_of(event_type) for event_type in self._handlers})

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Handle messages in order; returns when each is done, skipped or dead."""
        for message in messages:
            reads = self._read.get(_without_major(message.type))
            if reads is not None and message.type not in self._handlers:
                error = Unsupported(f"{self._consumer} reads {reads}, not {message.type}")
                await self.bury(message, "unsupported-major", error, 1)
        known = [message for message in messages if message.type in self._handlers]
        for organisation_id, run in groupby(known, key=lambda message: message.organisation_id):
            batch = list(run)
            try:
                await self._transaction(organisation_id, batch)
            except Exception as error:  # noqa: BLE001  (whatever it is, one by one will show whose)
                log.info("consumer.batch_split", size=len(batch), error=repr(error)[:300])
                for message in batch:
                    await self._alone(message)

    async def _transaction(self, organisation_id: UUID, batch: Sequence[Message]) -> None:
        async with self._runtime.tenant_session(organisation_id) as session:
            fresh = await self._claim(session, batch)
            await self.handle(session, [one for one in batch if one.event_id in fresh])
        for message in batch:
            result = "done" if message.event_id in fresh else "duplicate"
            metrics.handled.labels(message.type, result).inc()
            metrics.event_age.observe(max(0.0, (now() - message.occurred_at).total_seconds()))

    async def _claim(self, session: AsyncSession, batch: Sequence[Message]) -> set[UUID]:
        """Write the inbox rows of the batch; return the events that were not handled before."""
        result = await session.execute(
            text(
                f"INSERT INTO {self._runtime.name}.inbox (consumer, event_id) "
                "SELECT :consumer, unnest(CAST(:ids AS uuid[])) "
                "ON CONFLICT DO NOTHING RETURNING event_id"
            ),
            {"consumer": self._consumer, "ids": [message.event_id for message in batch]},
        )
        return set(result.scalars())

    async def handle(self, session: AsyncSession, messages: Iterable[Message]) -> None:
        """Run the handlers of messages, in order, in the given transaction."""
        for event_type, run in groupby(messages, key=lambda message: message.type):
            if event_type not in self._handlers:
                msg = f"{self._consumer} reads no {event_type}"
                raise Unsupported(msg)
            batch = list(run)
            for registered in self._handlers[event_type]:
                events = list(registered.read(batch))
                if events:
                    await registered.handler(session, events)

    async def _alone(self, message: Message) -> None:
        waits = failures = 0
        while True:
            try:
                await self._transaction(message.organisation_id, [message])
            except ValidationError as error:
                await self.bury(message, "invalid", error, 1)
            except Exception as error:
                if _is_away(error):
                    # Wait for the database as long as it takes; nothing is lost meanwhile.
                    log.warning("consumer.waiting", type=message.type, error=repr(error)[:200])
                    await asyncio.sleep(min(10.0, _pause_s(min(waits, 6))))
                    waits += 1
                    continue
                failures += 1
                if failures >= _TRIES:
                    log.exception("consumer.dead_letter", type=message.type)
                    await self.bury(message, "failed", error, failures)
                    return
                await asyncio.sleep(_pause_s(failures))
                continue
            return

    async def bury(self, message: Message, reason: str, error: Exception, attempts: int) -> None:
        """Keep an event that cannot be handled, with its inbox row, for redrive."""
        metrics.handled.labels(message.type, "dead").inc()
        async with self._runtime.tenant_session(message.organisation_id) as session:
            if not await self._claim(session, [message]):
                return
            await session.execute(
                text(
                    f"INSERT INTO {self._runtime.name}.dead_letter (id, consumer, event_id, type, "  # noqa: S608
                    "topic, partition, position, key, version, data, headers, reason, error, "
                    "attempts, organisation_id) VALUES (:id, :consumer, :event_id, :type, :topic, "
                    ":partition, :position, :key, :version, :data, CAST(:headers AS jsonb), "
                    ":reason, :error, :attempts, :organisation_id)"
                ),
                {
                    "id": new_id(),
                    "consumer": self._consumer,
                    "data": None if message.value is None else _text(message.value),
                    "headers": json.dumps({"correlation_id": message.correlation_id}),
                    "reason": reason,
                    "error": str(error)[:2000].replace("\x00", ""),
                    "attempts": attempts,
                    **{
                        name: getattr(message, name)
                        for name in (
                            "event_id", "type", "topic", "partition", "position", "key",
                            "version", "organisation_id",
                        )
                    },
                },
            )  # fmt: skip


def _without_major(event_type: str) -> str:
    return event_type.rpartition(".v")[0]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\x00", "")


def _pause_s(tries: int) -> float:
    return 0.2 * 2**tries * random.uniform(0.5, 1)  # noqa: S311


def _is_away(error: Exception) -> bool:
    """Return whether the database is at fault, and not the event or its handler."""
    if isinstance(error, OperationalError | InterfaceError | ConnectionError | TimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    # While it starts or stops PostgreSQL answers, but says no: the driver calls that a plain error.
    code = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or code.startswith(_AWAY)


def groups_of(reactions: Iterable[Reactions]) -> list[str]:
    """Return the groups in which a service's reactions are consumed."""
    return sorted({feature.group for feature in reactions if feature.handlers})


async def consume(runtime: Runtime, reactions: Iterable[Reactions], group: str = "") -> None:
    """Read the topics of one group of reactions and dispatch, for ever."""
    dispatcher = Dispatcher(runtime, reactions, group)
    settings = runtime.settings
    consumer: Any = AIOKafkaConsumer(
        *(prefixed(settings, topic) for topic in dispatcher.topics),
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=f"{settings.kafka_topic_prefix}{dispatcher.consumer}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=10_000,
        heartbeat_interval_ms=1_000,
        rebalance_timeout_ms=10_000,
        max_poll_interval_ms=600_000,
        metadata_max_age_ms=30_000,
    )
    try:
        await consumer.start()
        while True:
            found = await consumer.getmany(timeout_ms=500, max_records=_BATCH)
            for partition, records in found.items():
                await _partition(runtime, dispatcher, consumer, partition, records)
    finally:
        # Without a broker, leaving the group takes for ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await consumer.stop()


async def _partition(
    runtime: Runtime,
    dispatcher: Dispatcher,
    consumer: Any,
    partition: TopicPartition,
    records: "Sequence[ConsumerRecord[bytes | None, bytes | None]]",
) -> None:
    messages: list[Message] = []
    for record in records:
        try:
            messages.append(message_of(record, runtime.settings.kafka_topic_prefix))
        except Undecodable as error:
            await dispatcher.bury(nobodys(record), "undecodable", error, 1)
    await dispatcher.dispatch(messages)
    try:
        await consumer.commit({partition: records[-1].offset + 1})
    except (CommitFailedError, IllegalStateError, KafkaError) as error:
        # The partition went to another member, or the broker is away. The inbox eats the repeat.
        log.info("consumer.commit_failed", error=repr(error)[:200])
