"""What stopped machines would have used, cost and hashed: pure.

The baseline is each machine's power just before the order, held from the proof of its sleep to the
order to wake; what it still drew while asleep is taken off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from energy.costs.ledger import Flags
from energy.costs.months import part_of_month
from energy.costs.packing import Floats, Ints
from energy.costs.pricing import Reign, month_matters
from energy.domain.schedule import half_hour_prices
from energy.domain.tariff import Tariff
from energy.domain.zone import YearMonth, day_start

HALF_HOUR_S = 1800
_PLACES = Decimal("0.000001")
Peaks = Mapping[YearMonth, Decimal]
ZERO = Decimal("0.000000")


@dataclass(frozen=True, slots=True)
class Stop:
    """A machine's sleep. Watts and TH/s are those that it would have drawn and done."""

    miner_id: UUID
    client_id: UUID | None
    start_s: int
    end_s: int
    saved_mw: int | None
    """Milliwatts: before less after. None: not known."""
    hashrate_ths: float | None
    """None: not known."""


@dataclass(frozen=True, eq=False, slots=True)
class Avoided:
    """Half-hours in order, as columns. Where something was used more instead, it is negative."""

    starts_s: Ints
    kwh_e6: Ints
    th_h: Floats

    def kwh(self) -> Decimal:
        """Return the whole energy."""
        return Decimal(int(self.kwh_e6.sum())).scaleb(-6)


def avoided(stops: Sequence[Stop]) -> Avoided:
    """Return what machines would have used and hashed, by half-hours; the unknown counts as 0."""
    if not stops:
        none = np.zeros(0, np.int64)
        return Avoided(none, none, np.zeros(0))
    starts = np.array([stop.start_s for stop in stops], np.int64)
    ends = np.array([max(stop.end_s, stop.start_s) for stop in stops], np.int64)
    power = np.array([stop.saved_mw or 0 for stop in stops], np.int64)
    hashrate = np.array([stop.hashrate_ths or 0.0 for stop in stops])
    first = int(starts.min()) // HALF_HOUR_S * HALF_HOUR_S
    rows = np.arange(first, max(int(ends.max()), first + 1), HALF_HOUR_S, dtype=np.int64)
    kwh, hashes = np.zeros(len(rows), np.int64), np.zeros(len(rows))
    for place, row in enumerate(rows.tolist()):
        seconds = np.clip(np.minimum(ends, row + HALF_HOUR_S) - np.maximum(starts, row), 0, None)
        # Milliwatt-seconds are 1/3600 of a millionth of a kWh.
        kwh[place] = (int(power @ seconds) * 2 + 3600) // 7200
        hashes[place] = float(hashrate @ seconds) / 3600
    return Avoided(rows, kwh, hashes)


@dataclass(frozen=True, slots=True)
class CostAvoided:
    """What energy would have cost by its price, and what the bill would have had more beside it."""

    currency: str | None
    energy: Decimal | None
    other: Decimal | None
    reasons: tuple[str, ...] = ()

    @property
    def whole(self) -> Decimal | None:
        """Both together; None where one is not known."""
        if self.energy is None or self.other is None:
            return None
        return self.energy + self.other


def price_is_all(tariff: Tariff) -> bool:
    """Return whether a kWh more costs its price and nothing else, whatever the month's rest."""
    by_energy = any(credit.per_kwh for credit in tariff.credits)
    more = tariff.has_minimum() or tariff.taxes
    return not (month_matters(tariff) or tariff.charges_demand() or by_energy or more)


def by_price(reigns: Sequence[Reign], more: Avoided) -> CostAvoided:
    """Return the cost of energy by its price alone: a client's part of a site's."""
    held = _held(reigns, more)
    if isinstance(held, CostAvoided):
        return held
    total = 0
    for reign, rows in held if more.kwh_e6.any() else ():
        starts = more.starts_s[rows]
        prices = half_hour_prices(reign.rated.tariff, starts, reign.index)
        columns = (prices.nano_per_kwh, more.kwh_e6[rows], reign.seconds_in(starts))
        total += sum(
            price * kwh * seconds
            for price, kwh, seconds in zip(*(one.tolist() for one in columns), strict=True)
        )
    energy = (Decimal(total) / HALF_HOUR_S).scaleb(-15).quantize(_PLACES, ROUND_HALF_UP)
    return CostAvoided(held[0][0].rated.tariff.currency, energy, None)


