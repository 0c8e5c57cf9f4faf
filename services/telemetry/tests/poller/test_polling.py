"""Polling for real: a simulated fleet on sockets, a worker, and what can be read afterwards."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx

from common.runtime import Runtime
from simulation.fleet import Fleet

FleetOf = Callable[..., Awaitable[Fleet]]
Register = Callable[..., Awaitable[tuple[UUID, list[UUID]]]]
Eventually = Callable[..., Awaitable[Any]]


async def test_a_registered_fleet_is_polled_and_can_be_read(
    worker: Runtime, fleet_of: FleetOf, register: Register, client: httpx.AsyncClient,
    eventually: Eventually,
) -> None:  # fmt: skip
    fleet = await fleet_of(12)
    site_id, miners = await register(fleet)

    async def all_read() -> dict[str, Any] | None:
        answer = await client.get("/api/telemetry/fleet", params={"site_id": str(site_id)})
        columns = answer.json()["columns"]
        return columns if all(columns["hashrate_ths"]) and columns["miner_id"] else None

    columns = await eventually(all_read)
    assert sorted(columns["miner_id"]) == sorted(map(str, miners))
    assert all(columns["simulated"])

    latest = (await client.get(f"/api/telemetry/miners/{miners[0]}")).json()
    truth = fleet.miners[0].truth(0)
    assert latest["outcome"] == "ok"
    assert latest["online"] is True
    assert latest["is_mining"] is True
    assert latest["model"], truth
