"""HTTP of users."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Request

from common.auth import AnyPrincipal
from common.errors import Forbidden, NotFound, Unavailable, problems
from common.pages import Page, PageQuery, page_of
from common.runtime import RuntimeDep
from gateway.auth import OrganisationsReader, OrganisationsWriter
from gateway.db import DirectorySession
from gateway.security import SecurityDep
from gateway.users import registry
from gateway.users.registry import EmailTaken, RoleDoesNotFit, WeakPassword
from gateway.users.schemas import Me, NewUser, UserChange, UserOrder, UserView

router = APIRouter(prefix="/api", tags=["users"])
_USERS = "/organisations/{organisation_id}/users"


@router.get("/me")
async def get_me(request: Request, principal: AnyPrincipal, runtime: RuntimeDep) -> Me:
    """Say who the caller is, for which organisation it acts and what it may do."""
    login = getattr(request.state, "login", None)
    elevated = login is not None and login.elevated
    return await registry.whoami(runtime, principal, elevated=elevated)


@router.post(
    _USERS,
    status_code=201,
    responses=problems(Forbidden, NotFound, EmailTaken, RoleDoesNotFit, WeakPassword, Unavailable),
)
async def create_user(
    organisation_id: UUID,
    body: UserOrder,
    session: DirectorySession,
    principal: OrganisationsWriter,
    security: SecurityDep,
) -> NewUser:
    """Add a member. Without a password one is made, and shown in this answer only."""
    password, generated = await registry.chosen_password(session, organisation_id, body)
    hashed = await security.passwords.hash(password)
    user = await registry.add_user(session, principal, organisation_id, body, hashed)
    view = UserView.model_validate(user)
    return NewUser(**view.model_dump(), password=password if generated else None)


@router.get(_USERS, response_model=Page[UserView], responses=problems(NotFound))
async def list_users(
    organisation_id: UUID, page: PageQuery, session: DirectorySession, _: OrganisationsReader
) -> dict[str, Any]:
    """List an organisation's members."""
    found, total = await registry.list_users(session, organisation_id, page)
    return page_of([UserView.model_validate(one) for one in found], total, page)


@router.patch(_USERS + "/{user_id}", responses=problems(Forbidden, NotFound, RoleDoesNotFit))
async def change_user(
    organisation_id: UUID,
    user_id: UUID,
    *,
    body: UserChange,
    session: DirectorySession,
    principal: OrganisationsWriter,
    security: SecurityDep,
    runtime: RuntimeDep,
    after: BackgroundTasks,
) -> UserView:
    """Change a member's role or lock the member out. Access tokens already issued end."""
    user = await registry.change_user(session, principal, organisation_id, user_id, body)
    after.add_task(security.revoke, runtime, user_id)  # after the commit
    return UserView.model_validate(user)


@router.delete(_USERS + "/{user_id}", status_code=204, responses=problems(Forbidden, NotFound))
async def erase_user(
    organisation_id: UUID,
    user_id: UUID,
    *,
    session: DirectorySession,
    principal: OrganisationsWriter,
    security: SecurityDep,
    runtime: RuntimeDep,
    after: BackgroundTasks,
) -> None:
    """Erase a member's address and password and end all access; the audit trail keeps the id."""
    await registry.erase_user(session, principal, organisation_id, user_id)
    after.add_task(security.revoke, runtime, user_id)  # after the commit
