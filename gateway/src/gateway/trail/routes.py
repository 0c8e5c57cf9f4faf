"""HTTP of the audit trail."""

from typing import Annotated

from fastapi import APIRouter, Query

from common.audit import AuditLine
from common.db import Session
from common.errors import BadRequest, problems
from common.pages import MAX_PAGE_SIZE, CursorPage
from gateway.auth import AuditReader
from gateway.security import SecurityDep
from gateway.trail.reading import read_trail

router = APIRouter(prefix="/api/audit", tags=["audit"])


@router.get("", responses=problems(BadRequest))
async def read_audit(
    session: Session,
    principal: AuditReader,
    security: SecurityDep,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = 50,
) -> CursorPage[AuditLine]:
    """Read who did what with identities and logins of the organisation, newest first."""
    key = security.settings.internal_key.get_secret_value()
    lines, following = await read_trail(session, principal, cursor, limit, key)
    return CursorPage(items=lines, next_cursor=following)
