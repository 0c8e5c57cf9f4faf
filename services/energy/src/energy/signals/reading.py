"""Signals as they are asked for."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.pages import PageRequest, page_of, paged
from energy.signals.models import EnergySignal
from energy.signals.schemas import SignalView


async def list_signals(
    session: AsyncSession, page: PageRequest, site_id: UUID | None, state: str | None
) -> dict[str, Any]:
    """Return the signals of an organisation, by site and class."""
    query = select(EnergySignal).order_by(EnergySignal.site_id, EnergySignal.miner_model)
    if site_id is not None:
        query = query.where(EnergySignal.site_id == site_id)
    if state is not None:
        query = query.where(EnergySignal.state == state)
    rows, total = await paged(session, query, page)
    items = [SignalView.model_validate(row, from_attributes=True) for row in rows]
    return page_of(items, total, page)
