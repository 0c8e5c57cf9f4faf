"""Commands whose worker died over them, and commands that take each other's place."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from simulation.fleet import Fleet
from telemetry.main import SERVICE

FleetOf = Callable[..., Awaitable[Fleet]]
Register = Callable[..., Awaitable[tuple[UUID, list[UUID]]]]
Eventually = Callable[..., Awaitable[Any]]
Published = Callable[..., Awaitable[list[dict[str, Any]]]]
Deliver = Callable[..., Awaitable[UUID]]
WorkerSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Run = Callable[..., AbstractAsyncContextManager[Runtime]]

_ABANDON = text(
    "UPDATE telemetry.command SET state = 'sending', claimed_by = :nobody, attempts = 1, "
    "claimed_at = now() - interval '1 hour' WHERE id = ANY(:ids)"
)
_STATES = text("SELECT id, state, attempts FROM telemetry.command WHERE id = ANY(:ids) ORDER BY id")


def _order(site_id: UUID, miner: UUID, action: str, deadline_s: float) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "action": action,
        "commands": [{"command_id": new_id(), "miner_id": miner}],
        "deadline_at": (now() + timedelta(seconds=deadline_s)).isoformat(),
    }


async def _states(session_of: WorkerSession, ids: list[UUID]) -> list[str]:
    async with session_of() as session:
        found = {row.id: row.state for row in await session.execute(_STATES, {"ids": ids})}
    return [found[command_id] for command_id in ids if command_id in found]


async def test_abandoned_commands_are_taken_over_and_no_reboot_is_sent_twice(
    running_service: Run,
    extra_settings: dict[str, Any],
    fleet_of: FleetOf,
    register: Register,
    deliver: Deliver,
    worker_session: WorkerSession,
    eventually: Eventually,
) -> None:
    fleet = await fleet_of(3, mix={"luxos": 1.0})
    site_id, miners = await register(fleet)
    orders = [
        _order(site_id, miners[0], "sleep", 30),
        _order(site_id, miners[1], "reboot", 9),
        _order(site_id, miners[2], "wake", 30),  # it is awake: nothing is to be sent
    ]
    for order in orders:
        await deliver("hosting.command.ordered.v1", order)
    ids = [order["commands"][0]["command_id"] for order in orders]
    async with worker_session() as session:
        await session.execute(_ABANDON, {"ids": ids, "nobody": new_id()})
    async with running_service(SERVICE, **extra_settings):

        async def settled() -> list[str] | None:
            states = await _states(worker_session, ids)
            return states if not {"sending", "sent", "accepted", "pending"} & set(states) else None

        states = await eventually(settled, within_s=30)
    assert states == ["verified", "unverified", "verified"]
    states_now = [miner.state for miner in fleet.miners]
    assert states_now[0] == "sleeping"
    assert fleet.miners[1].machine.elapsed_s(now().timestamp()) > 8, "it was not rebooted"


async def test_sent_commands_are_proven_by_the_next_worker(
    running_service: Run,
    extra_settings: dict[str, Any],
    fleet_of: FleetOf,
    register: Register,
    deliver: Deliver,
    published: Published,
    worker_session: WorkerSession,
    eventually: Eventually,
) -> None:
    fleet = await fleet_of(1, mix={"luxos": 1.0}, ramp_s=4)
    site_id, [miner] = await register(fleet)
    sleep = _order(site_id, miner, "sleep", 30)
    command_id = sleep["commands"][0]["command_id"]
    await deliver("hosting.command.ordered.v1", sleep)

    async def accepted() -> bool:
        states = await _states(worker_session, [command_id])
        return states[0] in ("accepted", "verified")

    async def verified() -> bool:
        return await _states(worker_session, [command_id]) == ["verified"]

    slow = extra_settings | {"proof_poll_seconds": 600}
    async with running_service(SERVICE, **slow):
        await eventually(accepted)
    async with running_service(SERVICE, **extra_settings):
        await eventually(verified)
    results = [
        result["state"]
        for event in await published("telemetry.command.progressed.v1")
        for result in event["data"]["results"]
    ]
    assert results == ["accepted", "verified"]


async def test_a_later_command_takes_the_place_of_an_earlier_one(
    worker: Runtime,
    fleet_of: FleetOf,
    register: Register,
    deliver: Deliver,
    worker_session: WorkerSession,
    eventually: Eventually,
) -> None:
    fleet = await fleet_of(1, mix={"luxos": 1.0}, ramp_s=3)
    site_id, [miner] = await register(fleet)
    sleep, wake = _order(site_id, miner, "sleep", 30), _order(site_id, miner, "wake", 30)
    ids = [order["commands"][0]["command_id"] for order in (sleep, wake)]
    await deliver("hosting.command.ordered.v1", sleep)
    await deliver("hosting.command.ordered.v1", sleep)  # a repeat: the same ids
    await asyncio.sleep(0.05)
    await deliver("hosting.command.ordered.v1", wake)

    async def settled() -> list[str] | None:
        states = await _states(worker_session, ids)
        return states if len(states) == 2 and states[1] == "verified" else None

    states = await eventually(settled)
    # not sent any more, or taken and then undone
    assert states[0] in ("unreachable", "unverified", "verified")
    assert fleet.miners[0].state != "sleeping"


async def test_an_order_that_waits_to_be_sent_again_gives_way_to_a_newer_one(
    worker: Runtime,
    fleet_of: FleetOf,
    register: Register,
    deliver: Deliver,
    worker_session: WorkerSession,
    eventually: Eventually,
) -> None:
    fleet = await fleet_of(1, mix={"luxos": 1.0}, ramp_s=3)
    site_id, [miner] = await register(fleet)
    await fleet.set_fault("refuse")
    sleep = _order(site_id, miner, "sleep", 30)
    await deliver("hosting.command.ordered.v1", sleep)
    await asyncio.sleep(0.3)  # its first try has failed by now, the next comes within seconds
    wake = _order(site_id, miner, "wake", 30)
    await deliver("hosting.command.ordered.v1", wake)
    await asyncio.sleep(0.1)
    await fleet.clear_faults()
    ids = [order["commands"][0]["command_id"] for order in (sleep, wake)]

    async def settled() -> list[str] | None:
        states = await _states(worker_session, ids)
        waiting = {"pending", "sending", "sent", "accepted"}
        return None if len(states) < 2 or waiting & set(states) else states

    states = await eventually(settled)
    assert states[0] == "unreachable"
    assert fleet.miners[0].state != "sleeping"
