"""Commands on real sockets: sent, accepted, and proven by what the machines say afterwards."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from simulation.fleet import Fleet

FleetOf = Callable[..., Awaitable[Fleet]]
Register = Callable[..., Awaitable[tuple[UUID, list[UUID]]]]
Eventually = Callable[..., Awaitable[Any]]
Published = Callable[..., Awaitable[list[dict[str, Any]]]]
Deliver = Callable[..., Awaitable[UUID]]

PROGRESSED = "telemetry.command.progressed.v1"


def _order(site_id: UUID, miners: list[UUID], action: str, **changes: Any) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "plan_id": new_id(),
        "action": action,
        "commands": [{"command_id": new_id(), "miner_id": miner} for miner in miners],
        "reason": "test",
        "deadline_at": (now() + timedelta(seconds=20)).isoformat(),
    } | changes


async def _results(published: Published) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for event in await published(PROGRESSED):
        for result in event["data"]["results"]:
            found.setdefault(result["command_id"], []).append(result)
    return found


async def test_a_curtailment_is_proven_and_taken_back(
    worker: Runtime,
    fleet_of: FleetOf,
    register: Register,
    client: httpx.AsyncClient,
    eventually: Eventually,
    published: Published,
    deliver: Deliver,
) -> None:
    fleet = await fleet_of(12)
    site_id, miners = await register(fleet)

    async def all_read() -> bool:
        answer = await client.get("/api/telemetry/fleet", params={"site_id": str(site_id)})
        return all(answer.json()["columns"]["hashrate_ths"])

    await eventually(all_read)
    families = [miner.unit.family for miner in fleet.miners]
    able = [m for m, family in zip(miners, families, strict=True) if family != "antminer"]
    unable = set(miners) - set(able)
    assert able
    assert unable
    before_w = fleet.true_power_w()
    order = _order(site_id, miners, "sleep")
    await deliver("hosting.curtailment.ordered.v1", order)

    async def all_done() -> dict[str, list[dict[str, Any]]] | None:
        found = await _results(published)
        final = [r[-1]["state"] != "accepted" for r in found.values()]
        return found if len(final) == len(miners) and all(final) else None

    found = await eventually(all_done)
    for command in order["commands"]:
        states = [r["state"] for r in found[str(command["command_id"])]]
        if command["miner_id"] in unable:
            assert states == ["unsupported"]
        else:
            assert states == ["accepted", "verified"]
            last = found[str(command["command_id"])][-1]
            assert last["power_before_w"] > 1000
            assert last["power_after_w"] < 150
            assert last["power_estimated"] is False
    assert fleet.true_power_w() < before_w - 1000 * len(able)

    command_id = next(c["command_id"] for c in order["commands"] if c["miner_id"] in able)
    one = (await client.get(f"/api/telemetry/commands/{command_id}")).json()
    assert one["state"] == "verified"
    assert (await client.get(f"/api/telemetry/miners/{able[0]}")).json()["curtailed_since"]

    wake = _order(site_id, able, "wake", plan_id=None)
    await deliver("hosting.command.ordered.v1", wake)

    async def all_awake() -> bool:
        found = await _results(published)
        return all(
            found.get(str(c["command_id"]), [{"state": None}])[-1]["state"] == "verified"
            for c in wake["commands"]
        )

    await eventually(all_awake)
    assert not (await client.get(f"/api/telemetry/miners/{able[0]}")).json()["curtailed_since"]


async def test_what_cannot_be_reached_or_proven_says_so(
    worker: Runtime,
    fleet_of: FleetOf,
    register: Register,
    eventually: Eventually,
    published: Published,
    deliver: Deliver,
) -> None:
    fleet = await fleet_of(2, mix={"luxos": 1.0})
    site_id, miners = await register(fleet)
    await fleet.miners[0].set_fault("refuse")
    await fleet.miners[1].set_fault("refuse_control")
    order = _order(site_id, [*miners, new_id()], "sleep")
    late = _order(
        site_id, miners[1:], "wake", deadline_at=(now() - timedelta(seconds=1)).isoformat()
    )
    await deliver("hosting.curtailment.ordered.v1", late)
    await deliver("hosting.curtailment.ordered.v1", order)

    async def all_done() -> list[str] | None:
        found = await _results(published)
        return [r[-1]["state"] for r in found.values()] if len(found) == 4 else None

    assert sorted(await eventually(all_done)) == [
        "expired",
        "refused",
        "unreachable",
        "unreachable",
    ]
