"""What classes of machines earn and cost at a site: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from energy.domain.signalling import break_even

_PLACES = Decimal("1e-8")
State = Literal["run", "stop", "unknown"]


@dataclass(frozen=True, slots=True)
class MachineClass:
    """Machines of one model at a site, and what one of them does."""

    model: str
    machines: int
    hashrate_ths: Decimal | None
    power_w: Decimal | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a class earns its power at a price."""

    machine_class: MachineClass
    efficiency_j_per_th: Decimal | None
    break_even_usd_per_kwh: Decimal | None
    """The price of power at which it earns nothing, before pool fees."""
    break_even_btc_price_usd: Decimal | None
    """The price of a bitcoin at which it earns nothing, at this price of power."""
    margin_usd_per_kwh: Decimal | None
    state: State
    reason: str | None

    @property
    def power_kw(self) -> Decimal:
        """Return what the whole class draws."""
        one = self.machine_class
        return (one.power_w or Decimal(0)) * one.machines / 1000


def verdict(
    machines: MachineClass,
    hashprice_usd_per_ths_day: Decimal | None,
    btc_price_usd: Decimal | None,
    price_usd_per_kwh: Decimal | None,
) -> Verdict:
    """Return how a class stands at a price of power, and at the quote's worth of a hash."""
    if not machines.hashrate_ths or not machines.power_w:
        return Verdict(machines, None, None, None, None, "unknown", "unknown_miner_model")
    efficiency = _rounded(machines.power_w / machines.hashrate_ths)
    if hashprice_usd_per_ths_day is None:
        return Verdict(machines, efficiency, None, None, None, "unknown", "no_quote")
    even = break_even(hashprice_usd_per_ths_day, machines.hashrate_ths, machines.power_w)
    if price_usd_per_kwh is None:
        return Verdict(machines, efficiency, _rounded(even), None, None, "unknown", "no_price")
    btc = btc_price_usd * price_usd_per_kwh / even if btc_price_usd and even else None
    return Verdict(
        machines,
        efficiency,
        _rounded(even),
        None if btc is None else _rounded(btc),
        _rounded(even - price_usd_per_kwh),
        "run" if even >= price_usd_per_kwh else "stop",  # at break-even nothing is gained by a stop
        None,
    )


def losing(verdicts: Sequence[Verdict], price_usd_per_kwh: Decimal) -> list[Verdict]:
    """Return the classes that lose at a price, those that lose most first."""
    found = [
        one
        for one in verdicts
        if one.break_even_usd_per_kwh is not None and one.break_even_usd_per_kwh < price_usd_per_kwh
    ]
    return sorted(found, key=lambda one: (one.break_even_usd_per_kwh, one.machine_class.model))


def loss_usd_per_hour(verdicts: Sequence[Verdict], price_usd_per_kwh: Decimal) -> Decimal:
    """Return what running the losing classes loses in an hour."""
    return sum(
        (
            one.power_kw * (price_usd_per_kwh - (one.break_even_usd_per_kwh or Decimal(0)))
            for one in losing(verdicts, price_usd_per_kwh)
        ),
        Decimal(0),
    )


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_PLACES, ROUND_HALF_UP)
