"""The directory of organisations: who exists, and under whom."""

from dataclasses import replace
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import PLATFORM_ORGANISATION, Principal
from common.errors import Forbidden, Invalid, NotFound
from common.ids import new_id
from common.pages import PageRequest, paged
from gateway.db import AuditEvent, Outbox
from gateway.organisations.events import OrganisationChanged
from gateway.organisations.models import Organisation
from gateway.organisations.schemas import OrganisationOrder


class ParentNeeded(Invalid):
    title: ClassVar[str] = "A client needs an operator as its parent"


def is_platform_admin(principal: Principal) -> bool:
    """Return whether the caller is the platform's Admin, outside any tenant."""
    return principal.role == "Admin" and principal.organisation_id == PLATFORM_ORGANISATION


async def create_organisation(
    session: AsyncSession, principal: Principal, order: OrganisationOrder
) -> Organisation:
    """Add an operator or a client, and announce it."""
    made = await _new(session, principal, order)
    session.add(made)
    await session.flush()  # the organisation first, its event after it
    session.add(Outbox.of(changed(made)))
    await audit(
        session,
        AuditEvent,
        replace(principal, organisation_id=made.organisation_id),
        action="organisation.create",
        object_type="organisation",
        object_id=made.id,
        detail={"kind": made.kind, "name": made.name},
    )
    return made


def _kind(principal: Principal, order: OrganisationOrder) -> str:
    if order.kind is not None:
        return order.kind
    is_top = is_platform_admin(principal) and order.parent_id is None
    return "operator" if is_top else "client"


async def _new(
    session: AsyncSession, principal: Principal, order: OrganisationOrder
) -> Organisation:
    made_id = new_id()
    if _kind(principal, order) == "operator":
        if not is_platform_admin(principal):
            raise Forbidden("Only the platform's Admin adds operators.")
        if order.parent_id is not None:
            raise Invalid("An operator has no parent.", field="parent_id")
        return Organisation(
            id=made_id, organisation_id=made_id, client_id=None, kind="operator", name=order.name
        )
    parent_id = order.parent_id or principal.organisation_id
    parent = await session.get(Organisation, parent_id)
    if parent is None:
        raise NotFound("There is no such parent organisation.", field="parent_id")
    if parent.kind != "operator":
        raise ParentNeeded("Name the operator whose client this is.", field="parent_id")
    return Organisation(
        id=made_id,
        organisation_id=parent.id,
        client_id=made_id,
        parent_id=parent.id,
        kind="client",
        name=order.name,
    )


async def list_organisations(
    session: AsyncSession, wanted: PageRequest
) -> tuple[list[Organisation], int]:
    """Return one page of the organisations that the caller may see."""
    return await paged(session, select(Organisation).order_by(Organisation.id), wanted)


async def find_organisation(session: AsyncSession, organisation_id: UUID) -> Organisation:
    """Return an organisation that the caller may see.

    Raises:
        NotFound: there is none.
    """
    found = await session.get(Organisation, organisation_id)
    if found is None:
        raise NotFound("There is no such organisation.")
    return found


async def note_elevation(
    session: AsyncSession, principal: Principal, organisation_id: UUID, reason: str
) -> Organisation:
    """Write into a tenant's audit trail that the platform's Admin enters it."""
    if not is_platform_admin(principal):
        raise Forbidden("Only the platform's Admin enters another organisation.")
    tenant = await find_organisation(session, organisation_id)
    if tenant.kind != "operator":
        raise Invalid("Only an operator's organisation is a tenant that can be entered.")
    await audit(
        session,
        AuditEvent,
        replace(principal, organisation_id=tenant.id),
        action="organisation.elevate",
        object_type="organisation",
        object_id=tenant.id,
        detail={"reason": reason},
    )
    return tenant


def changed(organisation: Organisation) -> OrganisationChanged:
    """Return the event that tells an organisation's present state."""
    return OrganisationChanged(
        organisation_id=organisation.organisation_id,
        version=organisation.version,
        id=organisation.id,
        parent_id=organisation.parent_id,
        kind=organisation.kind,
        name=organisation.name,
        active=organisation.active,
    )
