"""HTTP of the calculation."""

from fastapi import APIRouter

from calculator.calculations import rating
from calculator.calculations.basis import (
    CurrencyUnknown,
    ElectricityUnclear,
    MachineUnclear,
    RateUnknown,
)
from calculator.calculations.schemas import Calculation, CalculationRequest
from calculator.history import archive
from calculator.miner_models.registry import MinerModelNotFound
from calculator.quotes.current import MarketUnknown
from common.auth import Anyone
from common.db import Session
from common.errors import problems
from common.runtime import RuntimeDep

router = APIRouter(prefix="/api/calculator", tags=["calculations"])
REFUSALS = (
    MachineUnclear,
    MinerModelNotFound,
    ElectricityUnclear,
    RateUnknown,
    CurrencyUnknown,
    MarketUnknown,
)


@router.post("/calculate", responses=problems(*REFUSALS))
async def calculate(
    body: CalculationRequest, session: Session, runtime: RuntimeDep, caller: Anyone
) -> Calculation:
    """Calculate what a machine earns and costs in a day, and when it has paid for itself.

    What the request leaves out comes from the market, the model's nameplate or a default; `inputs`
    states each with its source and age. Nothing of the market is needed where price, difficulty
    and subsidy are given. With a login the result is kept in the history.
    """
    found = await rating.calculate(session, runtime, body)
    entry = await archive.keep(
        session,
        caller,
        "calculation",
        title_of(found),
        summary=found.model_dump(include={"btc_per_day", "profit_usd_per_day"}),
        request=body,
        result=found,
    )
    return found if entry is None else found.model_copy(update={"id": entry.id})


def title_of(found: Calculation) -> str:
    """Return how a calculation is called in a list."""
    machine = found.model or (
        f"{found.inputs['hashrate_ths'].value:,g} TH/s, {found.inputs['power_w'].value:,g} W"
    )
    return machine if found.count == 1 else f"{found.count:,} x {machine}"
