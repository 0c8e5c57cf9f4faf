"""The three tasks that keep rates, intensities and savings, run as the service runs them."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from httpx import AsyncClient
from sqlalchemy import text

from common.app import Service
from common.runtime import Runtime
from simulation.grid import GridFault, serve

RunningService = Callable[..., AbstractAsyncContextManager[Runtime]]


async def count(runtime: Runtime, table: str) -> int:
    async with runtime.worker_session() as session:
        return await session.scalar(text(f"SELECT count(*) FROM energy.{table}")) or 0


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not await what():
            await asyncio.sleep(0.1)


async def test_they_begin_by_themselves_and_live_through_a_bad_hour(
    service: Service, running_service: RunningService, client: AsyncClient, runtime: Runtime,
    new_site: Any, new_miner: Any, rate: Any, plan: Any,
) -> None:  # fmt: skip
    site_id: UUID = await new_site()
    await rate(site_id)
    put = await client.put(f"/api/electricity/carbon/sites/{site_id}", json={"region": "GB-7"})
    assert put.status_code == 200
    async with runtime.worker_session() as session:
        await session.execute(text("DELETE FROM energy.reference_rate"))
        await session.execute(text("DELETE FROM energy.carbon_intensity"))
    async with serve(seed=7) as grid:
        grid.fault("ecb", GridFault.HTML)
        grid.fault("carbon", GridFault.EMPTY)
        places = {"carbon_url": grid.url("carbon"), "currencies_url": grid.url("ecb")}
        often = {"carbon_every_s": 0.2, "currencies_every_s": 0.2, "savings_every_s": 0.2}
        async with running_service(service, **places, **often) as running:

            async def both_down() -> bool:
                return {"reference rates", "carbon intensity"} <= set(running.degraded)

            await until(both_down)
            assert await count(runtime, "reference_rate") == 0
    async with (
        serve(seed=7) as grid,
        running_service(
            service,
            carbon_url=grid.url("carbon"),
            currencies_url=grid.url("ecb"),
            carbon_every_s=0.2,
            currencies_every_s=0.2,
            savings_every_s=0.2,
        ) as running,
    ):
        noon = datetime(2026, 11, 10, 12, tzinfo=UTC)
        miner = await new_miner(site_id)
        await plan(site_id, {miner: (3050.0, 0.0)}, noon, noon + timedelta(hours=2))

        async def all_kept() -> bool:
            tables = ("reference_rate", "carbon_intensity")
            kept = [await count(runtime, table) for table in tables]
            savings = (await client.get("/api/electricity/savings")).json()["total"]
            return all(kept) and savings == 1

        await until(all_kept)
        assert "reference rates" not in running.degraded
