"""Idempotency keys: a caller may repeat a POST and gets the first answer again.

The row is written in the transaction of the effect. Failures are not stored: they had no effect.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, ClassVar, TypeVar

import orjson
from fastapi import Header
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.db import IdempotencyColumns
from common.errors import Conflict, Invalid

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Repeat a request with the same key and body to get the first answer again",
    ),
]


R = TypeVar("R", bound=BaseModel)


class KeyReused(Invalid):
    title: ClassVar[str] = "The Idempotency-Key was used for another request"


class StillRunning(Conflict):
    title: ClassVar[str] = "A request with this Idempotency-Key is still running"


async def once(
    session: AsyncSession,
    table: type[IdempotencyColumns],
    principal: Principal,
    *,
    route: str,
    key: str | None,
    body: BaseModel,
    status: int,
    run: Callable[[], Awaitable[R]],
) -> R | Response:
    """Carry `run` out once per key of this organisation and route; else replay its answer.

    Raises:
        KeyReused: the key came with another body.
        StillRunning: the first request has not been answered yet.
    """
    if key is None:
        return await run()
    place = f"{table.metadata.schema}:{principal.organisation_id}:{route}:{key}"
    locked = await session.scalar(
        text("SELECT pg_try_advisory_xact_lock(hashtextextended(:place, 7201314))"),
        {"place": place},
    )
    if not locked:
        raise StillRunning("Wait for its answer, then repeat.", retry_after_s=1)
    fingerprint = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    stored = await session.scalar(select(table).where(table.route == route, table.key == key))
    if stored is not None:
        if stored.body_sha256 != fingerprint:
            raise KeyReused("Use a new key for a new request.", field="Idempotency-Key")
        return Response(
            orjson.dumps(stored.body),
            status_code=stored.status or status,
            media_type="application/json",
            headers={"Idempotent-Replayed": "true"},
        )
    answer = await run()
    session.add(
        table(
            organisation_id=principal.organisation_id,
            route=route,
            key=key,
            body_sha256=fingerprint,
            status=status,
            body=answer.model_dump(mode="json"),
        )
    )
    return answer
