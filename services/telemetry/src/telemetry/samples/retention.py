"""Makes the daily partitions of the coming days, and drops what is old."""

import asyncio
from datetime import timedelta
from typing import cast

from sqlalchemy import text
from structlog import get_logger

from common.clock import now
from common.runtime import Runtime
from telemetry.settings import Settings

log = get_logger()
_EVERY_S = 3600.0
_DAYS_AHEAD = 3
_ENSURE = text("SELECT telemetry.ensure_sample_day(:day)")
_DROP = text("SELECT telemetry.drop_sample_days(:keep_from)")
_OLD = (
    text("DELETE FROM telemetry.rollup_5m WHERE starts_at < now() - interval '90 days'"),
    text("DELETE FROM telemetry.rollup_1h WHERE starts_at < now() - interval '5 years'"),
    text("DELETE FROM telemetry.parked_row WHERE parked_at < now() - interval '30 days'"),
)


async def keep_days(runtime: Runtime) -> None:
    """Look each hour, for ever: the background task."""
    while True:
        await tend(runtime, cast("Settings", runtime.settings))
        await asyncio.sleep(_EVERY_S)


async def tend(runtime: Runtime, settings: Settings) -> None:
    """Make partitions for today and three days more; drop those past their days."""
    today = now().date()
    async with runtime.worker_session() as session:
        for ahead in range(_DAYS_AHEAD + 1):
            await session.execute(_ENSURE, {"day": today + timedelta(days=ahead)})
    async with runtime.worker_session() as session:
        keep_from = today - timedelta(days=settings.sample_days)
        dropped = await session.scalar(_DROP, {"keep_from": keep_from})
        if dropped:
            log.info("samples.days_dropped", days=dropped)
        for statement in _OLD:
            await session.execute(statement)
