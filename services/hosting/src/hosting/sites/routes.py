"""Routes of sites, racks and device credentials."""

from uuid import UUID

from fastapi import APIRouter

from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery
from hosting.auth import SitesReader, SitesWriter
from hosting.settings import SettingsDep
from hosting.sites import equipment, registry
from hosting.sites.equipment import CredentialNotFound, RackInUse, RackNameTaken, RackNotFound
from hosting.sites.registry import (
    BadCidr,
    MachinesOutside,
    SiteNameTaken,
    SiteNotEmpty,
    SiteNotFound,
)
from hosting.sites.schemas import (
    CredentialView,
    Firmware,
    NewCredential,
    NewRack,
    NewSite,
    RackView,
    SiteChange,
    SiteView,
)

router = APIRouter(prefix="/api/hosting/sites", tags=["sites"])


@router.post("", status_code=201, responses=problems(SiteNameTaken, BadCidr))
async def register_site(
    body: NewSite, session: Session, principal: SitesWriter, settings: SettingsDep
) -> SiteView:
    """Register a site. Its machines may only have addresses inside `allowed_cidrs`."""
    return await registry.register_site(session, principal, settings, body)


@router.get("", response_model=Page[SiteView])
async def list_sites(session: Session, _: SitesReader, page: PageQuery) -> object:
    """List the organisation's sites by name."""
    return await registry.list_sites(session, page)


@router.get("/{site_id}", responses=problems(SiteNotFound))
async def get_site(site_id: UUID, session: Session, _: SitesReader) -> SiteView:
    """Show one site."""
    return await registry.site_view(session, site_id)


@router.patch(
    "/{site_id}", responses=problems(SiteNotFound, SiteNameTaken, MachinesOutside, BadCidr)
)
async def change_site(
    site_id: UUID, body: SiteChange, session: Session, principal: SitesWriter, settings: SettingsDep
) -> SiteView:
    """Change a site; fields that are left out stay as they are."""
    return await registry.change_site(session, principal, settings, site_id, body)


@router.delete("/{site_id}", status_code=204, responses=problems(SiteNotFound, SiteNotEmpty))
async def remove_site(site_id: UUID, session: Session, principal: SitesWriter) -> None:
    """Remove an empty site."""
    await registry.remove_site(session, principal, site_id)


@router.post("/{site_id}/racks", status_code=201, responses=problems(SiteNotFound, RackNameTaken))
async def add_rack(
    site_id: UUID, body: NewRack, session: Session, principal: SitesWriter
) -> RackView:
    """Add a rack; its places are numbered from 1 to rows times positions."""
    return await equipment.add_rack(session, principal, site_id, body)


@router.get("/{site_id}/racks", response_model=Page[RackView], responses=problems(SiteNotFound))
async def list_racks(site_id: UUID, session: Session, _: SitesReader, page: PageQuery) -> object:
    """List the racks of a site by name."""
    return await equipment.list_racks(session, site_id, page)


@router.put(
    "/{site_id}/racks/{rack_id}", responses=problems(RackNotFound, RackNameTaken, RackInUse)
)
async def change_rack(
    site_id: UUID, rack_id: UUID, body: NewRack, session: Session, principal: SitesWriter
) -> RackView:
    """Give a rack another name or size. Its machines must still fit."""
    return await equipment.change_rack(session, principal, site_id, rack_id, body)


@router.delete(
    "/{site_id}/racks/{rack_id}", status_code=204, responses=problems(RackNotFound, RackInUse)
)
async def remove_rack(
    site_id: UUID, rack_id: UUID, session: Session, principal: SitesWriter
) -> None:
    """Remove an empty rack."""
    await equipment.remove_rack(session, principal, site_id, rack_id)


@router.put("/{site_id}/credentials/{firmware}", responses=problems(SiteNotFound))
async def store_credential(
    *,
    site_id: UUID,
    firmware: Firmware,
    body: NewCredential,
    session: Session,
    principal: SitesWriter,
    settings: SettingsDep,
) -> CredentialView:
    """Store the credential with which commands reach machines of one firmware family.

    It is sealed at once and never given out again; only the telemetry service opens it.
    """
    return await equipment.store_credential(
        session, principal, settings, site_id=site_id, firmware=firmware, body=body
    )


@router.delete(
    "/{site_id}/credentials/{firmware}",
    status_code=204,
    responses=problems(SiteNotFound, CredentialNotFound),
)
async def remove_credential(
    site_id: UUID, firmware: Firmware, session: Session, principal: SitesWriter
) -> None:
    """Forget the credential of one firmware family."""
    await equipment.remove_credential(session, principal, site_id, firmware)
