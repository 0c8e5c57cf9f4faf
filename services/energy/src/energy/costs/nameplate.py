"""What the active machines would cost at their rated power, by the tariffs now in force."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from energy.costs.asking import Question
from energy.costs.counting import sites_at
from energy.costs.schemas import Estimate
from energy.costs.sums import ZERO
from energy.domain.billing import Bill, bill
from energy.domain.load import Load, Unbillable
from energy.facts.models import Miner, Site
from energy.tariffs.reading import RatedTariff, index_prices, tariff_in_force

MONTH_DAYS: Final = 30
_FEBRUARY: Final = 2


@dataclass(frozen=True, slots=True)
class RatedPower:
    """The active machines at a site that a question is about."""

    site_id: UUID
    zone: ZoneInfo
    machines: int
    power_w: Decimal


async def estimate_of(session: AsyncSession, asked: Question) -> tuple[Estimate | None, list[str]]:
    """Return what thirty days cost by the machines' rating, or why that is not known.

    Each site is billed by its own tariff for thirty days of one month, with all charges of that
    month: a machine's or client's energy is billed without them.
    """
    found = await _rated_power(session, asked)
    if not found:
        return None, []
    total, tariffs = ZERO, list[RatedTariff]()
    start = now().replace(minute=0, second=0, microsecond=0)
    for site in found:
        rated = await tariff_in_force(session, site_id=site.site_id, at=start)
        if rated is None:
            return None, ["Nothing is estimated: no rate is in force for some of the machines."]
        try:
            month = await _month(session, site, rated)
        except Unbillable as error:
            return None, [f"Nothing is estimated: {error}"]
        total += month.total_cost if asked.scope.whole_sites() else month.energy_cost
        tariffs.append(rated)
    if len({one.tariff.currency for one in tariffs}) > 1:
        return None, ["Nothing is estimated: the machines' rates are in several currencies."]
    return _estimate(found, tariffs, total), []


def _estimate(
    found: Sequence[RatedPower], tariffs: Sequence[RatedTariff], total: Decimal
) -> Estimate:
    versions = {(one.rate_id, one.version) for one in tariffs}
    return Estimate(
        basis="nameplate",
        num_miners=sum(one.machines for one in found),
        fleet_power_w=sum((one.power_w for one in found), ZERO),
        daily_cost_usd=total / MONTH_DAYS,
        monthly_cost_usd=total,
        currency=tariffs[0].tariff.currency,
        rate_name=", ".join(sorted({one.name for one in tariffs})),
        rate_version=tariffs[0].version if len(versions) == 1 else None,
        real_to_estimated_percent=None,
    )


async def _rated_power(session: AsyncSession, asked: Question) -> list[RatedPower]:
    scope = asked.scope
    query = (
        select(Miner.site_id, Site.timezone, func.count(), func.sum(Miner.nameplate_power_w))
        .join(Site, Site.id == Miner.site_id)
        .where(
            Miner.removed.is_(False),
            Miner.status == "active",
            Miner.nameplate_power_w.is_not(None),
        )
        .group_by(Miner.site_id, Site.timezone)
        .order_by(Miner.site_id)
    )
    filters: tuple[tuple[Any, Any], ...] = (
        (Miner.site_id, scope.site_id), (Miner.client_id, scope.client_id),
        (Miner.id, scope.miner_id), (Miner.ip, scope.miner_ip),
    )  # fmt: skip
    query = query.where(*(column == wanted for column, wanted in filters if wanted is not None))
    if scope.location is not None:
        query = query.where(Miner.site_id.in_(sites_at(scope.location)))
    rows: Any = await session.execute(query)
    return [
        RatedPower(row[0], ZoneInfo(row[1]), row[2], Decimal(repr(round(row[3], 3))))
        for row in rows
    ]


async def _month(session: AsyncSession, site: RatedPower, rated: RatedTariff) -> Bill:
    """Return the bill of thirty days of one month, so that its steps and peak count once.

    It is the running month. The prices of an index are those of the month before.
    """
    of_index = rated.index_series_id is not None
    first = now().astimezone(site.zone).date().replace(day=1)
    if of_index:
        first = (first - timedelta(days=1)).replace(day=1)
    if first.month == _FEBRUARY:
        first = first.replace(month=1 if of_index else 3)
    start, end = (
        datetime.combine(day, time(), site.zone)
        for day in (first, first + timedelta(days=MONTH_DAYS))
    )
    index = None
    if rated.index_series_id is not None:
        index = await index_prices(session, rated.index_series_id, start, end)
    tariff = replace(rated.tariff, billing_timezone=site.zone.key)
    return bill(tariff, Load.of_power(start, end, site.power_w), index=index)
