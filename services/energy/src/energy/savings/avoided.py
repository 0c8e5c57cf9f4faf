"""What stopped machines would have used, cost and hashed: pure.

The baseline is each machine's power just before the order, held from the proof of its sleep to the
order to wake; what it still drew while asleep is taken off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from energy.costs.packing import Floats, Ints
from energy.costs.pricing import Reign, month_matters
from energy.domain.billing import Bill, bill
from energy.domain.load import Load
from energy.domain.schedule import half_hour_prices
from energy.domain.tariff import Tariff
from energy.domain.zone import YearMonth

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
        prices = half_hour_prices(reign.rated.tariff, more.starts_s[rows], reign.index)
        total += sum(
            price * kwh
            for price, kwh in zip(
                prices.nano_per_kwh.tolist(), more.kwh_e6[rows].tolist(), strict=True
            )
        )
    energy = Decimal(total).scaleb(-15).quantize(_PLACES, ROUND_HALF_UP)
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
    if all(price_is_all(reign.rated.tariff) for reign, _ in held):
        return CostAvoided(currency, by_price(reigns, more).energy, ZERO)
    wanted = more.starts_s[more.kwh_e6 != 0]
    if not np.isin(wanted, actual[0]).all():
        return CostAvoided(currency, None, None, ("half_hours_missing",))
    energy = other = ZERO
    for reign, rows in held:
        for span in _months(reign, more.starts_s[rows]):
            with_more, as_is = _bills(reign, span, more, actual, peaks_kw)
            extra = with_more.energy_cost - as_is.energy_cost
            energy += extra
            other += with_more.total_cost - as_is.total_cost - extra
    return CostAvoided(currency, energy, other)


def _held(reigns: Sequence[Reign], more: Avoided) -> list[tuple[Reign, Ints]] | CostAvoided:
    """Return which half-hours each tariff prices, or why the cost is not known."""
    used = more.kwh_e6 != 0
    places = np.flatnonzero(used) if used.any() else np.arange(len(used))
    held = [
        (reign, rows)
        for reign in reigns
        if len(
            rows := places[
                (more.starts_s[places] >= reign.start_s) & (more.starts_s[places] < reign.end_s)
            ]
        )
    ]
    if not held or sum(len(rows) for _, rows in held) < len(places):
        return CostAvoided(None, None, None, ("no_tariff",))
    if len({reign.rated.tariff.currency for reign, _ in held}) > 1:
        return CostAvoided(None, None, None, ("several_currencies",))
    priced = all(reign.prices(more.starts_s[rows]).all() for reign, rows in held)
    if used.any() and not priced:
        return CostAvoided(None, None, None, ("no_index_price",))
    return held


def _months(reign: Reign, starts_s: Ints) -> list[tuple[int, int]]:
    """Return the local months that half-hours touch, each as far as the tariff held in it."""
    zone = ZoneInfo(reign.rated.tariff.timezone)
    months = sorted(
        {(at.year, at.month) for at in (datetime.fromtimestamp(s, zone) for s in starts_s.tolist())}
    )
    return [_span(reign, year, month, zone) for year, month in months]


def _span(reign: Reign, year: int, month: int, zone: ZoneInfo) -> tuple[int, int]:
    following = (year + month // 12, month % 12 + 1)
    first = datetime(year, month, 1, tzinfo=zone).astimezone(UTC).timestamp()
    last = datetime(*following, 1, tzinfo=zone).astimezone(UTC).timestamp()
    return max(int(first), reign.start_s), min(int(last), reign.end_s)


def _bills(
    reign: Reign,
    span: tuple[int, int],
    more: Avoided,
    actual: tuple[Ints, Ints],
    peaks_kw: Peaks,
) -> tuple[Bill, Bill]:
    inside = (actual[0] >= span[0]) & (actual[0] < span[1]) & reign.prices(actual[0])
    starts, kwh = actual[0][inside], actual[1][inside]
    extra = np.zeros(len(starts), np.int64)
    mine = (more.starts_s >= span[0]) & (more.starts_s < span[1]) & (more.kwh_e6 != 0)
    extra[np.searchsorted(starts, more.starts_s[mine])] = more.kwh_e6[mine]
    tariff = reign.rated.tariff
    with_more, as_is = (
        bill(
            tariff,
            Load.of_half_hours(starts, energy),
            index=reign.index,
            earlier_peaks_kw=peaks_kw,
            span_s=span,
        )
        for energy in (kwh + extra, kwh)
    )
    return with_more, as_is
