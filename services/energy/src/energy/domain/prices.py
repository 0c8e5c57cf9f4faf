"""What a kWh of each slot costs, and under which name."""

from decimal import Decimal

import numpy as np

from energy.domain.load import IntArray, Unbillable
from energy.domain.tariff import FLAT, Tariff, Tier
from energy.domain.timeline import FALLBACK

INDEX = "Index"
"""The name under which energy stands that only an index prices."""


def name_of(tariff: Tariff, slot: int) -> str:
    """Return the period's name on a bill."""
    if slot != FALLBACK:
        return tariff.windows[slot - 1].name
    return INDEX if tariff.rate_type == "index" else FLAT


def tiers_of(tariff: Tariff, slot: int) -> tuple[Tier, ...]:
    """Return the steps that price a slot; none where one rate does."""
    if slot != FALLBACK:
        return tariff.windows[slot - 1].tiers
    if tariff.rate_type == "tiered" or (tariff.rate_type == "tou" and tariff.flat_rate is None):
        return tariff.tiers
    return ()


def rate_of(tariff: Tariff, slot: int) -> Decimal:
    """Return a slot's own rate: of an index tariff what is added, of steps the last one's."""
    if steps := tiers_of(tariff, slot):
        return steps[-1].rate
    rate = tariff.windows[slot - 1].rate if slot != FALLBACK else tariff.flat_rate
    if tariff.rate_type == "index":
        return (rate or Decimal(0)) + tariff.adder_per_kwh
    if rate is None:
        raise Unbillable(
            "uncovered", "tou_schedule", "An hour has neither a period nor a fallback."
        )
    return rate


def price_keys(tariff: Tariff) -> IntArray:
    """Return a number for each slot, the same for slots of one name and price."""
    keys: dict[object, int] = {}
    numbers = [
        keys.setdefault(
            (name_of(tariff, slot), tiers_of(tariff, slot), _own_rate(tariff, slot)), len(keys)
        )
        for slot in range(len(tariff.windows) + 1)
    ]
    return np.array(numbers, np.int64)


def _own_rate(tariff: Tariff, slot: int) -> Decimal | None:
    return tariff.windows[slot - 1].rate if slot != FALLBACK else tariff.flat_rate
