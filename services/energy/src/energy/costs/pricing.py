"""What half-hours of a site cost by the tariffs in force: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from energy.costs.ledger import Flags
from energy.costs.packing import UNRATED, Ints
from energy.domain.billing import energy_cost_by_half_hour
from energy.domain.load import IndexPrices, IntArray
from energy.domain.prices import name_of, rate_of
from energy.domain.schedule import half_hour_prices
from energy.domain.tariff import Tariff
from energy.domain.timeline import timeline
from energy.tariffs.reading import RatedTariff

HALF_HOUR_S = 1800


@dataclass(frozen=True, slots=True)
class Reign:
    """A stretch of time with the tariff that holds in it, and its index where it has one."""

    start_s: int
    end_s: int
    rated: RatedTariff
    index: IndexPrices | None = None

    def prices(self, starts_s: Ints) -> Flags:
        """Return of which half-hours the price is known: an index may have holes."""
        if self.rated.tariff.rate_type != "index":
            return np.ones(len(starts_s), np.bool_)
        covered = np.zeros(len(starts_s), np.int64)
        if self.index is not None:
            spans = zip(self.index.starts_s.tolist(), self.index.ends_s.tolist(), strict=True)
            for start, end in spans:
                ends = np.minimum(starts_s + HALF_HOUR_S, end)
                covered += np.maximum(ends - np.maximum(starts_s, start), 0)
        return covered == HALF_HOUR_S


@dataclass(frozen=True, slots=True)
class PricedHalfHours:
    """The cost of a site's half-hours."""

    cost_nano: Ints
    """`packing.UNRATED` where no tariff was in force, or its index has no price."""
    reigns: Sequence[Reign | None]
    """By half-hour; of a half-hour the tariff at its start counts."""
    split: Flags
    """Whether the price changes inside the half-hour."""
    breakdown: Sequence[dict[str, Decimal] | None]
    """Amount by period's name."""


def reign_at(reigns: Sequence[Reign], second: int) -> Reign | None:
    """Return what holds at an instant."""
    return next((one for one in reigns if one.start_s <= second < one.end_s), None)


def price(
    reigns: Sequence[Reign], starts_s: Ints, kwh_e6: Ints, around: tuple[Ints, Ints]
) -> PricedHalfHours:
    """Return the cost of some half-hours.

    `around`: start and energy of the month's other half-hours, which decide the steps of a tiered
    price.
    """
    cost = np.full(len(starts_s), UNRATED, np.int64)
    split = np.zeros(len(starts_s), np.bool_)
    breakdown: list[dict[str, Decimal] | None] = [None] * len(starts_s)
    held = [reign_at(reigns, int(second)) for second in starts_s]
    for reign in {id(one): one for one in held if one is not None}.values():
        rows = np.array([one is reign for one in held]) & reign.prices(starts_s)
        if not rows.any():
            continue
        cost[rows] = _cost(reign, starts_s[rows], kwh_e6[rows], around)
        prices = half_hour_prices(reign.rated.tariff, starts_s[rows], reign.index)
        split[rows] = prices.split
        for row, parts in zip(
            np.flatnonzero(rows).tolist(),
            period_parts(reign.rated.tariff, starts_s[rows], cost[rows]),
            strict=True,
        ):
            breakdown[row] = by_name(parts)
    held = [one if cost[row] != UNRATED else None for row, one in enumerate(held)]
    return PricedHalfHours(cost, held, split, breakdown)


def month_matters(tariff: Tariff) -> bool:
    """Return whether the price of a half-hour depends on others of its month."""
    stepped = bool(tariff.tiers) or any(window.tiers for window in tariff.windows)
    by_day = tariff.tier_unit == "kwh_per_day" and tariff.tier_rule == "chronological"
    return stepped and not by_day


def _cost(reign: Reign, starts_s: Ints, kwh_e6: Ints, around: tuple[Ints, Ints]) -> IntArray:
    tariff = reign.rated.tariff
    if not month_matters(tariff):
        return energy_cost_by_half_hour(tariff, starts_s, kwh_e6, index=reign.index)
    other_starts, other_kwh = around
    mine = (other_starts >= reign.start_s) & (other_starts < reign.end_s)
    mine &= ~np.isin(other_starts, starts_s)
    starts = np.concatenate((other_starts[mine], starts_s))
    energy = np.concatenate((other_kwh[mine], kwh_e6))
    order = np.argsort(starts, kind="stable")
    cost = energy_cost_by_half_hour(tariff, starts[order], energy[order], index=reign.index)
    return cost[np.searchsorted(starts[order], starts_s)]


def by_name(parts: "Sequence[PeriodPart]") -> dict[str, Decimal]:
    """Return the amounts of a half-hour's parts by period."""
    amounts: dict[str, Decimal] = {}
    for part in parts:
        amounts[part.name] = amounts.get(part.name, Decimal(0)) + part.amount
    return amounts


@dataclass(frozen=True, slots=True)
class PeriodPart:
    """The part of a half-hour that lies in one period of the tariff."""

    name: str
    seconds: int
    amount: Decimal


def period_parts(tariff: Tariff, starts_s: Ints, cost_nano: Ints) -> list[list[PeriodPart]]:
    """Return each half-hour's parts: its cost by price and time, so that it adds up exactly."""
    if not len(starts_s):
        return []
    line = timeline(tariff, int(starts_s[0]), int(starts_s[-1]) + HALF_HOUR_S)
    first = np.searchsorted(line.starts_s, starts_s, side="right") - 1
    last = np.searchsorted(line.starts_s, starts_s + HALF_HOUR_S - 1, side="right") - 1
    found: list[list[PeriodPart]] = []
    for start, cost, low, high in zip(
        starts_s.tolist(), cost_nano.tolist(), first.tolist(), last.tolist(), strict=True
    ):
        slots = [int(slot) for slot in line.slot[low : high + 1]]
        names = [name_of(tariff, slot) for slot in slots]
        if len(set(names)) == 1:
            found.append([PeriodPart(names[0], HALF_HOUR_S, Decimal(cost).scaleb(-9))])
            continue
        seconds = [
            min(start + HALF_HOUR_S, int(line.ends_s[row])) - max(start, int(line.starts_s[row]))
            for row in range(low, high + 1)
        ]
        weights = [
            max(rate_of(tariff, slot), Decimal("1e-9")) * length
            for slot, length in zip(slots, seconds, strict=True)
        ]
        amounts = _spread(cost, weights)
        found.append([PeriodPart(*part) for part in zip(names, seconds, amounts, strict=True)])
    return found


def _spread(cost_nano: int, weights: Sequence[Decimal]) -> list[Decimal]:
    """Split a cost by weights; the parts add up exactly."""
    whole = sum(weights, Decimal(0))
    amounts: list[Decimal] = []
    running, before = Decimal(0), 0
    for weight in weights:
        running += weight
        upto = int(cost_nano * running / whole) if running != whole else cost_nano
        amounts.append(Decimal(upto - before).scaleb(-9))
        before = upto
    return amounts
