"""Maintenance: people work on a machine, nobody commands it, and its stillness has a cause."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Conflict
from common.pages import PageRequest, page_of, paged
from hosting.incidents import ledger
from hosting.miners.models import Maintenance
from hosting.miners.registry import miner_of, record
from hosting.miners.schemas import MaintenanceView
from hosting.miners.statuses import fall_silent, move


class NotInMaintenance(Conflict):
    title: ClassVar[str] = "The machine is not in maintenance"


async def begin(
    session: AsyncSession, principal: Principal, miner_id: UUID, reason: str
) -> MaintenanceView:
    """Take a machine into maintenance."""
    miner = await miner_of(session, miner_id, change=True)
    started_at = now()
    await move(session, [miner], "maintenance")
    stay = Maintenance(
        organisation_id=miner.organisation_id,
        client_id=miner.client_id,
        miner_id=miner.id,
        reason=reason,
        started_at=started_at,
        started_by=principal.subject,
    )
    session.add(stay)
    await session.flush()
    await ledger.join(
        session,
        miner.organisation_id,
        site_id=miner.site_id,
        cause="maintenance",
        miner_ids=[miner.id],
        at=started_at,
    )
    await record(session, principal, "maintenance.begin", [miner], {"reason": reason})
    return MaintenanceView.model_validate(stay)


async def end(session: AsyncSession, principal: Principal, miner_id: UUID) -> MaintenanceView:
    """Give a machine back to work; what it is then, telemetry has said last."""
    miner = await miner_of(session, miner_id, change=True)
    stay = await session.scalar(
        select(Maintenance)
        .where(Maintenance.miner_id == miner_id, Maintenance.ended_at.is_(None))
        .with_for_update()
    )
    if stay is None or miner.status != "maintenance":
        raise NotInMaintenance(f"{miner.serial_number} is {miner.status}.")
    ended_at = now()
    stay.ended_at, stay.ended_by = ended_at, principal.subject
    await ledger.leave(session, [miner.id], ended_at, cause="maintenance")
    if miner.reachable:
        await move(session, [miner], "active")
    else:
        await fall_silent(session, [miner], ended_at)
    await record(session, principal, "maintenance.end", [miner])
    return MaintenanceView.model_validate(stay)


async def history(session: AsyncSession, miner_id: UUID, page: PageRequest) -> dict[str, Any]:
    """Return one page of a machine's times in maintenance, newest first."""
    await miner_of(session, miner_id)
    query = (
        select(Maintenance).where(Maintenance.miner_id == miner_id).order_by(Maintenance.id.desc())
    )
    stays, total = await paged(session, query, page)
    return page_of([MaintenanceView.model_validate(stay) for stay in stays], total, page)
