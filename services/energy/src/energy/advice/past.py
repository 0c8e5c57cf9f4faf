"""What the past would have cost otherwise: its peaks cut, its dear energy moved. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from energy.advice.schemas import PeakAdvice, ShavingOption, ShiftAdvice, ShiftOption
from energy.advice.shaving import Moved, Shaved, moved, shaved
from energy.costs.packing import UNRATED, Ints
from energy.costs.pricing import Reign
from energy.costs.reading import SiteHalfHours
from energy.currencies.reading import Conversion
from energy.domain.schedule import half_hour_prices
from energy.domain.zone import YearMonth
from energy.savings.avoided import Avoided, CostAvoided, by_bill
from energy.savings.market import Market
from energy.savings.shifting import places_of
from energy.savings.worth import worth

_NOTE = (
    "From half-hourly means: where demand is billed on shorter intervals, its peaks are not lower. "
    "Ratchets from earlier months are counted; what a lower peak saves in later months is not."
)
ZERO = Decimal("0.000000")
Shown = Callable[[Decimal], Decimal]


@dataclass(frozen=True, slots=True)
class Past:
    """Half-hours of whole months, and the span of them that is judged."""

    zone: str
    first: date
    last: date
    start_s: int
    end_s: int
    used: SiteHalfHours
    reigns: Sequence[Reign]
    peaks_kw: Mapping[YearMonth, Decimal]
    """Of the months before, for ratchets."""
    market: Market
    simulated: bool


def peak_advice(past: Past, shown: Shown, dollars: Conversion) -> PeakAdvice:
    """Return what cutting the peaks of the last month of the span would have saved."""
    zone = ZoneInfo(past.zone)
    months = [
        datetime.fromtimestamp(s, zone).strftime("%Y-%m") for s in past.used.starts_s.tolist()
    ]
    month = past.last.strftime("%Y-%m")
    rows = np.flatnonzero(np.array(months) == month)
    if not len(rows):
        return _no_peak(month, "no_half_hours")
    kwh = past.used.kwh_e6[rows]
    peak = int(kwh.argmax())
    at = datetime.fromtimestamp(int(past.used.starts_s[rows][peak]), UTC)
    peak_kw = Decimal(2 * int(kwh[peak])).scaleb(-6)
    if not past.reigns:
        return _no_peak(month, "no_tariff", peak_kw, at)
    if not any(reign.rated.tariff.charges_demand() for reign in past.reigns):
        return _no_peak(month, "no_demand_charge", peak_kw, at)
    found = shaved(kwh)
    if not found:
        return _no_peak(month, "even_load", peak_kw, at)
    options: list[ShavingOption] = []
    for one in found:
        cost, option = _shaving(past, rows, one, shown, dollars)
        if cost.whole is None:
            return _no_peak(month, cost.reasons[0], peak_kw, at)
        options.append(option)
    return PeakAdvice(
        month=month, peak_kw=peak_kw, peak_at=at, options=options, reason=None, note=_NOTE
    )


def _no_peak(
    month: str, reason: str, peak_kw: Decimal | None = None, at: datetime | None = None
) -> PeakAdvice:
    return PeakAdvice(
        month=month, peak_kw=peak_kw, peak_at=at, options=[], reason=reason, note=_NOTE
    )


def _shaving(
    past: Past, rows: Ints, one: Shaved, shown: Shown, dollars: Conversion
) -> tuple[CostAvoided, ShavingOption]:
    after = past.used.kwh_e6.copy()
    after[rows] = one.kwh_e6
    cut = past.used.kwh_e6 - after
    cost = _saved(past, after)
    share = np.zeros(len(cut))
    np.divide(cut, past.used.kwh_e6, out=share, where=past.used.kwh_e6 > 0)
    lost = worth(past.used.th_h * share, past.market.epochs, past.market.quotes).usd
    in_shown = None if lost is None else dollars.of(lost)
    avoided = shown(cost.whole or ZERO)
    return cost, ShavingOption(
        target_kw=one.target_kw,
        cut_kw=one.cut_kw,
        half_hours=one.half_hours,
        kwh_not_used=Decimal(int(cut.sum())).scaleb(-6),
        cost_avoided_usd=avoided,
        revenue_lost_usd=in_shown,
        net_usd=None if in_shown is None else avoided - in_shown,
    )


def _saved(past: Past, after: Ints) -> CostAvoided:
    """Return how much less another load would have cost: what is left of it back to the actual."""
    more = Avoided(past.used.starts_s, past.used.kwh_e6 - after, np.zeros(len(after)))
    return by_bill(past.reigns, more, (past.used.starts_s, after), past.peaks_kw)


def shift_advice(past: Past, shown: Shown) -> ShiftAdvice:
    """Return what moving each day's dearest energy to its cheapest hours would have saved."""
    used = past.used
    rows = np.flatnonzero((used.starts_s >= past.start_s) & (used.starts_s < past.end_s))
    kwh = Decimal(int(used.kwh_e6[rows].sum())).scaleb(-6)
    if not len(rows):
        return _no_shift(past, kwh, None, "no_half_hours")
    most = int(used.kwh_e6[rows].max())
    most_kw = Decimal(2 * most).scaleb(-6)
    price = _price_of(past, used.starts_s[rows])
    if (price == UNRATED).all():
        return _no_shift(past, kwh, most_kw, "no_tariff")
    rows, price = rows[price != UNRATED], price[price != UNRATED]
    if len(set(price.tolist())) == 1:
        return _no_shift(past, kwh, most_kw, "one_price")
    days, _ = places_of(used.starts_s[rows], past.zone)
    options: list[ShiftOption] = []
    for one in moved(used.kwh_e6[rows], price, days, most):
        cost, option = _shift(past, rows, one, shown)
        if cost.whole is None:
            return _no_shift(past, kwh, most_kw, cost.reasons[0])
        options.append(option)
    return ShiftAdvice(
        start_date=past.first,
        end_date=past.last,
        kwh=kwh,
        most_kw=most_kw,
        options=options,
        reason=None,
    )


def _shift(past: Past, rows: Ints, one: Moved, shown: Shown) -> tuple[CostAvoided, ShiftOption]:
    after = past.used.kwh_e6.copy()
    after[rows] = one.kwh_e6
    cost = _saved(past, after)
    return cost, ShiftOption(
        share_percent=one.share_percent,
        wanted_kwh=one.wanted_kwh,
        moved_kwh=one.moved_kwh,
        saved_usd=shown(cost.whole or ZERO),
    )


def _price_of(past: Past, starts_s: Ints) -> Ints:
    """Return the price of each half-hour; `UNRATED` where none held."""
    found = np.full(len(starts_s), UNRATED, np.int64)
    for reign in past.reigns:
        held = (starts_s >= reign.start_s) & (starts_s < reign.end_s) & reign.prices(starts_s)
        rows = np.flatnonzero(held)
        if len(rows):
            prices = half_hour_prices(reign.rated.tariff, starts_s[rows], reign.index)
            found[rows] = prices.nano_per_kwh
    return found


def _no_shift(past: Past, kwh: Decimal, most_kw: Decimal | None, reason: str) -> ShiftAdvice:
    return ShiftAdvice(
        start_date=past.first,
        end_date=past.last,
        kwh=kwh,
        most_kw=most_kw,
        options=[],
        reason=reason,
    )
