"""Reading incidents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import NotFound
from common.pages import PageRequest, page_of, paged
from hosting.incidents.models import Cause, Incident, IncidentMiner


class IncidentNotFound(NotFound):
    title: ClassVar[str] = "No such incident"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which incidents are looked for; None looks for any."""

    site_id: UUID | None
    cause: Cause | None
    open_only: bool


async def list_incidents(
    session: AsyncSession, wanted: Filter, page: PageRequest
) -> dict[str, Any]:
    """Return one page of incidents, newest first."""
    query = select(Incident).order_by(Incident.starts_at.desc(), Incident.id)
    if wanted.site_id is not None:
        query = query.where(Incident.site_id == wanted.site_id)
    if wanted.cause is not None:
        query = query.where(Incident.cause == wanted.cause)
    if wanted.open_only:
        query = query.where(Incident.ends_at.is_(None))
    incidents, total = await paged(session, query, page)
    counts = await _counts(session, [incident.id for incident in incidents])
    items = [
        {
            "id": incident.id,
            "site_id": incident.site_id,
            "cause": incident.cause,
            "starts_at": incident.starts_at,
            "ends_at": incident.ends_at,
            "machines": counts[incident.id][0],
            "machines_left": counts[incident.id][1],
        }
        for incident in incidents
    ]
    return page_of(items, total, page)


async def list_members(
    session: AsyncSession, incident_id: UUID, page: PageRequest
) -> dict[str, Any]:
    """Return one page of an incident's machines.

    Raises:
        IncidentNotFound: the caller has no such incident.
    """
    if await session.get(Incident, incident_id) is None:
        raise IncidentNotFound(f"There is no incident {incident_id}.")
    query = (
        select(IncidentMiner)
        .where(IncidentMiner.incident_id == incident_id)
        .order_by(IncidentMiner.joined_at, IncidentMiner.miner_id)
    )
    members, total = await paged(session, query, page)
    return page_of(members, total, page)


async def _counts(
    session: AsyncSession, incident_ids: Sequence[UUID]
) -> dict[UUID, tuple[int, int]]:
    rows = await session.execute(
        select(IncidentMiner.incident_id, func.count(), func.count(IncidentMiner.left_at))
        .where(IncidentMiner.incident_id.in_(incident_ids))
        .group_by(IncidentMiner.incident_id)
    )
    return {incident_id: (total, left) for incident_id, total, left in rows}