def by_bill(
    reigns: Sequence[Reign],
    more: Avoided,
    actual: tuple[Ints, Ints],
    peaks_kw: Peaks,
) -> CostAvoided:
    """Return how much dearer the bills of the months would have been.

    `actual`: start and energy of the site's half-hours, of the whole months. `peaks_kw`: of earlier
    months, for ratchets.
    """
    held = _held(reigns, more)
    if isinstance(held, CostAvoided):
        return held
    currency = held[0][0].rated.tariff.currency
    if all(price_is_all(reign.rated.tariff) for reign in reigns):
        return CostAvoided(currency, by_price(reigns, more).energy, ZERO)
    wanted = more.starts_s[more.kwh_e6 != 0]
    if not np.isin(wanted, actual[0]).all():
        return CostAvoided(currency, None, None, ("half_hours_missing",))
    energy = other = Decimal(0)
    for month in _months(reigns, wanted):
        starts, kwh = (column[_touching(month, actual[0])] for column in actual)
        mine = _touching(month, more.starts_s) & (more.kwh_e6 != 0)
        extra = np.zeros(len(starts), np.int64)
        extra[np.searchsorted(starts, more.starts_s[mine])] = more.kwh_e6[mine]
        # The month's other tariffs too: its peak and its steps are those of all.
        for reign in reigns:
            if reign.start_s >= month[1] or reign.end_s <= month[0]:
                continue
            if reign.rated.tariff.currency != currency:
                return CostAvoided(None, None, None, ("several_currencies",))
            with_more = part_of_month(reign, month, (starts, kwh + extra), peaks_kw)
            as_is = part_of_month(reign, month, (starts, kwh), peaks_kw)
            energy += with_more.energy - as_is.energy
            other += with_more.total() - as_is.total() - (with_more.energy - as_is.energy)
    return CostAvoided(
        currency, energy.quantize(_PLACES, ROUND_HALF_UP), other.quantize(_PLACES, ROUND_HALF_UP)
    )


def _touching(month: tuple[int, int], starts_s: Ints) -> Flags:
    return (starts_s > month[0] - HALF_HOUR_S) & (starts_s < month[1])


def _held(reigns: Sequence[Reign], more: Avoided) -> list[tuple[Reign, Ints]] | CostAvoided:
    """Return which half-hours each tariff prices, or why the cost is not known."""
    used = more.kwh_e6 != 0
    places = np.flatnonzero(used) if used.any() else np.arange(len(used))
    seconds = [reign.seconds_in(more.starts_s[places]) for reign in reigns]
    held = [
        (reign, places[covered > 0])
        for reign, covered in zip(reigns, seconds, strict=True)
        if covered.any()
    ]
    if not held or sum(int(one.sum()) for one in seconds) < len(places) * HALF_HOUR_S:
        return CostAvoided(None, None, None, ("no_tariff",))
    if len({reign.rated.tariff.currency for reign, _ in held}) > 1:
        return CostAvoided(None, None, None, ("several_currencies",))
    priced = all(reign.prices(more.starts_s[rows]).all() for reign, rows in held)
    if used.any() and not priced:
        return CostAvoided(None, None, None, ("no_index_price",))
    return held


def _months(reigns: Sequence[Reign], starts_s: Ints) -> list[tuple[int, int]]:
    """Return the site's months that half-hours touch, each as far as any tariff is known in it."""
    calendar = reigns[0].rated.tariff.calendar()
    zone = ZoneInfo(calendar)
    months = sorted(
        {
            YearMonth(at.year, at.month)
            for at in (datetime.fromtimestamp(second, zone) for second in starts_s.tolist())
        }
    )
    first, last = reigns[0].start_s, reigns[-1].end_s
    bounds = ((month.first_day(), month.after(1).first_day()) for month in months)
    return [
        (max(day_start(calendar, low), first), min(day_start(calendar, high), last))
        for low, high in bounds
    ]
