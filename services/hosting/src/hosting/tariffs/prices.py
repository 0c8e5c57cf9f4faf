"""What a kilowatt-hour costs at each site, by the tariff in force there.

Bills are the energy service's. Here one figure stands for a tariff: its mean energy price over a
week, as the energy service published it, without service and demand charges.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hosting.domain.expectation import energy_kwh
from hosting.sites.models import Site
from hosting.tariffs.models import Tariff
from hosting.tariffs.schemas import NoPrice, TariffView

_WEEK = timedelta(days=7)
_EVERYWHERE = ""
_Place = UUID | str


@dataclass(frozen=True, slots=True)
class SitePrice:
    """What power costs at a site, or why that is not known."""

    usd_per_kwh: Decimal | None
    reason: NoPrice | None
    tariff: Tariff | None = None

    def view(self, now: datetime) -> TariffView | None:
        """Return the tariff as it is shown; None without a price."""
        if self.tariff is None or self.usd_per_kwh is None:
            return None
        return TariffView(
            rate_id=self.tariff.rate_id,
            rate_version=self.tariff.rate_version,
            name=self.tariff.name,
            mean_usd_per_kwh=self.usd_per_kwh,
            at=self.tariff.changed_at,
            stale=self.tariff.rate_type != "flat" and now - self.tariff.changed_at > _WEEK,
        )


UNPRICED = SitePrice(None, "no_tariff")


async def site_price(session: AsyncSession, site: Site) -> SitePrice:
    """Return what power costs at one site."""
    return _price_at(site.id, site.location, site.name, await _tariffs(session))


async def site_prices(session: AsyncSession) -> dict[UUID, SitePrice]:
    """Return what power costs at each site that the session may see."""
    tariffs = await _tariffs(session)
    sites = await session.execute(
        select(Site.id, Site.location, Site.name).where(Site.removed_at.is_(None))
    )
    return {
        site_id: _price_at(site_id, location, name, tariffs) for site_id, location, name in sites
    }


async def _tariffs(session: AsyncSession) -> dict[_Place, Tariff]:
    """Return the active rate of each place.

    Two may say so for a moment, as their news comes in either order: the later one is right.
    """
    rows = await session.scalars(
        select(Tariff)
        .where(Tariff.active, Tariff.removed.is_(False))
        .order_by(Tariff.changed_at, Tariff.rate_id)
    )
    return {tariff.site_id or _folded(tariff.location): tariff for tariff in rows}


def _price_at(
    site_id: UUID, location: str, name: str, tariffs: Mapping[_Place, Tariff]
) -> SitePrice:
    """Return the price by the nearest rate: the site's, its location's, its name's, the default.

    The energy service looks in the same order.
    """
    places = (site_id, _folded(location), _folded(name), _EVERYWHERE)
    return _priced(next((tariffs[place] for place in places if place in tariffs), None))


def _priced(tariff: Tariff | None) -> SitePrice:
    if tariff is None:
        return UNPRICED
    if tariff.mean_per_kwh is None:
        return SitePrice(None, "tariff_varies", tariff)
    if tariff.currency != "USD":
        return SitePrice(None, "tariff_not_in_usd", tariff)
    return SitePrice(tariff.mean_per_kwh, None, tariff)


def _folded(location: str | None) -> str:
    """Return a location without regard to case and spacing."""
    return " ".join((location or "").casefold().split())


@dataclass(frozen=True, slots=True)
class Load:
    """Machines at one price."""

    power_w: float
    price: SitePrice


def cost_usd_per_day(loads: Iterable[Load]) -> tuple[Decimal | None, NoPrice | None]:
    """Return what the loads cost around the clock, or why one of them has no price.

    What draws nothing costs nothing, whatever the price.
    """
    total = Decimal()
    for load in loads:
        if not load.power_w:
            continue
        if load.price.usd_per_kwh is None:
            return None, load.price.reason
        total += energy_kwh(load.power_w) * load.price.usd_per_kwh
    return total, None
