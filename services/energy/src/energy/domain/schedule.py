"""What the features ask about a tariff's hours: the price at an instant, and of half-hours.

Loads, prices of an index, coverage and defects are named here too, so that a feature has one
module to import beside `billing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np

from energy.domain.coverage import Coverage, Span, coverage
from energy.domain.load import (
    NANO,
    ROOM,
    IndexPrices,
    IntArray,
    Integers,
    Interval,
    Load,
    Unbillable,
    cut,
    rows_at,
)
from energy.domain.prices import name_of, price_keys, rate_of, tiers_of
from energy.domain.tariff import Tariff, Tier
from energy.domain.timeline import FALLBACK, timeline
from energy.domain.validation import Defect, defects
from energy.domain.zone import YearMonth, instant_of, seconds_of

__all__ = [
    "Coverage",
    "Defect",
    "HalfHourPrices",
    "IndexPrices",
    "Interval",
    "Load",
    "PricedPeriod",
    "Span",
    "Unbillable",
    "YearMonth",
    "coverage",
    "defects",
    "half_hour_prices",
    "period_at",
]

HORIZONS_DAYS = (8, 45, 400)


@dataclass(frozen=True, slots=True)
class PricedPeriod:
    """What a kWh costs at an instant, and how long it does."""

    name: str
    rate: Decimal | None
    """Of a tiered price the last step's; None: the index has no price for this instant."""
    tiers: tuple[Tier, ...]
    starts_at: datetime | None
    """None: for longer than a year."""
    ends_at: datetime | None


def period_at(tariff: Tariff, instant: datetime, index: IndexPrices | None = None) -> PricedPeriod:
    """Return the period at an instant, and the instants between which its price holds."""
    second = seconds_of(instant)
    keys = price_keys(tariff)
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    slot = FALLBACK
    # Without a schedule there is nothing to look for, however far.
    for days in HORIZONS_DAYS if tariff.windows else ():
        line = timeline(tariff, second - days * 86_400, second + days * 86_400)
        found = keys[line.slot]
        here = int(line.rows_at(np.array([second]))[0])
        slot = int(line.slot[here])
        earlier = np.flatnonzero(found[:here] != found[here])
        later = np.flatnonzero(found[here:] != found[here])
        starts_at = instant_of(int(line.ends_s[earlier[-1]])) if earlier.size else None
        ends_at = instant_of(int(line.starts_s[here + later[0]])) if later.size else None
        if starts_at and ends_at:
            break
    rate: Decimal | None = rate_of(tariff, slot)
    if tariff.rate_type == "index":
        rate, starts_at, ends_at = _with_index(rate, second, starts_at, ends_at, index)
    return PricedPeriod(name_of(tariff, slot), rate, tiers_of(tariff, slot), starts_at, ends_at)


def _with_index(
    added: Decimal | None,
    second: int,
    starts_at: datetime | None,
    ends_at: datetime | None,
    index: IndexPrices | None,
) -> tuple[Decimal | None, datetime | None, datetime | None]:
    row = -1 if index is None else int(np.searchsorted(index.starts_s, second, side="right")) - 1
    if index is None or row < 0 or second >= index.ends_s[row]:
        return None, starts_at, ends_at
    starts, ends = (instant_of(int(one[row])) for one in (index.starts_s, index.ends_s))
    price = Decimal(int(index.nano_per_mwh[row])) / NANO / 1000 + (added or 0)
    return price, max(starts, starts_at or starts), min(ends, ends_at or ends)


@dataclass(frozen=True, eq=False)
class HalfHourPrices:
    """Energy prices of half-hours."""

    nano_per_kwh: IntArray
    """The mean over the half-hour, in 1e-9 of the currency."""
    split: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    """Whether the price changes inside the half-hour."""


def half_hour_prices(
    tariff: Tariff, starts: Sequence[datetime] | IntArray, index: IndexPrices | None = None
) -> HalfHourPrices:
    """Return the mean energy price of each half-hour, ascending and not overlapping.

    Of a tiered price it is the last step's: what one kWh more costs a large site.
    """
    starts_s = starts if isinstance(starts, np.ndarray) else _seconds(starts)
    count = len(starts_s)
    if not count:
        return HalfHourPrices(starts_s, np.zeros(0, np.bool_))
    line = timeline(tariff, int(starts_s[0]), int(starts_s[-1]) + 1800)
    ones = Load.of_half_hours(starts_s, np.full(count, 1800, np.int64))
    edges = [line.starts_s] if index is None else [line.starts_s, index.edges()]
    pieces = cut(ones, edges)
    used, where = np.unique(line.slot[rows_at(line.starts_s, pieces.starts_s)], return_inverse=True)
    rates = [int(rate_of(tariff, int(slot)) * NANO * 1000) for slot in used]
    small = max(map(abs, rates)) < ROOM // 1800 // 2
    prices: Integers = np.array(rates, np.int64 if small else np.object_)[where]
    if tariff.rate_type == "index":
        if index is None:
            raise Unbillable("price_missing", "index", "An index tariff needs the index's prices.")
        prices = prices + index.at(pieces.starts_s)
    total = np.zeros(count, prices.dtype)
    np.add.at(total, pieces.interval, prices * (pieces.ends_s - pieces.starts_s))
    change = (prices[1:] != prices[:-1]) & (pieces.interval[1:] == pieces.interval[:-1])
    split = np.zeros(count, np.bool_)
    split[pieces.interval[1:][change]] = True
    return HalfHourPrices(((total + 900_000) // 1_800_000).astype(np.int64), split)


def _seconds(starts: Sequence[datetime]) -> IntArray:
    return np.array([seconds_of(start) for start in starts], np.int64)
