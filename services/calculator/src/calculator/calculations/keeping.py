"""Answering a calculation, and keeping it where the caller has a history."""

from calculator.calculations import rating
from calculator.calculations.basis import (
    CurrencyUnknown,
    ElectricityUnclear,
    MachineUnclear,
    RateUnknown,
    RateVaries,
)
from calculator.calculations.schemas import Calculation, CalculationRequest
from calculator.history import archive
from calculator.miner_models.registry import MinerModelNotFound
from calculator.quotes.current import MarketUnknown
from common.auth import Principal
from common.runtime import Runtime

REFUSALS = (
    MachineUnclear,
    MinerModelNotFound,
    ElectricityUnclear,
    RateUnknown,
    RateVaries,
    CurrencyUnknown,
    MarketUnknown,
)
"""What a calculation may raise."""


async def answer(runtime: Runtime, caller: Principal, asked: CalculationRequest) -> Calculation:
    """Calculate, and keep the result for a user; raises one of `REFUSALS`."""
    found = await rating.calculate(runtime, caller, asked)
    entry_id = await archive.keep_apart(
        runtime,
        caller,
        "calculation",
        title_of(found),
        summary=found.model_dump(include={"btc_per_day", "profit_usd_per_day"}),
        request=asked,
        result=found,
    )
    return found if entry_id is None else found.model_copy(update={"id": entry_id})


def title_of(found: Calculation) -> str:
    """Return how a calculation is called in a list."""
    machine = found.model or (
        f"{found.inputs['hashrate_ths'].value:,g} TH/s, {found.inputs['power_w'].value:,g} W"
    )
    return machine if found.count == 1 else f"{found.count:,} x {machine}"
