"""What the list of runs says of one whose process was killed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest

from common.runtime import Runtime
from energy.wind.orders import Order
from energy.wind.processing import advance, carry_out
from simulation.elexon import Elexon

Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
Process = Callable[..., Awaitable[dict[str, Any]]]
KILLED, LIVING, NEXT = date(2025, 3, 4), date(2025, 3, 5), date(2025, 3, 6)

pytestmark = pytest.mark.usefixtures("models", "epochs")


async def test_the_next_run_closes_those_whose_process_ended(
    runtime: Runtime, elexon: Elexon, rows: Rows, process: Process
) -> None:
    async def status_of(first: date) -> str | None:
        found = await rows("ingestion_runs", "first_date = :first", first=first)
        return found[0]["status"] if found else None

    # Of one that is killed nothing is left but its row, wherever it stood.
    killed = Order(kind="reingest", first=KILLED, last=KILLED)
    await advance(runtime, killed, {}, ordered_by="command")
    begun = asyncio.Event()
    living = asyncio.create_task(
        carry_out(
            runtime,
            Order(kind="reingest", first=LIVING, last=LIVING, outputs=False),
            "command",
            lambda _: begun.set(),
        )
    )
    elexon.delay_s = 0.5
    try:
        await begun.wait()
        assert await status_of(KILLED) == "interrupted"
        await process("verify", NEXT)
        assert await status_of(LIVING) == "running"
    finally:
        elexon.delay_s = 0.0
        report = await living
    assert report["complete"]
    assert await status_of(LIVING) == "complete"
    assert await status_of(KILLED) == "interrupted"


async def test_a_run_of_a_job_goes_on_with_the_job(
    runtime: Runtime, rows: Rows, process: Process
) -> None:
    order = Order(kind="reingest", first=KILLED, last=KILLED, periods=(1, 1), outputs=False)
    progress = await advance(runtime, order, {}, ordered_by="job")
    await process("verify", NEXT)
    [run] = await rows("ingestion_runs", "first_date = :first", first=KILLED)
    assert run["status"] == "running"
    while progress.result is None:
        progress = await advance(runtime, order, progress.cursor, ordered_by="job")
    [run] = await rows("ingestion_runs", "first_date = :first", first=KILLED)
    assert run["status"] == "incomplete"
