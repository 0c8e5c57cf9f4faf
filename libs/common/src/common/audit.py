"""The audit trail: who did what, appended in the transaction that did it, chained by hash."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.db import AuditColumns

_START = "0" * 64


class AuditLine(BaseModel):
    """Who did what. `hash` covers the line and the hash before it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    actor_id: UUID
    actor_kind: str
    actor_role: str
    action: str
    object_type: str
    object_id: str
    detail: dict[str, Any]
    request_id: str
    previous_hash: str
    hash: str


async def audit(
    session: AsyncSession,
    table: type[AuditColumns],
    principal: Principal,
    *,
    action: str,
    object_type: str,
    object_id: object,
    detail: dict[str, Any] | None = None,
) -> None:
    """Append one line for the principal's organisation.

    Lines of one organisation are chained: `hash` covers the line and the hash before it. An
    advisory lock, held to the end of the transaction, keeps the chain single.
    """
    organisation_id = principal.organisation_id
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:place, 7201313))"),
        {"place": f"{table.metadata.schema}:{organisation_id}"},
    )
    previous = await session.scalar(
        select(table.hash)
        .where(table.organisation_id == organisation_id)
        .order_by(table.id.desc())
        .limit(1)
    )
    line: dict[str, Any] = {
        "organisation_id": organisation_id,
        "at": now(),
        "actor_id": principal.subject,
        "actor_kind": principal.kind,
        "actor_role": principal.role,
        "action": action,
        "object_type": object_type,
        "object_id": str(object_id),
        "detail": orjson.loads(orjson.dumps(detail or {}, default=str)),
        "request_id": principal.request_id,
    }
    previous = previous or _START
    session.add(table(**line, previous_hash=previous, hash=digest(line, previous)))
    await session.flush()  # the next line of this transaction must see this one


def digest(line: dict[str, Any], previous: str) -> str:
    """Return the chained hash of an audit line: sha256(previous hash, canonical JSON)."""
    body = orjson.dumps(line, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(previous.encode() + body).hexdigest()


async def first_broken(
    session: AsyncSession, table: type[AuditColumns], organisation_id: UUID
) -> int | None:
    """Return the id of the first line whose hash does not follow, or None for a whole chain."""
    previous = _START
    rows = await session.stream_scalars(
        select(table).where(table.organisation_id == organisation_id).order_by(table.id)
    )
    async for row in rows:
        line: dict[str, Any] = {
            name: getattr(row, name)
            for name in (
                "organisation_id", "at", "actor_id", "actor_kind", "actor_role", "action",
                "object_type", "object_id", "detail", "request_id",
            )
        }  # fmt: skip
        if row.previous_hash != previous or row.hash != digest(line, previous):
            return row.id
        previous = row.hash
    return None
