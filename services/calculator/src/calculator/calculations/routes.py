"""HTTP of the calculation."""

from fastapi import APIRouter

from calculator.calculations import keeping
from calculator.calculations.keeping import REFUSALS
from calculator.calculations.schemas import Calculation, CalculationRequest
from common.auth import Anyone
from common.errors import problems
from common.runtime import RuntimeDep

router = APIRouter(prefix="/api/calculator", tags=["calculations"])


@router.post("/calculate", responses=problems(*REFUSALS))
async def calculate(body: CalculationRequest, runtime: RuntimeDep, caller: Anyone) -> Calculation:
    """Calculate what a machine earns and costs in a day, and when it has paid for itself.

    What the request leaves out comes from the market, the model's nameplate or a default; `inputs`
    states each with its source and age. Nothing of the market is needed where price, difficulty
    and subsidy are given. With a login the result is kept in the history.
    """
    return await keeping.answer(runtime, caller, body)
