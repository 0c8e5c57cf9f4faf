"""The site's machines as plans see them, and the one place where plans set their status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import NotFound
from hosting.domain.miner_status import MinerStatus
from hosting.miners.models import Firmware, Miner
from hosting.miners.statuses import locked, move_where_allowed
from hosting.sites.models import Site


class NoSuchSite(NotFound):
    title: ClassVar[str] = "No such site"


async def require_site(session: AsyncSession, site_id: UUID) -> None:
    """Make sure that the site is the caller's.

    Raises:
        NoSuchSite: it is not, or is gone.
    """
    found = await session.scalar(
        select(Site.id).where(Site.id == site_id, Site.removed_at.is_(None))
    )
    if found is None:
        raise NoSuchSite(f"There is no site {site_id}.")


@dataclass(frozen=True, slots=True)
class SiteMachine:
    """A machine as the site's books have it."""

    id: UUID
    status: MinerStatus
    firmware: Firmware | None
    client_id: UUID | None


async def machines_of(session: AsyncSession, site_id: UUID) -> list[SiteMachine]:
    """Return every machine of the site."""
    rows = await session.execute(
        select(Miner.id, Miner.status, Miner.firmware, Miner.client_id)
        .where(Miner.site_id == site_id, Miner.removed_at.is_(None))
        .order_by(Miner.id)
    )
    return [SiteMachine(*row) for row in rows]


async def show(session: AsyncSession, statuses: Mapping[UUID, MinerStatus]) -> None:
    """Let machines show what their plan made of them; those in people's hands stay as they are."""
    if not statuses:
        return
    await locked(session, list(statuses))  # all at once, so that they are locked in one order
    for status in sorted(set(statuses.values())):
        miner_ids = [miner_id for miner_id, wanted in statuses.items() if wanted == status]
        moved = await move_where_allowed(session, miner_ids, status)
        if status == "curtailed":
            # Accepted and proven in one breath: it was stopping in between.
            left = sorted(set(miner_ids) - set(moved))
            await move_where_allowed(
                session, await move_where_allowed(session, left, "stopping"), "curtailed"
            )
