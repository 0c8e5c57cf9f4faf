"""What the country's wind farms generated."""

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from energy.domain.settlement import HALF_HOUR, periods_of
from energy.wind.models import IngestionProgress, WindGeneration
from energy.wind_views.asking import NoWindData
from energy.wind_views.production_schemas import (
    GenerationCheck,
    GenerationStatus,
    PeriodGeneration,
    WindGenerationOfDay,
)
from energy.wind_views.spans import Span

PROCESS = "live"
"""Follows the stacks, and takes generation in beside them."""
_HOURS = Decimal(HALF_HOUR / timedelta(hours=1))


async def generation_of(session: AsyncSession, span: Span) -> WindGenerationOfDay:
    """Return a day's generation by settlement period.

    Raises:
        NoWindData: nothing of the day is known.
    """
    rows = await _rows(session, span)
    if not rows:
        raise NoWindData(f"No wind generation of {span.value} has been taken in.")
    periods = periods_of(span.first)
    return WindGenerationOfDay(
        date=span.first,
        onshore_mwh=_energy([row.wind_onshore for row in rows.values()]),
        offshore_mwh=_energy([row.wind_offshore for row in rows.values()]),
        total_mwh=sum((row.total_wind for row in rows.values()), Decimal(0)) * _HOURS,
        periods_known=len(rows),
        is_complete=len(rows) == len(periods),
        sources=sorted({row.data_source for row in rows.values()}),
        simulated=any(row.simulated for row in rows.values()),
        items=[
            PeriodGeneration(
                settlement_period=one.number,
                starts_at=one.start,
                onshore_mw=row and row.wind_onshore,
                offshore_mw=row and row.wind_offshore,
                total_mw=row and row.total_wind,
            )
            for one in periods
            for row in (rows.get(one.number),)
        ],
    )


async def generation_check(session: AsyncSession, span: Span) -> GenerationCheck:
    """Return which settlement periods of a day that are over are missing."""
    known = set(await _rows(session, span))
    over = [one.number for one in periods_of(span.first) if one.end <= now()]
    missing = [number for number in over if number not in known]
    return GenerationCheck(
        date=span.first,
        periods_expected=len(over),
        periods_known=len(known),
        missing_periods=missing,
        is_complete=not missing,
    )


async def generation_status(session: AsyncSession) -> GenerationStatus:
    """Return how far the country's generation is known."""
    row = WindGeneration
    found = await session.execute(
        select(
            func.min(row.settlement_date),
            func.max(row.settlement_date),
            func.count(row.settlement_date.distinct()),
            func.max(row.last_updated),
        )
    )
    first, last, days, updated = found.one()
    period = await session.scalar(
        select(func.max(row.settlement_period)).where(row.settlement_date == last)
    )
    progress = await session.get(IngestionProgress, PROCESS)
    return GenerationStatus(
        first_date=first,
        last_date=last,
        last_period=period,
        days=days,
        last_updated=updated,
        status=progress and progress.status,
        error=progress and progress.error_message,
    )


async def _rows(session: AsyncSession, span: Span) -> dict[int, WindGeneration]:
    row = WindGeneration
    found = await session.scalars(select(row).where(row.settlement_date == span.first))
    return {one.settlement_period: one for one in found}


def _energy(levels: list[Decimal | None]) -> Decimal | None:
    """Return the MWh of half-hours at some MW; None where one of them is not known."""
    known = [level for level in levels if level is not None]
    return sum(known, Decimal(0)) * _HOURS if len(known) == len(levels) else None
