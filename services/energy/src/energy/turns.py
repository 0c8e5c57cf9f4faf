"""Work that is done for one organisation after the other, by one process at a time."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from sqlalchemy import Select, text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.runtime import Runtime

log = get_logger()
Turn = Callable[[AsyncSession, UUID], Awaitable[None]]


async def each_organisation(
    runtime: Runtime, organisations: Select[Any], lock: int, turn: Turn
) -> None:
    """Do a turn for each organisation of a query, in a transaction behind its wall.

    An organisation that another process is at is left to it; one whose turn fails keeps no other
    from having its own.
    """
    async with runtime.worker_session() as session:
        found = sorted(await session.scalars(organisations))
    for organisation_id in found:
        try:
            async with runtime.tenant_session(organisation_id) as session:
                if await _alone(session, organisation_id, lock):
                    await turn(session, organisation_id)
        except Exception:
            log.exception("turn.failed", lock=lock, organisation_id=str(organisation_id))


async def _alone(session: AsyncSession, organisation_id: UUID, lock: int) -> bool:
    taken = await session.scalar(
        text("SELECT pg_try_advisory_xact_lock(hashtextextended(:of, :lock))"),
        {"of": str(organisation_id), "lock": lock},
    )
    return bool(taken)
