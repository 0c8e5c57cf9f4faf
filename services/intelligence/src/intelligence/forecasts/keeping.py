"""Writing and finding stored forecasts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from intelligence.db import Outbox
from intelligence.forecasts.events import ForecastFitted, SeriesName
from intelligence.forecasts.fitted import Fitted
from intelligence.forecasts.models import Forecast

DAY_S: Final = 86_400
KEPT: Final = timedelta(days=400)
LOADS_KEPT: Final = timedelta(days=14)
"""A site's forecast is made every hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a forecast starts: which series, and what was last known of it."""

    series: SeriesName
    unit: str
    at: datetime
    value: float
    step_s: int
    points: int
    """How long the known past is."""
    simulated: bool
    organisation_id: UUID = PLATFORM_ORGANISATION
    site_id: UUID | None = None

    @property
    def subject(self) -> str:
        """Return which of several such series it is."""
        return "" if self.site_id is None else str(self.site_id)


async def keep(session: AsyncSession, origin: Origin, fitted: Fitted) -> bool:
    """Store a forecast and say so; False where another process has just stored the same."""
    horizon = len(fitted.model.predicted)
    at = now()
    row: dict[str, Any] = {
        "id": new_id(),
        "organisation_id": origin.organisation_id,
        "client_id": None,
        "series": origin.series,
        "subject": origin.subject,
        "unit": origin.unit,
        "origin_at": origin.at,
        "origin_value": origin.value,
        "step_s": origin.step_s,
        "horizon": horizon,
        "history_points": origin.points,
        "fitted": fitted.model_dump(mode="json"),
        "simulated": origin.simulated,
        "fitted_at": at,
    }
    if await session.scalar(_upsert(row)) is None:
        return False
    session.add(
        Outbox.of(
            ForecastFitted(
                organisation_id=origin.organisation_id,
                series=origin.series,
                site_id=origin.site_id,
                at=at,
                origin_at=origin.at,
                origin_value=origin.value,
                step_s=origin.step_s,
                horizon=horizon,
                unit=origin.unit,
                method=fitted.method,
                points=fitted.model,
                baseline=fitted.baseline,
                accuracy=fitted.accuracy,
                simulated=origin.simulated,
            )
        )
    )
    return True


def is_news(stored: Forecast | None, origin: Origin) -> bool:
    """Return whether more is known now than when this forecast was made."""
    if stored is None or stored.origin_at < origin.at:
        return True
    return stored.history_points < origin.points or stored.simulated != origin.simulated


def _upsert(row: dict[str, Any]) -> ReturningInsert[UUID]:
    """Store it, also over one of the same origin that knew less or rested on simulated data."""
    statement = insert(Forecast).values(row)
    new = statement.excluded
    kept = ("id", "organisation_id", "client_id", "series", "subject", "origin_at")
    return statement.on_conflict_do_update(
        index_elements=["organisation_id", "series", "subject", "origin_at"],
        set_={name: new[name] for name in row if name not in kept},
        where=(Forecast.history_points < new.history_points)
        | (Forecast.simulated != new.simulated),
    ).returning(Forecast.id)


async def newest(session: AsyncSession, series: SeriesName, subject: str = "") -> Forecast | None:
    """Return the stored forecast with the latest origin that this session may see."""
    query = (
        select(Forecast)
        .where(Forecast.series == series, Forecast.subject == subject)
        .order_by(Forecast.origin_at.desc())
        .limit(1)
    )
    return await session.scalar(query)


async def newest_origins(session: AsyncSession, series: SeriesName) -> dict[str, datetime]:
    """Return where the latest forecast of each subject starts."""
    query = (
        select(Forecast.subject, func.max(Forecast.origin_at))
        .where(Forecast.series == series)
        .group_by(Forecast.subject)
    )
    return {row[0]: row[1] for row in await session.execute(query)}


async def prune(session: AsyncSession) -> None:
    """Forget forecasts that nobody compares with anything any more."""
    at = now()
    is_load = Forecast.series == "site-load"
    old = (Forecast.origin_at < at - KEPT) | (is_load & (Forecast.origin_at < at - LOADS_KEPT))
    await session.execute(delete(Forecast).where(old))
