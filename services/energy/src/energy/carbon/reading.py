"""Which intensity counts at a site, and what its electricity emitted."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import NotFound
from energy.carbon.footprint import Grams
from energy.carbon.models import CarbonIntensity, CarbonSetting
from energy.usage.half_hours import HalfHours


class NoCarbonSetting(NotFound):
    title: ClassVar[str] = "The site has no region and no stated carbon intensity"


async def setting_of(session: AsyncSession, site_id: UUID) -> CarbonSetting:
    """Return where a site's intensity comes from.

    Raises:
        NoCarbonSetting: nobody has said.
    """
    setting = await session.get(CarbonSetting, site_id)
    if setting is None:
        raise NoCarbonSetting(
            "Say where the site's electricity comes from: PUT /api/electricity/carbon/sites/"
            f"{site_id} with a region, or with a stated figure and its source."
        )
    return setting


async def intensities(
    session: AsyncSession, region: str, start: datetime, end: datetime
) -> list[CarbonIntensity]:
    """Return a region's half-hours that start in a span, in order."""
    rows = await session.scalars(
        select(CarbonIntensity)
        .where(
            CarbonIntensity.region == region,
            CarbonIntensity.starts_at >= start,
            CarbonIntensity.starts_at < end,
        )
        .order_by(CarbonIntensity.starts_at)
    )
    return list(rows)


async def grams_at(
    session: AsyncSession, setting: CarbonSetting, used: HalfHours, start: datetime, end: datetime
) -> dict[int, Grams]:
    """Return the intensity of each half-hour that was used, by the second of its start.

    The actual figure counts where there is one, else the forecast.
    """
    if setting.region is None:
        assert setting.stated_g_per_kwh is not None
        stated = Grams(setting.stated_g_per_kwh, "stated")
        return dict.fromkeys(used.starts_s.tolist(), stated)
    found: dict[int, Grams] = {}
    for row in await intensities(session, setting.region, start, end):
        second = int(row.starts_at.timestamp())
        if row.actual_g_per_kwh is not None:
            found[second] = Grams(row.actual_g_per_kwh, "actual", row.simulated)
        elif row.forecast_g_per_kwh is not None:
            found[second] = Grams(row.forecast_g_per_kwh, "forecast", row.simulated)
    return found
