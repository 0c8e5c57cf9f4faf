"""The same energy at the hours of a baseline: pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from zoneinfo import ZoneInfo

import numpy as np

from energy.costs.packing import Ints
from energy.costs.reading import SiteHalfHours
from energy.savings.avoided import Avoided

SLOTS = 48


@dataclass(frozen=True, eq=False, slots=True)
class Profile:
    """A mean day: energy by the local half-hour, and what a kWh hashed."""

    kwh_e6: Sequence[Fraction | None]
    """None: no day of the baseline tells."""
    th_h_per_kwh: float | None
    days: int

    def complete(self) -> bool:
        """Return whether every half-hour of a day is known, and any used something."""
        return None not in self.kwh_e6 and any(self.kwh_e6)


@dataclass(frozen=True, eq=False, slots=True)
class Shifted:
    """What the baseline's hours would have used beside what was used."""

    more: Avoided
    """Per half-hour: the baseline's less the actual."""
    moved_kwh: Decimal
    hashes_known: bool


def places_of(starts_s: Ints, zone: str) -> tuple[Ints, Ints]:
    """Return each half-hour's local day (as a number) and its place in it, 0 to 47."""
    place = ZoneInfo(zone)
    local = [datetime.fromtimestamp(second, place) for second in starts_s.tolist()]
    days = np.array([at.toordinal() for at in local], np.int64)
    return days, np.array([at.hour * 2 + at.minute // 30 for at in local], np.int64)


def profile(baseline: SiteHalfHours, zone: str) -> Profile:
    """Return the mean day of some half-hours."""
    days, slots = places_of(baseline.starts_s, zone)
    sums = np.zeros(SLOTS, np.int64)
    np.add.at(sums, slots, baseline.kwh_e6)
    counts = np.bincount(slots, minlength=SLOTS)
    mean = [
        Fraction(whole, count) if count else None
        for whole, count in zip(sums.tolist(), counts.tolist(), strict=True)
    ]
    kwh, hashes = float(baseline.kwh_e6.sum()) / 1e6, float(baseline.th_h.sum())
    per_kwh = hashes / kwh if kwh and hashes else None
    return Profile(mean, per_kwh, len(set(days.tolist())))


def shifted(actual: SiteHalfHours, mean: Profile, zone: str) -> Shifted:
    """Return each day's energy spread over its half-hours as in the baseline.

    A day's energy stays what it was to the millionth of a kWh.
    """
    days, slots = places_of(actual.starts_s, zone)
    wanted = np.zeros(len(slots), np.int64)
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        energy = int(actual.kwh_e6[rows].sum())
        places: list[int] = slots[rows].tolist()
        reached = list(accumulate(mean.kwh_e6[place] or Fraction(0) for place in places))
        if reached[-1]:
            # Along the running sum no half-hour is off by more than a millionth.
            running = [math.floor(one * energy / reached[-1]) for one in reached]
            wanted[rows] = np.diff(running, prepend=0)
        else:
            wanted[rows] = actual.kwh_e6[rows]
    delta = wanted - actual.kwh_e6
    known = mean.th_h_per_kwh is not None and bool(actual.th_h.sum())
    hashes = wanted / 1e6 * (mean.th_h_per_kwh or 0.0) - actual.th_h
    return Shifted(
        Avoided(actual.starts_s, delta, hashes if known else np.zeros(len(delta))),
        Decimal(int(np.abs(delta).sum())).scaleb(-6) / 2,
        known,
    )
