"""What a site will cost until an instant to come, if its energy repeats what it was before.

Prices and charges are those of the tariffs that are in force by then. Demand charges are left
out: they follow from a peak, which nobody foretells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.packing import Ints
from energy.costs.reading import SiteHalfHours
from energy.domain.schedule import Unbillable, half_hour_prices
from energy.domain.tariff import Tariff
from energy.tariffs.reading import RatedTariff, index_prices, tariffs_between

HALF_HOUR_S = 1800
_UTC = ZoneInfo("UTC")
_NANO_E6 = Decimal(10) ** -15


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is to come, in the tariff's currency."""

    currency: str
    kwh: Decimal
    energy: Decimal
    service: Decimal
    taxes: Decimal

    @property
    def total(self) -> Decimal:
        """Energy, service charges and taxes."""
        return self.energy + self.service + self.taxes


async def cost_ahead(
    session: AsyncSession, site_id: UUID, past: SiteHalfHours, *,
    repeats: timedelta, start: datetime, end: datetime,
) -> Ahead | None:  # fmt: skip
    """Return what a site will cost from `start` to `end`; None: it cannot be said.

    Energy of each half-hour is that of the same one `repeats` before, as often as that needs to
    lie in the past; of those that are not known it is the mean of all that are.
    """
    tariffs = await tariffs_between(session, site_id=site_id, start=start, end=end)
    whole = sum((until - since for since, until, _ in tariffs), timedelta()) == end - start
    if not len(past.starts_s) or not whole or len({_currency(one) for _, _, one in tariffs}) != 1:
        return None
    starts = np.arange(_seconds(start), _seconds(end), HALF_HOUR_S, dtype=np.int64)
    kwh_e6 = repeated(past, starts, int(repeats.total_seconds()))
    sums = [Decimal(0)] * 3
    for since, until, rated in tariffs:
        inside = (starts >= _seconds(since)) & (starts < _seconds(until))
        energy = await _energy(session, rated, starts[inside], kwh_e6[inside])
        if energy is None:
            return None
        service = service_charges(rated.tariff, since, until)
        percent = sum((tax.percent for tax in rated.tariff.taxes), Decimal(0))
        for place, amount in enumerate((energy, service, (energy + service) * percent / 100)):
            sums[place] += amount
    kwh = Decimal(int(kwh_e6.sum())).scaleb(-6)
    return Ahead(_currency(tariffs[0][2]), kwh, sums[0], sums[1], sums[2])


def repeated(past: SiteHalfHours, starts: Ints, period_s: int) -> Ints:
    """Return the energy of half-hours to come as it was whole periods before."""
    known = dict(zip(past.starts_s.tolist(), past.kwh_e6.tolist(), strict=True))
    mean = int(past.kwh_e6.mean())
    last = int(past.starts_s[-1])
    back = np.maximum(1, -((last - starts) // period_s)) * period_s
    return np.array([known.get(int(one), mean) for one in starts - back], np.int64)


async def _energy(
    session: AsyncSession, rated: RatedTariff, starts: Ints, kwh_e6: Ints
) -> Decimal | None:
    if not len(starts):
        return Decimal(0)
    index = None
    if rated.tariff.rate_type == "index" and rated.index_series_id is not None:
        first, last = (datetime.fromtimestamp(int(one), _UTC) for one in starts[[0, -1]])
        until = last + timedelta(seconds=HALF_HOUR_S)
        index = await index_prices(session, rated.index_series_id, first, until)
    try:
        prices = half_hour_prices(rated.tariff, starts, index).nano_per_kwh
    except Unbillable:
        return None
    pairs = zip(prices.tolist(), kwh_e6.tolist(), strict=True)
    return sum(price * energy for price, energy in pairs) * _NANO_E6


def service_charges(tariff: Tariff, start: datetime, end: datetime) -> Decimal:
    """Return the service charges of a span: by share of local days and months."""
    daily = tariff.daily_service_charge * _share(start, end, tariff.timezone, monthly=False)
    monthly = tariff.monthly_service_charge * _share(start, end, tariff.timezone, monthly=True)
    return daily + monthly


def _share(start: datetime, end: datetime, timezone: str, *, monthly: bool) -> Decimal:
    """Return how many local days or months a span is, whatever their length."""
    total = Decimal(0)
    for first, last in _calendar(start, end, timezone, monthly=monthly):
        inside = min(end, last) - max(start, first)
        total += Decimal(inside.total_seconds()) / Decimal((last - first).total_seconds())
    return total


def _calendar(
    start: datetime, end: datetime, timezone: str, *, monthly: bool
) -> Iterator[tuple[datetime, datetime]]:
    first, last = local_month(start, timezone) if monthly else local_day(start, timezone)
    while first < end:
        yield first, last
        first, last = local_month(last, timezone) if monthly else local_day(last, timezone)


def local_day(at: datetime, timezone: str) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the local day in which an instant lies, in UTC."""
    zone = ZoneInfo(timezone)
    day = at.astimezone(zone).date()
    ends = day + timedelta(days=1)
    return _midnight(datetime.combine(day, time(), zone)), _midnight(
        datetime.combine(ends, time(), zone)
    )


def local_month(at: datetime, timezone: str) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the local month in which an instant lies, in UTC."""
    zone = ZoneInfo(timezone)
    first = at.astimezone(zone).date().replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    return _midnight(datetime.combine(first, time(), zone)), _midnight(
        datetime.combine(after, time(), zone)
    )


def _midnight(local: datetime) -> datetime:
    return local.astimezone(_UTC)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _currency(rated: RatedTariff) -> str:
    return rated.tariff.currency
