"""Changing the status of machines, one or thousands: the only place that writes it."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import Conflict
from hosting.db import Outbox
from hosting.domain.miner_status import MinerStatus, may_become
from hosting.incidents import ledger
from hosting.miners.events import miner_event
from hosting.miners.models import Miner


class StatusConflict(Conflict):
    title: ClassVar[str] = "The machine's status does not allow this"


async def locked(
    session: AsyncSession, miner_ids: Sequence[UUID], *, site_id: UUID | None = None
) -> list[Miner]:
    """Return those of the machines that exist for the caller, locked until the end.

    Their sites' incidents are locked before them, and they in the order of their ids, so that two
    transactions wait for each other but never in a circle. `site_id` saves looking it up.
    """
    for one in [site_id] if site_id else await _sites_of(session, miner_ids):
        await ledger.lock_site(session, one)
    rows = await session.scalars(
        select(Miner)
        .where(Miner.id.in_(miner_ids), Miner.removed_at.is_(None))
        .order_by(Miner.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def _sites_of(session: AsyncSession, miner_ids: Sequence[UUID]) -> Sequence[UUID]:
    sites = await session.scalars(
        select(Miner.site_id).where(Miner.id.in_(miner_ids)).distinct().order_by(Miner.site_id)
    )
    return sites.all()


async def move(session: AsyncSession, miners: Sequence[Miner], to: MinerStatus) -> None:
    """Give locked machines another status and announce each.

    Raises:
        StatusConflict: one of them may not change so.
    """
    for miner in miners:
        if not may_become(miner.status, to):
            raise StatusConflict(
                f"{miner.serial_number} is {miner.status} and cannot become {to}.",
                status_now=miner.status,
            )
        miner.status = to
    await announce_changed(session, miners)


async def fall_silent(session: AsyncSession, miners: Sequence[Miner], at: datetime) -> None:
    """Show locked machines as offline, each in its site's incident."""
    await move(session, miners, "offline")
    for site_id in sorted({miner.site_id for miner in miners}):
        here = [miner for miner in miners if miner.site_id == site_id]
        await ledger.join(
            session,
            here[0].organisation_id,
            site_id=site_id,
            cause="host_fault",
            miner_ids=[miner.id for miner in here],
            at=at,
        )


async def move_where_allowed(
    session: AsyncSession, miner_ids: Sequence[UUID], to: MinerStatus
) -> list[UUID]:
    """Give the status to those machines that may have it; return their ids.

    For what has already happened outside: a machine in maintenance that a plan's command reached
    stays in maintenance.
    """
    miners = [one for one in await locked(session, miner_ids) if may_become(one.status, to)]
    await move(session, miners, to)
    return [miner.id for miner in miners]


async def announce_changed(session: AsyncSession, miners: Sequence[Miner]) -> None:
    """Publish changed machines under their next version."""
    for miner in miners:
        miner.version += 1
    await session.flush()  # the aggregates first, their events after them
    session.add_all([Outbox.of(miner_event(miner)) for miner in miners])
