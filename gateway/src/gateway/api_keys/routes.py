"""HTTP of API keys."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks

from common.db import Session
from common.errors import NotFound, problems
from common.pages import Page, PageQuery, page_of
from common.runtime import RuntimeDep
from gateway.api_keys import keyring
from gateway.api_keys.keyring import NoSuchScope, ScopeNotHeld
from gateway.api_keys.schemas import ApiKeyOrder, ApiKeyView, NewApiKey
from gateway.auth import ApiKeysWriter, CurrentLogin, LoginNeeded
from gateway.security import SecurityDep

router = APIRouter(prefix="/api/api-keys", tags=["api keys"])


@router.post("", status_code=201, responses=problems(ScopeNotHeld, NoSuchScope, LoginNeeded))
async def create_api_key(
    body: ApiKeyOrder,
    session: Session,
    principal: ApiKeysWriter,
    security: SecurityDep,
    _: CurrentLogin,
) -> NewApiKey:
    """Make an API key with some of the caller's permissions. Its secret is shown only here."""
    return await keyring.create_key(session, security, principal, body)


@router.get("", response_model=Page[ApiKeyView])
async def list_api_keys(page: PageQuery, session: Session, _: ApiKeysWriter) -> dict[str, Any]:
    """List the organisation's API keys, revoked ones too."""
    found, total = await keyring.list_keys(session, page)
    return page_of([ApiKeyView.model_validate(key) for key in found], total, page)


@router.delete("/{key_id}", status_code=204, responses=problems(NotFound))
async def revoke_api_key(
    key_id: UUID,
    *,
    session: Session,
    principal: ApiKeysWriter,
    security: SecurityDep,
    runtime: RuntimeDep,
    after: BackgroundTasks,
) -> None:
    """Revoke an API key; it ends at once."""
    await keyring.revoke_key(session, principal, key_id)
    after.add_task(security.revoke, runtime, key_id)  # after the commit
