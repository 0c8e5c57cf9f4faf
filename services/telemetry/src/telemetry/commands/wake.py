"""Wakes the workers when commands have been ordered: NOTIFY, one per order, over all processes."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
from structlog import get_logger

from common.runtime import Runtime

log = get_logger()
_connect: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  (untyped)
CHANNEL = "telemetry_commands"


def _setter(event: asyncio.Event) -> Callable[..., None]:
    return lambda *_: event.set()


async def listen(runtime: Runtime, woken: asyncio.Event) -> None:
    """Set `woken` whenever commands were written, for ever; reconnects by itself."""
    dsn = runtime.settings.worker_database_url.get_secret_value().replace("+asyncpg", "", 1)

    while True:
        lost = asyncio.Event()
        try:
            connection: Any = await _connect(
                dsn, timeout=5, server_settings={"tcp_keepalives_idle": "5"}
            )
        except (OSError, asyncpg.PostgresError) as error:
            log.warning("commands.not_listening", error=repr(error)[:200])
            await asyncio.sleep(0.5)
            continue
        try:
            connection.add_termination_listener(_setter(lost))
            await connection.add_listener(CHANNEL, _setter(woken))
            woken.set()  # something may have been ordered while nobody listened
            await lost.wait()
        finally:
            connection.terminate()
