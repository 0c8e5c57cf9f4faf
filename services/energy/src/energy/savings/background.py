"""Keeps the ledger up to date."""

import asyncio
from typing import cast

from common.runtime import Runtime
from energy.savings import settling, shifts
from energy.settings import Settings


async def settle_savings(runtime: Runtime) -> None:
    """Keep the ledger up to date for as long as the process runs."""
    settings = cast("Settings", runtime.settings)
    while not runtime.stopping.is_set():
        await settling.settle_due(runtime)
        await shifts.settle_due(runtime)
        await asyncio.sleep(settings.savings_every_s)
