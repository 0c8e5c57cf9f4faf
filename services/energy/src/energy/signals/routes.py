"""HTTP of the signals."""

from typing import Literal
from uuid import UUID

from fastapi import APIRouter

from common.db import Session
from common.pages import Page, PageQuery
from energy.auth import TariffsReader
from energy.signals import reading
from energy.signals.schemas import SignalView

router = APIRouter(prefix="/api/electricity", tags=["signals"])


@router.get("/signals", response_model=Page[SignalView])
async def list_signals(
    session: Session,
    _: TariffsReader,
    page: PageQuery,
    site_id: UUID | None = None,
    state: Literal["run", "stop"] | None = None,
) -> object:
    """Say for each class of machine at each site whether it earns what its power costs."""
    return await reading.list_signals(session, page, site_id, state)
