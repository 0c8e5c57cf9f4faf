"""Reads alerts, behind the tenant wall."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.pages import Page, PageRequest, page_of, paged
from telemetry.alerts.models import Alert
from telemetry.alerts.schemas import Alert as AlertOut


async def alerts(
    session: AsyncSession,
    page: PageRequest,
    *,
    site_id: UUID | None,
    miner_id: UUID | None,
    is_open: bool | None,
) -> Page[AlertOut]:
    """Return alerts, newest first."""
    query = select(Alert).order_by(Alert.fired_at.desc(), Alert.id.desc())
    if site_id is not None:
        query = query.where(Alert.site_id == site_id)
    if miner_id is not None:
        query = query.where(Alert.miner_id == miner_id)
    if is_open is not None:
        cleared = Alert.cleared_at
        query = query.where(cleared.is_(None) if is_open else cleared.is_not(None))
    rows, total = await paged(session, query, page)
    items = [AlertOut.model_validate(row) for row in rows]
    return Page[AlertOut](**page_of(items, total, page))
