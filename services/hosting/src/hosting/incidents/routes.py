"""Routes of incidents."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery
from hosting.auth import SitesReader
from hosting.incidents import listing
from hosting.incidents.listing import IncidentNotFound
from hosting.incidents.models import Cause

router = APIRouter(prefix="/api/hosting/incidents", tags=["incidents"])


class IncidentView(BaseModel):
    """Why machines of a site did not run; `ends_at` is null while that lasts."""

    id: UUID
    site_id: UUID
    cause: Cause
    starts_at: datetime
    ends_at: datetime | None
    machines: int
    machines_left: int
    """How many of them have come back."""


class IncidentMember(BaseModel):
    """A machine's part in an incident."""

    miner_id: UUID
    joined_at: datetime
    left_at: datetime | None


@router.get("", response_model=Page[IncidentView])
async def list_incidents(
    session: Session,
    _: SitesReader,
    page: PageQuery,
    site_id: UUID | None = None,
    cause: Cause | None = None,
    *,
    open_only: bool = False,
) -> object:
    """List incidents, newest first: one per site and cause, however many machines it holds."""
    wanted = listing.Filter(site_id=site_id, cause=cause, open_only=open_only)
    return await listing.list_incidents(session, wanted, page)


@router.get(
    "/{incident_id}/miners",
    response_model=Page[IncidentMember],
    responses=problems(IncidentNotFound),
)
async def list_incident_miners(
    incident_id: UUID, session: Session, _: SitesReader, page: PageQuery
) -> object:
    """List the machines of an incident in the order in which they joined."""
    return await listing.list_members(session, incident_id, page)
