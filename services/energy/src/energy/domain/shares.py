"""What each piece of a load costs, and each machine of what a site's half-hour costs."""

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from energy.domain import tiers
from energy.domain.charges import steps_of
from energy.domain.load import MILLIWATT_HOURS, NANO, IntArray, Integers
from energy.domain.measures import NOTHING, Laid, MonthMeasure, running_steps
from energy.domain.prices import rate_of, tiers_of
from energy.domain.tariff import Tariff


def cost_of_pieces(tariff: Tariff, laid: Laid, found: list[MonthMeasure]) -> tuple[Integers, int]:
    """Return units times price in nano-currency, over one denominator."""
    running = running_steps(tariff, laid, found)
    prices = {
        (slot, number): _price(tariff, one, slot) * NANO
        for number, one in enumerate(found)
        for slot in one.used
        if slot not in running
    }
    known = [*prices.values(), *_moved(tariff, running)]
    known += [Fraction(t.rate) * NANO for slot in running for t in tiers_of(tariff, slot)]
    common = math.lcm(1000, *(one.denominator for one in known))
    cost = np.zeros(len(laid.slot), object)
    for (slot, number), price in prices.items():
        chosen = (laid.slot == slot) & (laid.month == number)
        cost[chosen] = laid.taken[chosen].astype(object) * int(price * common)
    for slot, steps in running.items():
        chosen = laid.slot == slot
        rates = [Fraction(tier.rate) * NANO * common for tier in tiers_of(tariff, slot)]
        for rate, units in zip(rates, steps.parts, strict=True):
            cost[chosen] += units[chosen].astype(object) * int(rate)
        for piece, step, part in steps.moved:
            cost[piece] += int(part * rates[step]) * int(chosen[piece])
    if laid.index is not None:
        cost += laid.taken.astype(object) * laid.index.astype(object) * (common // 1000)
    return cost, common


def _moved(tariff: Tariff, running: Mapping[int, tiers.Steps]) -> list[Fraction]:
    return [
        part * Fraction(tiers_of(tariff, slot)[step].rate) * NANO
        for slot, steps in running.items()
        for _, step, part in steps.moved
    ]


def _price(tariff: Tariff, one: MonthMeasure, slot: int) -> Fraction:
    """Return what a kWh of a slot costs in a month, its steps taken together."""
    if steps := tiers_of(tariff, slot):
        parts = zip(steps_of(tariff, one, slot), steps, strict=True)
        return sum((kwh * Fraction(step.rate) for kwh, step in parts), NOTHING) / one.used[slot]
    return Fraction(rate_of(tariff, slot))


def amounts_nano(mwh_e6: IntArray, nano_per_kwh: IntArray) -> IntArray:
    """Return energy times price in nano-currency, half up; shapes broadcast."""
    whole, rest = np.divmod(mwh_e6, MILLIWATT_HOURS)
    return whole * nano_per_kwh + (rest * nano_per_kwh + MILLIWATT_HOURS // 2) // MILLIWATT_HOURS


def shares_nano(cost_nano: IntArray, machine_mwh_e6: IntArray) -> IntArray:
    """Spread each half-hour's cost over its machines, by their energy.

    Rows are machines, columns half-hours. The shares of a half-hour add up to its cost exactly:
    each is what it adds to the running sum, rounded down, so none is off by a nano or more. Where
    nothing was used nobody has a share.
    """
    if not len(machine_mwh_e6):
        return machine_mwh_e6
    running = np.cumsum(machine_mwh_e6, axis=0)
    whole = np.maximum(running[-1], 1)
    nano_a_unit, rest = np.divmod(cost_nano, whole)
    up_to = running * nano_a_unit + _part_of(rest, running, whole)
    return np.diff(up_to, axis=0, prepend=0)


def _part_of(amount: IntArray, part: IntArray, whole: IntArray) -> IntArray:
    """Return amount * part // whole; neither of the two exceeds the whole.

    Their product may not fit 64 bits, so the amount is taken digit by digit, as by hand, in
    digits as long as fit, with what a division leaves over carried on to the next.
    """
    bits = int(whole.max(initial=1)).bit_length()
    width = 62 - bits
    found, left = np.zeros_like(part), np.zeros_like(part)
    for digit in range(-(-bits // width) - 1, -1, -1):
        taken = (amount >> digit * width) & ((1 << width) - 1)
        quotient, left = np.divmod((left << width) + part * taken, whole)
        found = (found << width) + quotient
    return found
