"""What a kWh costs at a site at an instant, in a tariff's currency and in dollars."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import Problem
from energy.currencies.reading import conversion
from energy.domain.schedule import period_at
from energy.tariffs.reading import RatedTariff, index_prices, tariff_in_force

LONGEST = timedelta(hours=24)
"""How long a price is relied upon without another look."""


@dataclass(frozen=True, slots=True)
class PriceNow:
    """A site's price, and until when it holds."""

    rated: RatedTariff
    period: str
    price: Decimal
    """Per kWh, in the tariff's currency."""
    until: datetime


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no price, for a reason."""

    reason: str


async def price_now(session: AsyncSession, site_id: UUID, at: datetime) -> PriceNow | Unknown:
    """Return what a kWh costs at a site. Of a tiered price it is the last step's."""
    rated = await tariff_in_force(session, site_id=site_id, at=at)
    if rated is None:
        return Unknown("no_tariff")
    index = None
    if rated.tariff.rate_type == "index" and rated.index_series_id is not None:
        index = await index_prices(session, rated.index_series_id, at, at + timedelta(hours=1))
    period = period_at(rated.tariff, at, index)
    if period.rate is None:
        return Unknown("no_index_price")
    until = at + LONGEST
    ends = until if period.ends_at is None else min(until, period.ends_at)
    return PriceNow(rated, period.name, period.rate, ends)


@dataclass(frozen=True, slots=True)
class InDollars:
    """How many dollars one unit of a currency is."""

    rate: Decimal
    simulated: bool


async def dollars(session: AsyncSession, currency: str, at: datetime) -> InDollars | Unknown:
    """Return what a currency is worth in dollars, by the day's reference rate."""
    if currency == "USD":
        return InDollars(Decimal(1), simulated=False)
    try:
        found = await conversion(session, currency, "USD", at.date())
    except Problem:
        return Unknown("no_exchange_rate")
    return InDollars(found.rate, found.simulated)
