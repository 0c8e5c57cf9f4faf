"""HTTP of repetitions."""

from uuid import UUID

from fastapi import APIRouter

from calculator.auth import CalculationsRunner
from calculator.batches.running import BatchNotFound
from calculator.calculations.keeping import REFUSALS
from calculator.history.archive import CalculationNotFound
from calculator.reruns import again
from calculator.reruns.again import OnlyUsers
from calculator.reruns.schemas import Rerun
from common.db import Session
from common.errors import problems
from common.runtime import RuntimeDep

router = APIRouter(prefix="/api/calculator/history", tags=["history"])


@router.post(
    "/{calculation_id}/rerun",
    status_code=201,
    responses=problems(CalculationNotFound, BatchNotFound, OnlyUsers, *REFUSALS),
)
async def rerun_calculation(
    calculation_id: UUID, session: Session, runtime: RuntimeDep, principal: CalculationsRunner
) -> Rerun:
    """Make a calculation of the history again, with today's market where it was used."""
    return await again.rerun(session, runtime, principal, calculation_id)
