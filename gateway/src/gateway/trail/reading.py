"""Reading the audit trail of identity, newest first."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import AuditLine
from common.auth import Principal
from common.pages import decode_cursor, encode_cursor
from gateway.db import AuditEvent


async def read_trail(
    session: AsyncSession, principal: Principal, cursor: str | None, limit: int, key: str
) -> tuple[list[AuditLine], str | None]:
    """Return a step through the organisation's trail, and the cursor of the next."""
    query = (
        select(AuditEvent)
        .where(AuditEvent.organisation_id == principal.organisation_id)
        .order_by(AuditEvent.id.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        query = query.where(AuditEvent.id < decode_cursor(cursor, key)[0])
    rows = list(await session.scalars(query))
    lines = [AuditLine.model_validate(row) for row in rows[:limit]]
    following = encode_cursor([lines[-1].id], key) if len(rows) > limit else None
    return lines, following
