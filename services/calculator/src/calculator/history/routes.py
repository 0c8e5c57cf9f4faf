"""HTTP of the history."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from calculator.auth import CalculationsReader, CalculationsRunner
from calculator.history import archive
from calculator.history.archive import CalculationNotFound, NotComparable
from calculator.history.schemas import (
    Comparison,
    HistoryDetail,
    HistoryItem,
    Kind,
    SharedCalculation,
    ShareLink,
)
from common.auth import Anyone
from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery
from common.runtime import RuntimeDep

router = APIRouter(prefix="/api/calculator", tags=["history"])


@router.get("/history", response_model=Page[HistoryItem])
async def list_history(
    session: Session,
    principal: CalculationsReader,
    page: PageQuery,
    kind: Annotated[Kind | None, Query(description="Only these")] = None,
) -> object:
    """List what the caller has calculated, newest first."""
    return await archive.list_entries(session, principal, page, kind)


@router.get("/history/compare", responses=problems(CalculationNotFound, NotComparable))
async def compare_calculations(
    first: Annotated[UUID, Query(description="One calculation of the history")],
    second: Annotated[UUID, Query(description="Another of the same kind")],
    session: Session,
    principal: CalculationsReader,
) -> Comparison:
    """Compare two calculations of the history, number by number."""
    return await archive.compare(session, principal, first, second)


@router.get("/history/{calculation_id}", responses=problems(CalculationNotFound))
async def get_calculation(
    calculation_id: UUID, session: Session, principal: CalculationsReader
) -> HistoryDetail:
    """Show a calculation of the history, as it was asked and answered."""
    return archive.detail_of(await archive.entry_of(session, principal, calculation_id))


@router.delete(
    "/history/{calculation_id}", status_code=204, responses=problems(CalculationNotFound)
)
async def remove_calculation(
    calculation_id: UUID, session: Session, principal: CalculationsRunner
) -> None:
    """Delete a calculation from the history, and with it its link and its rows."""
    await archive.remove(session, principal, calculation_id)


@router.post(
    "/history/{calculation_id}/share", status_code=201, responses=problems(CalculationNotFound)
)
async def share_calculation(
    calculation_id: UUID, session: Session, principal: CalculationsRunner
) -> ShareLink:
    """Make a link that shows this calculation to whoever has it.

    The link is shown once and cannot be guessed. Asking again makes a new one and ends the old.
    """
    return await archive.share(session, principal, calculation_id)


@router.delete(
    "/history/{calculation_id}/share", status_code=204, responses=problems(CalculationNotFound)
)
async def unshare_calculation(
    calculation_id: UUID, session: Session, principal: CalculationsRunner
) -> None:
    """End the link to this calculation."""
    await archive.unshare(session, principal, calculation_id)


@router.get("/shared/{token}", responses=problems(CalculationNotFound))
async def get_shared_calculation(
    token: Annotated[str, Path(min_length=20, max_length=64)], runtime: RuntimeDep, _: Anyone
) -> SharedCalculation:
    """Show a calculation that somebody shares by link. Nothing says whose it is."""
    return await archive.shared(runtime, token)
