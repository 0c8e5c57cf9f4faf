"""HTTP of the projection."""

from fastapi import APIRouter

from calculator.calculations.keeping import REFUSALS
from calculator.projections import outlook
from calculator.projections.outlook import HorizonUnclear, PricePathUnclear
from calculator.projections.schemas import (
    Projection,
    ProjectionRequest,
    Sensitivity,
    SensitivityRequest,
)
from common.auth import Anyone
from common.errors import problems
from common.runtime import RuntimeDep

router = APIRouter(prefix="/api/calculator", tags=["calculations"])
_REFUSALS = problems(*REFUSALS, HorizonUnclear, PricePathUnclear)


@router.post("/projection", responses=_REFUSALS)
async def project(body: ProjectionRequest, runtime: RuntimeDep, caller: Anyone) -> Projection:
    """Project what a machine earns over months, summed by day.

    Difficulty grows at each retarget, the subsidy halves at its height, the price follows its path
    or stays; the machine runs on where it does not pay. With a login it is kept in the history.
    """
    return await outlook.answer(runtime, caller, body)


@router.post("/projection/sensitivity", responses=_REFUSALS)
async def project_otherwise(
    body: SensitivityRequest, runtime: RuntimeDep, caller: Anyone
) -> Sensitivity:
    """Repeat a projection at every combination of changes in price, power price and difficulty."""
    return outlook.grid_of(await outlook.outlook(runtime, caller, body), body)
