"""The read model: old events change nothing; machines leave and return with their history."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.ids import new_id
from common.runtime import Runtime
from simulation.fleet import Fleet
from telemetry.domain.partition import partition_of
from telemetry.fleet.models import Miner
from telemetry.poller.roster import Roster

FleetOf = Callable[..., Awaitable[Fleet]]
Register = Callable[..., Awaitable[tuple[UUID, list[UUID]]]]
Deliver = Callable[..., Awaitable[UUID]]
Eventually = Callable[..., Awaitable[Any]]
TenantSession = Callable[..., AbstractAsyncContextManager[AsyncSession]]


def _changed(miner_id: UUID, site_id: UUID, **changes: Any) -> dict[str, Any]:
    return {
        "miner_id": miner_id,
        "site_id": site_id,
        "serial_number": "S1",
        "model": "Unheard-of 9000",
        "ip": "127.64.0.9",
        "port": 4028,
        "status": "active",
        "polled": True,
        "added_in_a_later_version": {"x": 1},
    } | changes


async def test_older_versions_change_nothing(
    deliver: Deliver, tenant_session: TenantSession
) -> None:
    miner_id, site_id = new_id(), new_id()
    for version, serial in ((2, "second"), (1, "first"), (2, "again"), (3, "third")):
        body = _changed(miner_id, site_id, serial_number=serial)
        await deliver("hosting.miner.changed.v1", body, version=version)
        async with tenant_session() as session:
            [miner] = (await session.scalars(select(Miner).where(Miner.id == miner_id))).all()
        assert miner.serial_number == ("third" if version == 3 else "second")
    assert miner.partition == partition_of(miner_id)


async def test_the_nameplate_comes_from_the_machine_or_its_model(
    deliver: Deliver, runtime: Runtime
) -> None:
    site_id, model_id, own, shared = (new_id() for _ in range(4))
    name = f"Model {model_id}"
    body = _changed(own, site_id, nameplate_hashrate_ths=7.0, nameplate_power_w=70.0, model=name)
    await deliver("hosting.miner.changed.v1", body)
    await deliver("hosting.miner.changed.v1", _changed(shared, site_id, model=name.upper()))
    await deliver(
        "calculator.miner-model.changed.v1",
        {"model_id": model_id, "name": name, "aliases": [], "hashrate_ths": 100, "power_w": 3250},
        organisation_id=PLATFORM_ORGANISATION,
    )
    roster = Roster(runtime, new_id())
    roster.assign(frozenset(range(48)))
    await roster.refresh(full=True)
    assert roster.machines[own].nameplate_hashrate_ths == 7.0
    assert roster.machines[shared].nameplate_power_w == 3250
    assert roster.machines[shared].permitted is False, "its site is not known yet"
    await deliver(
        "hosting.site.changed.v1",
        {"site_id": site_id, "name": "late", "allowed_cidrs": ["127.64.0.0/10"]},
    )
    await roster.refresh()
    assert roster.machines[shared].permitted is True
    await deliver("hosting.miner.changed.v1", _changed(own, site_id, polled=False), version=2)
    machine = roster.machines[own]
    await roster.refresh()
    assert own not in roster.machines
    assert machine.active is False


async def test_a_worker_that_was_given_up_lets_go(deliver: Deliver, runtime: Runtime) -> None:
    miner_id = new_id()
    await deliver("hosting.miner.changed.v1", _changed(miner_id, new_id()))
    zombie, heir = Roster(runtime, new_id()), Roster(runtime, new_id())
    for roster in (zombie, heir):
        roster.assign(frozenset({partition_of(miner_id)}))
        await roster.refresh(full=True)
    machine = zombie.machines[miner_id]
    await zombie.refresh()
    await zombie.refresh()
    assert zombie.machines == {}
    assert zombie.partitions == []
    assert machine.active is False
    await heir.refresh()
    assert miner_id in heir.machines


async def test_alerts_end_when_a_machine_is_switched_off(
    worker: Runtime,
    fleet_of: FleetOf,
    register: Register,
    deliver: Deliver,
    client: httpx.AsyncClient,
    eventually: Eventually,
) -> None:
    fleet = await fleet_of(1, mix={"luxos": 1.0})
    await fleet.miners[0].set_fault("refuse")
    site_id, [miner_id] = await register(fleet)

    async def open_alerts() -> list[Any]:
        return (await client.get("/api/telemetry/alerts?open=true")).json()["items"]

    async def none_open() -> bool:
        return not await open_alerts()

    await eventually(open_alerts)
    off = _changed(miner_id, site_id, polled=False, ip=fleet.miners[0].address)
    await deliver("hosting.miner.changed.v1", off, version=2)
    await eventually(none_open)
    await fleet.miners[0].clear_faults()
    await deliver("hosting.miner.changed.v1", off | {"polled": True}, version=3)

    async def online() -> bool:
        return (await client.get(f"/api/telemetry/miners/{miner_id}")).json()["online"]

    await eventually(online)
