"""What half-hours of a site cost by the tariffs in force: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from energy.costs.ledger import Flags
from energy.costs.packing import UNRATED, Ints
from energy.domain.billing import HalfHourCosts, energy_cost_by_half_hour
from energy.domain.load import IndexPrices
from energy.domain.prices import name_of
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

    def seconds_in(self, starts_s: Ints) -> Ints:
        """Return for how many seconds of each half-hour the tariff holds."""
        ends = np.minimum(starts_s + HALF_HOUR_S, self.end_s)
        return np.clip(ends - np.maximum(starts_s, self.start_s), 0, None)

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
    """`packing.UNRATED` where no tariff was in force for all of it, or its index has no price."""
    reigns: Sequence[Reign | None]
    """By half-hour: what held at its end. A half-hour in which a tariff begins is priced by each
    for its part of the time, and named after the later one, which a change of tariff brings."""
    split: Flags
    """Whether the price or the tariff changes inside the half-hour: its energy is then taken to
    be uniform."""
    breakdown: Sequence[dict[str, Decimal] | None]
    """Amount by period's name."""


def reign_at(reigns: Sequence[Reign], second: int) -> Reign | None:
    """Return what holds at an instant."""
    return next((one for one in reigns if one.start_s <= second < one.end_s), None)


def reign_of(reigns: Sequence[Reign], start_s: int) -> Reign | None:
    """Return what names a half-hour: the tariff in force at its end."""
    return reign_at(reigns, start_s + HALF_HOUR_S - 1)


def price(
    reigns: Sequence[Reign], starts_s: Ints, kwh_e6: Ints, around: tuple[Ints, Ints]
) -> PricedHalfHours:
    """Return the cost of some half-hours.

    `around`: start and energy of the month's other half-hours, which decide the steps of a tiered
    price, whichever tariff was in force in them.
    """
    count = len(starts_s)
    cost, seconds = np.zeros(count, np.int64), np.zeros(count, np.int64)
    split = np.zeros(count, np.bool_)
    breakdown: list[dict[str, Decimal]] = [{} for _ in range(count)]
    held = [reign_of(reigns, second) for second in starts_s.tolist()]
    currencies = np.array([one.rated.tariff.currency if one else "" for one in held])
    for reign in reigns:
        covered = reign.seconds_in(starts_s)
        # Amounts of two currencies make no sum: such a half-hour stays without a cost.
        one_currency = currencies == reign.rated.tariff.currency
        rows = np.flatnonzero((covered > 0) & reign.prices(starts_s) & one_currency)
        if not len(rows):
            continue
        found = _cost(reign, rows, (starts_s, kwh_e6), around)
        cost[rows] += found.nano
        seconds[rows] += covered[rows]
        prices = half_hour_prices(reign.rated.tariff, starts_s[rows], reign.index)
        split[rows] |= prices.split | (covered[rows] < HALF_HOUR_S)
        for row, amounts in zip(rows.tolist(), found.by_period, strict=True):
            for name, nano in amounts.items():
                so_far = breakdown[row].get(name, Decimal(0))
                breakdown[row][name] = so_far + Decimal(nano).scaleb(-9)
    whole = seconds == HALF_HOUR_S
    return PricedHalfHours(
        cost_nano=np.where(whole, cost, UNRATED),
        reigns=[one if known else None for one, known in zip(held, whole, strict=True)],
        split=split & whole,
        breakdown=[one if known else None for one, known in zip(breakdown, whole, strict=True)],
    )


def stepped(tariff: Tariff) -> bool:
    """Return whether the price of a kWh depends on how many there are."""
    return bool(tariff.tiers) or any(window.tiers for window in tariff.windows)


def month_matters(tariff: Tariff) -> bool:
    """Return whether the price of a half-hour depends on others of its month."""
    by_day = tariff.tier_unit == "kwh_per_day" and tariff.tier_rule == "chronological"
    return stepped(tariff) and not by_day


def _cost(
    reign: Reign, rows: Ints, own: tuple[Ints, Ints], around: tuple[Ints, Ints]
) -> HalfHourCosts:
    """Return what a tariff makes of some of the half-hours, for its part of each."""
    tariff, wanted = reign.rated.tariff, own[0][rows]
    starts, energy = wanted, own[1][rows]
    if stepped(tariff):
        # The meter's total decides: what other tariffs price counts as well.
        others = ~np.isin(around[0], own[0])
        starts = np.concatenate((around[0][others], own[0]))
        order = np.argsort(starts, kind="stable")
        energy = np.concatenate((around[1][others], own[1]))[order]
        starts = starts[order]
    found = energy_cost_by_half_hour(
        tariff, starts, energy, index=reign.index, priced_s=(reign.start_s, reign.end_s)
    )
    places = np.searchsorted(starts, wanted)
    by_period = [found.by_period[int(place)] for place in places]
    return HalfHourCosts(found.nano[places], by_period)


@dataclass(frozen=True, slots=True)
class PeriodPart:
    """The part of a half-hour that lies in one period of the tariff."""

    name: str
    seconds: int
    amount: Decimal


Breakdowns = Mapping[int, Mapping[str, Decimal]]
"""Of half-hours in several periods: the site's amount in each, by the half-hour's start."""


def period_parts(
    reigns: Sequence[Reign], starts_s: Ints, cost_nano: Ints, breakdowns: Breakdowns
) -> list[list[PeriodPart]]:
    """Return the parts of half-hours, of whose cost somebody bears a share.

    The share is spread as the site's whole cost is; the parts add up to it exactly.
    """
    found: list[list[PeriodPart]] = []
    for start, cost, seconds in zip(
        starts_s.tolist(), cost_nano.tolist(), _period_seconds(reigns, starts_s), strict=True
    ):
        known = breakdowns.get(start, {})
        weights = [known.get(name, Decimal(0)) for name in seconds]
        if not sum(weights):
            weights = [Decimal(length) for length in seconds.values()]
        parts = zip(seconds.items(), _spread(cost, weights), strict=True)
        found.append([PeriodPart(name, length, amount) for (name, length), amount in parts])
    return found


def _period_seconds(reigns: Sequence[Reign], starts_s: Ints) -> list[dict[str, int]]:
    """Return how long each half-hour lies in which period."""
    found: list[dict[str, int]] = [{} for _ in starts_s]
    for reign in reigns:
        rows = np.flatnonzero(reign.seconds_in(starts_s))
        if not len(rows):
            continue
        begins = np.maximum(starts_s[rows], reign.start_s)
        ends = np.minimum(starts_s[rows] + HALF_HOUR_S, reign.end_s)
        line = timeline(reign.rated.tariff, int(begins.min()), int(ends.max()))
        names = [name_of(reign.rated.tariff, slot) for slot in line.slot.tolist()]
        bounds = list(zip(line.starts_s.tolist(), line.ends_s.tolist(), strict=True))
        columns = (rows, begins, ends, line.rows_at(begins), line.rows_at(ends - 1))
        for row, begin, end, low, high in zip(*(one.tolist() for one in columns), strict=True):
            lengths = found[int(row)]
            for place in range(low, high + 1):
                length = min(end, bounds[place][1]) - max(begin, bounds[place][0])
                lengths[names[place]] = lengths.get(names[place], 0) + length
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
