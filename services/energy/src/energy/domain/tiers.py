"""Steps of a price: which of them each kWh falls into.

The meter's own total decides, whatever the period. With `pro_rata` the month's total is spread
over the steps, and each period's energy in the same shares; a daily limit counts once for each day
of the month. With `chronological` the running total decides, from the month's first second; a
daily limit begins anew each local midnight.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from energy.domain.load import MILLIWATT_HOURS, IntArray, Integers
from energy.domain.tariff import Tariff, Tier


def limits_kwh(
    tariff: Tariff, tiers: Sequence[Tier], days: Fraction, kw: Fraction
) -> list[Fraction]:
    """Return where each step but the last ends, in kWh of the month or the day."""
    factor = Fraction(1)
    if tariff.tier_unit == "kwh_per_kw":
        factor = kw
    elif tariff.tier_unit == "kwh_per_day" and tariff.tier_rule == "pro_rata":
        factor = days
    return [Fraction(tier.up_to_kwh) * factor for tier in tiers if tier.up_to_kwh is not None]


def spread(total: Fraction, limits: Sequence[Fraction]) -> list[Fraction]:
    """Return how much of a total falls into each step."""
    tops = [min(limit, total) for limit in limits] + [total]
    return [top - low for low, top in zip([Fraction(0), *tops[:-1]], tops, strict=True)]


@dataclass(frozen=True, eq=False)
class Steps:
    """Each piece's energy by step, in units; a limit inside a unit moves a part of one."""

    parts: list[Integers]
    moved: list[tuple[int, int, Fraction]]
    """(piece, step, part of a unit to add)."""


def by_running_total(
    units: Integers, scale: int, group: IntArray, limits: Sequence[Sequence[Fraction]]
) -> Steps:
    """Return the pieces' steps; `group` ascends from 0, and so many limits stand for each group."""
    after = np.cumsum(units)
    first = np.searchsorted(group, np.arange(len(limits)))
    base = np.concatenate((after[:0], [0], after))[first]
    after = after - base[group]
    before = after - units
    most = int(units.sum()) + 1
    exact = [
        [min(limit * scale * MILLIWATT_HOURS, Fraction(most)) for limit in row] for row in limits
    ]
    floors = np.array([[math.floor(one) for one in row] for row in exact], units.dtype)
    floors = floors.reshape(len(limits), -1)
    parts: list[Integers] = []
    low = np.zeros(len(units), units.dtype)
    for step in range(floors.shape[1] + 1):
        last = step == floors.shape[1]
        high = after if last else np.maximum(floors[:, step][group], low)
        parts.append(_within(after, low, high) - _within(before, low, high))
        low = high
    moved: list[tuple[int, int, Fraction]] = []
    for number, row in enumerate(exact):
        for step, limit in enumerate(row):
            if limit != math.floor(limit):
                crossed = (before <= math.floor(limit)) & (after > math.floor(limit))
                moved += _moved(np.flatnonzero((group == number) & crossed), step, limit)
    return Steps(parts, moved)


def _within(values: Integers, low: Integers, high: Integers) -> Integers:
    return np.minimum(np.maximum(values, low), high)


def _moved(crossing: IntArray, step: int, limit: Fraction) -> list[tuple[int, int, Fraction]]:
    """Give a step the part of a unit by which its limit was rounded down, in the piece it cuts."""
    part = limit - math.floor(limit)
    return [
        change
        for piece in crossing[:1].tolist()
        for change in ((piece, step, part), (piece, step + 1, -part))
    ]
