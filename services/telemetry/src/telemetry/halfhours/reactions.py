"""Incidents from hosting: they say why machines stood still, and may be revised later."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.consumer import Reactions, Received
from telemetry.halfhours.models import Incident

reactions = Reactions()

_MARK = text(
    "UPDATE telemetry.half_hour_close SET dirty = true WHERE site_id = :site_id "
    "AND starts_at > CAST(:starts_at AS timestamptz) - interval '30 minutes' "
    "AND (CAST(:ends_at AS timestamptz) IS NULL OR starts_at < :ends_at)"
)


class IncidentChanged(BaseModel):
    incident_id: UUID
    site_id: UUID
    cause: Literal["maintenance", "host_fault", "customer_fault", "grid", "economic"]
    starts_at: datetime
    ends_at: datetime | None = None
    miner_ids: list[UUID] = []


@reactions.on("hosting.incident.opened.v1", "hosting.incident.closed.v1")
async def incident_changed(session: AsyncSession, event: Received[IncidentChanged]) -> None:
    """Remember the incident; half-hours that it touches are looked at again."""
    incident = event.data
    before = await session.get(Incident, incident.incident_id)
    if before is not None and before.version > event.version:
        return
    row = {
        "organisation_id": event.organisation_id,
        "site_id": incident.site_id,
        "cause": incident.cause,
        "starts_at": incident.starts_at,
        "ends_at": incident.ends_at,
        "miner_ids": [str(miner_id) for miner_id in incident.miner_ids],
        "version": event.version,
    }
    starts = [incident.starts_at] + ([before.starts_at] if before else [])
    ends = [incident.ends_at] + ([before.ends_at] if before else [])
    statement = insert(Incident).values(id=incident.incident_id, **row)
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=row))
    touched = {
        "site_id": incident.site_id,
        "starts_at": min(starts),
        "ends_at": None if None in ends else max(end for end in ends if end is not None),
    }
    await session.execute(_MARK, touched)
