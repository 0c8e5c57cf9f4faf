"""Fetches the carbon intensity of the regions in which sites are, and keeps it."""

import asyncio
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.functions import coalesce
from structlog import get_logger

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.party import NoAnswer, Party
from common.runtime import Runtime
from energy.carbon.models import CarbonIntensity, CarbonSetting
from energy.parties import neso
from energy.settings import Settings

log = get_logger()
_HALF_HOUR = timedelta(minutes=30)
_AHEAD = timedelta(hours=48)
_GIVEN_UP = timedelta(days=3)
"""Whose actual figure has not come by then has none."""
_LOOK_S = 30.0
"""A region that a site has just been given is not left waiting for the next round."""


async def keep_intensities(runtime: Runtime) -> None:
    """Keep the intensities up to date for as long as the process runs."""
    settings = cast("Settings", runtime.settings)
    party = Party(neso.SOURCE, settings.carbon_url, now)
    every = timedelta(seconds=settings.carbon_every_s)
    asked: dict[str, datetime] = {}
    while not runtime.stopping.is_set():
        for region in await regions_wanted(runtime):
            if now() - asked.get(region, datetime.min.replace(tzinfo=now().tzinfo)) < every:
                continue
            asked[region] = now()
            try:
                await refresh(runtime, party, region)
                runtime.degraded.pop("carbon intensity", None)
            except NoAnswer as error:
                runtime.degraded["carbon intensity"] = str(error)
        await asyncio.sleep(min(_LOOK_S, settings.carbon_every_s))


async def regions_wanted(runtime: Runtime) -> list[str]:
    """Return the regions of all sites of all tenants."""
    query = select(CarbonSetting.region).where(CarbonSetting.region.is_not(None)).distinct()
    async with runtime.worker_session() as session:
        return sorted(region for region in await session.scalars(query) if region is not None)


async def refresh(runtime: Runtime, party: Party, region: str) -> int:
    """Fetch what a region lacks, up to two days ahead; returns how many half-hours were told.

    Raises:
        NoAnswer: the party gave nothing that can be used; what came before it is kept.
    """
    at = now()
    last = at + _AHEAD
    first = await _first_lacking(runtime, region, at)
    told = 0
    while first < last:
        until = min(last, first + neso.LONGEST)
        told += await _fetch(runtime, party, region, first, until)
        first = until
    return told


async def _first_lacking(runtime: Runtime, region: str, at: datetime) -> datetime:
    """Return the first half-hour that is missing, or whose actual figure may still come."""
    settings = cast("Settings", runtime.settings)
    oldest = _floored(at - timedelta(days=settings.carbon_backfill_days))
    query = select(CarbonIntensity.starts_at, CarbonIntensity.actual_g_per_kwh).where(
        CarbonIntensity.region == region, CarbonIntensity.starts_at >= oldest
    )
    async with runtime.worker_session() as session:
        kept = {row.starts_at: row.actual_g_per_kwh for row in await session.execute(query)}
    actual_may_come = at - _GIVEN_UP if region == neso.COUNTRY else at
    one = oldest
    while one < at and one in kept and (kept[one] is not None or one < actual_may_come):
        one += _HALF_HOUR
    return one


def _floored(at: datetime) -> datetime:
    return at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)


async def _fetch(
    runtime: Runtime, party: Party, region: str, first: datetime, last: datetime
) -> int:
    told, simulated = await party.attempt(
        lambda asked: neso.intensities(asked, region, first, last)
    )
    fetched_at = now()
    rows = [
        {
            "organisation_id": PLATFORM_ORGANISATION,
            "region": region,
            "starts_at": one.starts_at,
            "forecast_g_per_kwh": one.forecast_g,
            "actual_g_per_kwh": one.actual_g,
            "source": party.name,
            "simulated": simulated,
            "fetched_at": fetched_at,
        }
        for one in told
    ]
    if not rows:
        return 0
    statement = insert(CarbonIntensity).values(rows)
    said = statement.excluded
    kept = CarbonIntensity
    statement = statement.on_conflict_do_update(
        index_elements=["region", "starts_at"],
        set_={
            "forecast_g_per_kwh": coalesce(said.forecast_g_per_kwh, kept.forecast_g_per_kwh),
            "actual_g_per_kwh": coalesce(said.actual_g_per_kwh, kept.actual_g_per_kwh),
            "source": said.source,
            "simulated": said.simulated,
            "fetched_at": said.fetched_at,
        },
        where=kept.simulated | ~said.simulated,  # a true figure gives way to no simulated one
    )
    async with runtime.worker_session() as session:
        await session.execute(statement)
    return len(rows)
