"""How long a history is kept."""

import asyncio
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.history.models import HistoryEntry
from common.clock import now
from common.runtime import Runtime

KEPT = timedelta(days=365)
MOST = 1_000
"""So many of one user's calculations are kept, the newest; those shared by link stay."""
_SWEEP_S = 3_600


async def sweep(runtime: Runtime) -> None:
    """Forget old calculations, once an hour."""
    while True:
        async with runtime.worker_session() as session:
            await forget(session)
        await asyncio.sleep(_SWEEP_S)


async def forget(session: AsyncSession) -> None:
    """Delete what is older than a year, and what a user has beyond the newest thousand."""
    place = func.row_number().over(
        partition_by=HistoryEntry.created_by, order_by=HistoryEntry.id.desc()
    )
    numbered = (
        select(HistoryEntry.id, place.label("place"))
        .where(HistoryEntry.share_sha256.is_(None))
        .subquery()
    )
    surplus = select(numbered.c.id).where(numbered.c.place > MOST)
    await session.execute(
        delete(HistoryEntry).where(
            (HistoryEntry.created_at < now() - KEPT) | HistoryEntry.id.in_(surplus)
        )
    )
