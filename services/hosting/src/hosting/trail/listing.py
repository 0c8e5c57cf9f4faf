"""Reading the audit trail."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import first_broken
from common.pages import PageRequest, page_of, paged
from hosting.db import AuditEvent


async def list_audit(
    session: AsyncSession, page: PageRequest, *, action: str | None, object_id: str | None
) -> dict[str, Any]:
    """Return one page of the trail, newest first."""
    query = select(AuditEvent).order_by(AuditEvent.id.desc())
    if action is not None:
        query = query.where(AuditEvent.action == action)
    if object_id is not None:
        query = query.where(AuditEvent.object_id == object_id)
    lines, total = await paged(session, query, page)
    return page_of(list(lines), total, page)


async def first_broken_line(session: AsyncSession, organisation_id: UUID) -> int | None:
    """Return the first line that does not follow from the one before it, if there is one."""
    return await first_broken(session, AuditEvent, organisation_id)
