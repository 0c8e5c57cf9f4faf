"""Dead letters: events whose handler gave up. List them, redrive them after the fix, or discard.

A redrive runs this service's handlers only; nothing is published to the shared topic again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from common.consumer import Dispatcher, Reactions
from common.envelope import Message
from common.runtime import Runtime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that could not be handled, and why."""

    id: UUID
    consumer: str
    message: Message
    reason: str
    error: str
    attempts: int
    died_at: datetime


async def open_letters(runtime: Runtime, ids: Sequence[UUID] = ()) -> list[DeadLetter]:
    """Return the unresolved dead letters of this service, oldest first; only `ids` if given."""
    query = text(
        "SELECT id, consumer, event_id, type, topic, partition, position, key, version, data, "  # noqa: S608
        "headers, reason, error, attempts, died_at, organisation_id "
        f"FROM {runtime.name}.dead_letter "
        "WHERE resolved_at IS NULL AND (:all OR id = ANY(:ids)) ORDER BY died_at, position"
    )
    async with runtime.worker_session() as session:
        rows = await session.execute(query, {"all": not ids, "ids": list(ids)})
        return [_letter(row) for row in rows.all()]


def _letter(row: Any) -> DeadLetter:
    message = Message(
        event_id=row.event_id,
        type=row.type,
        organisation_id=row.organisation_id,
        version=row.version,
        occurred_at=row.died_at,
        correlation_id=row.headers.get("correlation_id", ""),
        topic=row.topic,
        partition=row.partition,
        position=row.position,
        key=row.key,
        value=None if row.data is None else row.data.encode(),
    )
    return DeadLetter(
        row.id, row.consumer, message, row.reason, row.error, row.attempts, row.died_at
    )


async def redrive(runtime: Runtime, reactions: Iterable[Reactions], letter: DeadLetter) -> None:
    """Handle a dead letter again, by the group of reactions that gave it up.

    Its effects and its resolution commit together.

    Raises whatever the handler raises; the letter then stays as it was.
    """
    group = letter.consumer.removeprefix(runtime.name).removeprefix("-")
    dispatcher = Dispatcher(runtime, reactions, group)
    async with runtime.tenant_session(letter.message.organisation_id) as session:
        await dispatcher.handle(session, [letter.message])
        await session.execute(_resolve(runtime), {"id": letter.id, "resolution": "redriven"})


async def discard(runtime: Runtime, letter: DeadLetter) -> None:
    """Mark a dead letter as not to be handled."""
    async with runtime.tenant_session(letter.message.organisation_id) as session:
        await session.execute(_resolve(runtime), {"id": letter.id, "resolution": "discarded"})


def _resolve(runtime: Runtime) -> Any:
    return text(
        f"UPDATE {runtime.name}.dead_letter SET resolved_at = now(), resolution = :resolution "  # noqa: S608
        "WHERE id = :id"
    )
