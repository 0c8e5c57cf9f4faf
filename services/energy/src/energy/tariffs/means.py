"""Says the mean price of a rate's week to come again: when it changes, and before a week is over.

A rate by the time of use has another mean in another season, or in a week with a holiday, though
nobody changed it; and readers believe no mean that is older than seven days.
"""

import asyncio
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.runtime import Runtime
from energy.settings import Settings
from energy.tariffs.activation import one_at_a_time
from energy.tariffs.models import ElectricityRate
from energy.tariffs.publishing import announce, mean_price
from energy.tariffs.terms import StoredTerms
from energy.turns import each_organisation

_LOCK = 7_201_351
_SAID_FOR = timedelta(days=6)
"""A day less than readers wait: there is time for a process that is down."""
_VARYING = (ElectricityRate.removed_at.is_(None), ElectricityRate.rate_type == "tou")
"""Which rates have a mean of a week that may change by itself."""


async def keep_means_told(runtime: Runtime) -> None:
    """Look at the rates of every organisation, for ever."""
    settings = cast("Settings", runtime.settings)
    while not runtime.stopping.is_set():
        await tell_means(runtime)
        await asyncio.sleep(settings.tariffs_every_s)


async def tell_means(runtime: Runtime, *, at: datetime | None = None) -> None:
    """Publish those rates again whose mean is another now, or was said six days ago."""

    async def turn(session: AsyncSession, organisation_id: UUID) -> None:
        await _tell(session, organisation_id, at or now())

    query = select(ElectricityRate.organisation_id).where(*_VARYING).distinct()
    await each_organisation(runtime, query, _LOCK, turn)


async def _tell(session: AsyncSession, organisation_id: UUID, at: datetime) -> None:
    await one_at_a_time(session, organisation_id)
    rates = await session.scalars(
        select(ElectricityRate)
        .where(ElectricityRate.organisation_id == organisation_id, *_VARYING)
        .order_by(ElectricityRate.id)
    )
    for rate in list(rates):
        tariff = StoredTerms.model_validate(rate.body).tariff()
        mean = await asyncio.to_thread(mean_price, tariff, at)
        is_old = rate.announced_at is None or at - rate.announced_at >= _SAID_FOR
        if mean is not None and (is_old or mean != rate.announced_mean):
            rate.revision += 1
            await session.flush()  # its event comes after it
            announce(session, rate, at=at)
