"""When a class of machine earns less than its power costs. Prices are USD per kWh."""

from decimal import Decimal
from typing import Literal

State = Literal["run", "stop"]
_HOURS = Decimal(24)
_W_PER_KW = Decimal(1000)


def break_even(
    hashprice_usd_per_ths_day: Decimal, hashrate_ths: Decimal, power_w: Decimal
) -> Decimal:
    """Return the price of a kWh at which a machine earns exactly what its power costs."""
    earned = hashprice_usd_per_ths_day * hashrate_ths
    return earned / (power_w * _HOURS / _W_PER_KW)


def decide(
    before: State | None, price: Decimal, worth: Decimal, hysteresis_percent: Decimal
) -> State:
    """Return whether to run at a price, where a kWh is `worth` so much.

    A change of mind takes a difference: above `worth` by the hysteresis to stop what runs, below
    it by as much to start what is stopped. At exactly break-even a machine that nothing is known
    of runs: a restart costs more than it saves.
    """
    margin = abs(worth) * hysteresis_percent / 100
    if before is None:
        return "stop" if price > worth else "run"
    if before == "run":
        return "stop" if price > worth + margin else "run"
    return "run" if price < worth - margin else "stop"
