"""Loads as they might have been: with their peaks cut, or with dear energy at cheap hours. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from energy.costs.packing import Ints

TOP_HALF_HOURS = (1, 2, 4, 8, 16, 48)
SHARES_PERCENT = (10, 25, 50, 100)


@dataclass(frozen=True, eq=False, slots=True)
class Shaved:
    """A load whose highest half-hours are cut down to a level."""

    target_kw: Decimal
    cut_kw: Decimal
    half_hours: int
    kwh_e6: Ints
    """What is left of each half-hour."""


def shaved(kwh_e6: Ints) -> list[Shaved]:
    """Return a load cut down to the level below its 1, 2, 4, … highest half-hours."""
    levels = np.sort(kwh_e6)[::-1]
    found: dict[int, Shaved] = {}
    for top in TOP_HALF_HOURS:
        if top >= len(levels):
            break
        target = int(levels[top])
        if target < levels[0] and target not in found:
            found[target] = Shaved(
                target_kw=_kw(target),
                cut_kw=_kw(int(levels[0]) - target),
                half_hours=int((kwh_e6 > target).sum()),
                kwh_e6=np.minimum(kwh_e6, target),
            )
    return list(found.values())


def _kw(kwh_e6: int) -> Decimal:
    return Decimal(2 * kwh_e6).scaleb(-6)


@dataclass(frozen=True, eq=False, slots=True)
class Moved:
    """A load whose dearest energy is at each day's cheapest hours, as far as there is room."""

    share_percent: int
    wanted_kwh: Decimal
    moved_kwh: Decimal
    kwh_e6: Ints


def moved(kwh_e6: Ints, price_nano: Ints, days: Ints, most_kwh_e6: int) -> list[Moved]:
    """Return a load with 10, 25, 50 and 100 % of each day's dearest energy moved.

    No half-hour takes more than the site can draw (`most_kwh_e6`).
    """
    return [_moved(kwh_e6, price_nano, days, most_kwh_e6, share) for share in SHARES_PERCENT]


def _moved(kwh_e6: Ints, price_nano: Ints, days: Ints, most: int, share: int) -> Moved:
    after = kwh_e6.copy()
    wanted = total = 0
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        dear = rows[price_nano[rows] == price_nano[rows].max()]
        cheap = rows[price_nano[rows] < price_nano[rows].max()]
        cheap = cheap[np.argsort(price_nano[cheap], kind="stable")]
        takeable = after[dear] * share // 100
        room = np.maximum(most - after[cheap], 0)
        amount = min(int(takeable.sum()), int(room.sum()))
        wanted += int(takeable.sum())
        total += amount
        after[dear] -= _filled(takeable, amount)
        after[cheap] += _filled(room, amount)
    return Moved(share, Decimal(wanted).scaleb(-6), Decimal(total).scaleb(-6), after)


def _filled(limits: Ints, amount: int) -> Ints:
    """Spread an amount over places in order, each up to its limit."""
    upto = np.minimum(np.cumsum(limits), amount)
    return np.diff(upto, prepend=0)


def windows(keys: Iterable[object]) -> list[tuple[int, int]]:
    """Return runs of equal neighbours as (first, one past the last)."""
    runs: list[tuple[int, int]] = []
    before: object = None
    for place, key in enumerate(keys):
        if runs and key == before:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
        before = key
    return runs
