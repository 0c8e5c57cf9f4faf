"""Three silent slots make a miner offline; one answer brings it back; each is said once."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx

from common.runtime import Runtime
from simulation.fleet import Fleet

FleetOf = Callable[..., Awaitable[Fleet]]
Register = Callable[..., Awaitable[tuple[UUID, list[UUID]]]]
Eventually = Callable[..., Awaitable[Any]]
Published = Callable[..., Awaitable[list[dict[str, Any]]]]

OFFLINE = "telemetry.miner-state.went-offline.v1"
ONLINE = "telemetry.miner-state.came-online.v1"


async def test_silence_and_return_are_announced_once(
    worker: Runtime,
    fleet_of: FleetOf,
    register: Register,
    client: httpx.AsyncClient,
    eventually: Eventually,
    published: Published,
) -> None:
    fleet = await fleet_of(3)
    site_id, miners = await register(fleet)

    async def state(index: int) -> Any:
        return (await client.get(f"/api/telemetry/miners/{miners[index]}")).json()

    async def all_online() -> bool:
        return all([(await state(index))["online"] for index in range(3)])

    await eventually(all_online)
    await fleet.miners[1].set_fault("refuse")
    [gone] = await eventually(lambda: published(OFFLINE))
    assert gone["data"]["miner_id"] == str(miners[1])
    assert gone["data"]["site_id"] == str(site_id)
    assert gone["key"] == str(miners[1])
    silent = await state(1)
    assert (silent["outcome"], silent["online"]) == ("refused", False)
    assert silent["hashrate_5s_ths"] is None
    alerts = (await client.get("/api/telemetry/alerts", params={"open": "true"})).json()
    assert [(a["rule"], a["miner_id"]) for a in alerts["items"]] == [("offline", str(miners[1]))]

    await fleet.miners[1].clear_faults()
    await eventually(lambda: published(ONLINE), within_s=40)
    assert len(await published(OFFLINE)) == 1
    assert len(await published(ONLINE)) == 1
    assert len(await published("telemetry.alert.fired.v1")) == 1
    assert len(await published("telemetry.alert.cleared.v1")) == 1


async def test_an_address_outside_the_site_is_never_contacted(
    worker: Runtime,
    fleet_of: FleetOf,
    register: Register,
    client: httpx.AsyncClient,
    eventually: Eventually,
) -> None:
    fleet = await fleet_of(1)
    _, [miner_id] = await register(fleet, allowed_cidrs=["10.0.0.0/8"])

    async def refused() -> bool:
        answer = await client.get(f"/api/telemetry/miners/{miner_id}")
        return answer.json()["outcome"] == "not_permitted"

    await eventually(refused)
    assert fleet.miners[0].traffic.connections == 0
