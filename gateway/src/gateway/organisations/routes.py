"""HTTP of organisations."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from common.errors import Forbidden, Invalid, NotFound, problems
from common.pages import Page, PageQuery, page_of
from gateway.auth import CurrentLogin, LoginNeeded, OrganisationsReader, OrganisationsWriter
from gateway.db import DirectorySession
from gateway.organisations import directory
from gateway.organisations.directory import ParentNeeded
from gateway.organisations.schemas import (
    ElevatedToken,
    Elevation,
    OrganisationOrder,
    OrganisationView,
)
from gateway.security import SecurityDep

router = APIRouter(prefix="/api/organisations", tags=["organisations"])


@router.post("", status_code=201, responses=problems(Forbidden, NotFound, ParentNeeded, Invalid))
async def create_organisation(
    body: OrganisationOrder, session: DirectorySession, principal: OrganisationsWriter
) -> OrganisationView:
    """Add an operator (the platform's Admin only) or a client of an operator."""
    return OrganisationView.model_validate(
        await directory.create_organisation(session, principal, body)
    )


@router.get("", response_model=Page[OrganisationView])
async def list_organisations(
    page: PageQuery, session: DirectorySession, _: OrganisationsReader
) -> dict[str, Any]:
    """List the organisations that the caller may see: its own and its clients."""
    found, total = await directory.list_organisations(session, page)
    return page_of([OrganisationView.model_validate(one) for one in found], total, page)


@router.get("/{organisation_id}", responses=problems(NotFound))
async def get_organisation(
    organisation_id: UUID, session: DirectorySession, _: OrganisationsReader
) -> OrganisationView:
    """Read one organisation."""
    found = await directory.find_organisation(session, organisation_id)
    return OrganisationView.model_validate(found)


@router.post(
    "/{organisation_id}/elevate", responses=problems(Forbidden, LoginNeeded, NotFound, Invalid)
)
async def elevate(
    organisation_id: UUID,
    *,
    session: DirectorySession,
    principal: OrganisationsWriter,
    security: SecurityDep,
    login: CurrentLogin,
    body: Elevation | None = None,
) -> ElevatedToken:
    """Give the platform's Admin a token of 15 minutes inside a tenant; the tenant sees it."""
    reason = body.reason if body else ""
    tenant = await directory.note_elevation(session, principal, organisation_id, reason)
    return ElevatedToken(
        access_token=security.tokens.issue(
            user_id=principal.subject,
            session_id=login.session_id,
            organisation_id=tenant.id,
            client_id=None,
            role="Admin",
            epoch=login.epoch,
            ttl_s=security.settings.elevated_token_s,
            elevated=True,
            strong=login.strong,
        ),
        expires_in=security.settings.elevated_token_s,
        token_type="Bearer",  # noqa: S106  (the name of a scheme)
    )
