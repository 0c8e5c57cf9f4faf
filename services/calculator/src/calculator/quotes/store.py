"""Keeps the last that each party said, through restarts and the loss of the cache."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.domain.readings import Kind, Reading
from calculator.quotes.models import LastReading
from common.auth import PLATFORM_ORGANISATION


async def remember(
    session: AsyncSession, readings: Sequence[Reading], note: str | None = None
) -> None:
    """Keep readings, each in place of the same party's last one on the same thing."""
    rows = [
        {
            "organisation_id": PLATFORM_ORGANISATION,
            "kind": one.kind.value,
            "source": one.source,
            "value": one.value,
            "at": one.at,
            "asked_at": one.asked_at,
            "simulated": one.simulated,
            "note": note,
        }
        for one in sorted(readings, key=lambda one: (one.kind, one.source))  # one order of locks
    ]
    if not rows:
        return
    put = insert(LastReading).values(rows)
    await session.execute(
        put.on_conflict_do_update(
            index_elements=["organisation_id", "kind", "source"],
            set_={
                name: put.excluded[name]
                for name in ("value", "at", "asked_at", "simulated", "note")
            },
            where=LastReading.asked_at <= put.excluded.asked_at,
        )
    )


async def recall(session: AsyncSession) -> list[Reading]:
    """Return the last that each party said."""
    rows = await session.scalars(
        select(LastReading).where(LastReading.organisation_id == PLATFORM_ORGANISATION)
    )
    return [
        Reading(Kind(row.kind), row.source, row.value, row.at, row.asked_at, row.simulated)
        for row in rows
    ]
