"""Peak demand: the highest mean power over the demand interval, of each month."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from energy.domain.load import MILLIWATT_HOURS, IntArray, Integers, Load, ascending, cut
from energy.domain.tariff import Tariff
from energy.domain.zone import YearMonth


@dataclass(frozen=True, eq=False)
class Draws:
    """Energy taken, in pieces that no month's end cuts, and for fixed windows no bin's."""

    starts_s: IntArray
    ends_s: IntArray
    units: Integers
    scale: int
    month: IntArray
    """Index of the piece's month."""

    def where(self, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "Draws":
        """Return only these pieces."""
        return Draws(
            self.starts_s[chosen],
            self.ends_s[chosen],
            self.units[chosen],
            self.scale,
            self.month[chosen],
        )


def bin_edges(load: Load, anchors: IntArray, end_s: int, seconds: int) -> list[IntArray]:
    """Return where the fixed demand intervals begin, which count from each month's first second.

    None are needed where no reading reaches over the end of one.
    """
    offsets = np.unique(anchors % seconds)
    first, last = ((one - offsets[0]) // seconds for one in (load.starts_s, load.ends_s - 1))
    if len(offsets) == 1 and np.array_equal(first, last):
        return []
    ends = [*anchors[1:].tolist(), end_s]
    months = zip(anchors.tolist(), ends, strict=True)
    return [np.arange(start, end, seconds, dtype=np.int64) for start, end in months]


def peaks_kw(tariff: Tariff, draws: Draws, anchors: IntArray) -> list[Fraction]:
    """Return each month's peak; anchors are the months' first seconds."""
    seconds = tariff.demand_interval_minutes * 60
    find = _fixed if tariff.demand_window == "fixed" else _sliding
    found = find(draws, anchors, seconds)
    one_kw = draws.scale * MILLIWATT_HOURS
    return [units * 3600 / seconds / one_kw for units in found]


def _fixed(draws: Draws, anchors: IntArray, seconds: int) -> list[Fraction]:
    most = 32 * 86_400 // seconds
    totals = np.zeros(len(anchors) * most, draws.units.dtype)
    bins = (draws.starts_s - anchors[draws.month]) // seconds
    np.add.at(totals, draws.month * most + bins, draws.units)
    return [Fraction(int(row.max())) for row in totals.reshape(-1, most)]


def _sliding(draws: Draws, anchors: IntArray, seconds: int) -> list[Fraction]:
    months = (draws.where(draws.month == month) for month in range(len(anchors)))
    return [_most_in_window(one, seconds) if len(one.units) else Fraction(0) for one in months]


def _most_in_window(draws: Draws, seconds: int) -> Fraction:
    """Return the most energy in any window of so many seconds.

    The energy in a window is linear in its place between the instants at which the power changes
    at one of its ends, so the most is found with an end on one of them.
    """
    edges = ascending(draws.starts_s, draws.ends_s)
    pieces = cut(
        Load(draws.starts_s, draws.ends_s, draws.units), (edges, edges + seconds, edges - seconds)
    )
    total = np.concatenate((pieces.units[:0], [0], np.cumsum(pieces.units)))

    def before(instants: IntArray) -> Integers:
        return total[np.searchsorted(pieces.starts_s, instants)]

    middle = before(edges)
    most = max((before(edges + seconds) - middle).max(), (middle - before(edges - seconds)).max())
    return Fraction(int(most), pieces.scale)


def billed_kw(
    tariff: Tariff,
    month: YearMonth,
    peaks: Mapping[YearMonth, Fraction],
    earlier: Mapping[YearMonth, Decimal],
) -> tuple[Fraction, YearMonth | None]:
    """Return the demand that is charged, and the earlier month that decided it, if one did."""
    billed, decided = peaks[month], None
    share = Fraction(tariff.demand_ratchet_percent) / 100
    for back in range(1, tariff.demand_ratchet_months + 1):
        before = month.after(-back)
        known = peaks[before] if before in peaks else Fraction(earlier.get(before, 0))
        if known * share > billed:
            billed, decided = known * share, before
    return billed, decided
