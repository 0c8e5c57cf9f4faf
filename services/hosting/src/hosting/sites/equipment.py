"""What belongs to a site beside its machines: racks, and credentials for each firmware family."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, NotFound
from common.pages import PageRequest, page_of, paged
from hosting.db import AuditEvent
from hosting.settings import Settings
from hosting.sites.models import Credential, Rack, Site
from hosting.sites.occupancy import rack_occupancy
from hosting.sites.registry import announce, site_of
from hosting.sites.schemas import CredentialView, Firmware, NewCredential, NewRack, RackView
from hosting.sites.sealing import seal


class RackNotFound(NotFound):
    title: ClassVar[str] = "No such rack"


class RackNameTaken(Conflict):
    title: ClassVar[str] = "A rack of this name exists at the site"


class RackInUse(Conflict):
    title: ClassVar[str] = "Machines stand in the rack"


class CredentialNotFound(NotFound):
    title: ClassVar[str] = "No such credential"


async def add_rack(
    session: AsyncSession, principal: Principal, site_id: UUID, body: NewRack
) -> RackView:
    """Add a rack to a site."""
    site = await site_of(session, site_id, change=True)
    await _require_free_name(session, site.id, body.name)
    rack = Rack(organisation_id=site.organisation_id, site_id=site.id, **body.model_dump())
    session.add(rack)
    await session.flush()
    await _audit(session, principal, "rack.add", rack, body.model_dump())
    return RackView.model_validate(rack)


async def list_racks(session: AsyncSession, site_id: UUID, wanted: PageRequest) -> dict[str, Any]:
    """Return one page of a site's racks, by name."""
    await site_of(session, site_id)
    query = select(Rack).where(Rack.site_id == site_id).order_by(Rack.name, Rack.id)
    racks, total = await paged(session, query, wanted)
    return page_of([RackView.model_validate(rack) for rack in racks], total, wanted)


async def change_rack(
    session: AsyncSession, principal: Principal, site_id: UUID, rack_id: UUID, body: NewRack
) -> RackView:
    """Give a rack another name or size; machines must still fit."""
    rack = await _rack_of(session, site_id, rack_id)
    if body.name != rack.name:
        await _require_free_name(session, site_id, body.name)
    _, highest = await rack_occupancy(session, rack_id)
    if highest > body.rows * body.positions:
        raise RackInUse(f"A machine stands at position {highest}; move it first.", field="rows")
    rack.name, rack.rows, rack.positions = body.name, body.rows, body.positions
    await session.flush()
    await _audit(session, principal, "rack.change", rack, body.model_dump())
    return RackView.model_validate(rack)


async def remove_rack(
    session: AsyncSession, principal: Principal, site_id: UUID, rack_id: UUID
) -> None:
    """Remove an empty rack."""
    rack = await _rack_of(session, site_id, rack_id)
    inside, _ = await rack_occupancy(session, rack_id)
    if inside:
        raise RackInUse(f"{inside} machines stand in {rack.name}; move them first.")
    await session.delete(rack)
    await _audit(session, principal, "rack.remove", rack, {"name": rack.name})


async def store_credential(
    session: AsyncSession,
    principal: Principal,
    settings: Settings,
    *,
    site_id: UUID,
    firmware: Firmware,
    body: NewCredential,
) -> CredentialView:
    """Seal and keep the credential of one firmware family, in place of an earlier one."""
    site = await site_of(session, site_id, change=True)
    sealed = seal(body.username, body.password, key=settings.device_credential_key)
    stored = await session.get(Credential, (site_id, firmware))
    if stored is None:
        stored = Credential(
            organisation_id=site.organisation_id, site_id=site_id, firmware=firmware
        )
        session.add(stored)
    stored.sealed, stored.updated_at = sealed, now()
    await _credentials_changed(session, principal, site, firmware, "credential.store")
    return CredentialView.model_validate(stored)


async def remove_credential(
    session: AsyncSession, principal: Principal, site_id: UUID, firmware: Firmware
) -> None:
    """Forget the credential of one firmware family."""
    site = await site_of(session, site_id, change=True)
    stored = await session.get(Credential, (site_id, firmware))
    if stored is None:
        raise CredentialNotFound(f"The site holds no credential for {firmware}.")
    await session.delete(stored)
    await _credentials_changed(session, principal, site, firmware, "credential.remove")


async def _credentials_changed(
    session: AsyncSession, principal: Principal, site: Site, firmware: str, action: str
) -> None:
    site.version += 1
    await session.flush()  # the event reads the credentials from their table
    await announce(session, site)
    await audit(
        session,
        AuditEvent,
        principal,
        action=action,
        object_type="site",
        object_id=site.id,
        detail={"firmware": firmware},
    )


async def _rack_of(session: AsyncSession, site_id: UUID, rack_id: UUID) -> Rack:
    rack = await session.scalar(
        select(Rack).where(Rack.id == rack_id, Rack.site_id == site_id).with_for_update()
    )
    if rack is None:
        raise RackNotFound(f"There is no rack {rack_id} at this site.")
    return rack


async def _require_free_name(session: AsyncSession, site_id: UUID, name: str) -> None:
    taken = await session.scalar(select(Rack.id).where(Rack.site_id == site_id, Rack.name == name))
    if taken is not None:
        raise RackNameTaken(
            f"There is already a rack named {name}.", field="name", existing_id=taken
        )


async def _audit(
    session: AsyncSession, principal: Principal, action: str, rack: Rack, detail: dict[str, Any]
) -> None:
    await audit(
        session,
        AuditEvent,
        principal,
        action=action,
        object_type="rack",
        object_id=rack.id,
        detail=detail,
    )
