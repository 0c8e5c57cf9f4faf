"""Ties the worker's monotonic clock to the database's clock, which all workers share."""

import asyncio
import time

from sqlalchemy import text
from structlog import get_logger

from common.runtime import Runtime
from telemetry.domain.slots import AnchoredClock

log = get_logger()
_EVERY_S = 20.0
_READ = text("SELECT extract(epoch FROM clock_timestamp())::float8")


async def anchor(runtime: Runtime, clock: AnchoredClock) -> None:
    """Read the database's clock a few times and keep the best reading."""
    async with runtime.worker_session() as session:
        for _ in range(3):
            sent_s = time.monotonic()
            database_s = float(await session.scalar(_READ) or 0.0)
            clock.anchor(sent_s=sent_s, received_s=time.monotonic(), database_s=database_s)


async def keep_time(runtime: Runtime, clock: AnchoredClock) -> None:
    """Anchor again and again. While the database is away the last anchor holds."""
    while True:
        await asyncio.sleep(_EVERY_S)
        try:
            await anchor(runtime, clock)
        except Exception as error:  # noqa: BLE001  (the last anchor is good for a long while)
            log.warning("clock.not_anchored", error=repr(error)[:200])
