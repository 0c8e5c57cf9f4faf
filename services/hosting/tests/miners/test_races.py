"""Two callers at once: one of them wins, the other is told so."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from common.clock import now
from common.ids import new_id

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
Published = Callable[..., Awaitable[list[Made]]]
Deliver = Callable[..., Awaitable[object]]
MINERS = "/api/hosting/miners"


async def test_one_serial_number_is_registered_once(
    client: httpx.AsyncClient, new_site: New, published: Published
) -> None:
    site = await new_site()
    body: Made = {
        "serial_number": "A",
        "model": "Rig",
        "site_id": site["id"],
        "hashrate_ths": 1,
        "power_w": 1,
    }
    bodies = [body | {"cgminer_ip": f"10.20.0.{n}"} for n in range(1, 6)]
    answers = await asyncio.gather(*(client.post(MINERS, json=one) for one in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert len(await published("hosting.miner.registered.v1")) == 1


async def test_one_machine_takes_one_order(
    client: httpx.AsyncClient, new_miner: New, published: Published
) -> None:
    miner = await new_miner()
    path = f"{MINERS}/{miner['id']}/shutdown"
    answers = await asyncio.gather(*(client.post(path) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    assert len(await published("hosting.command.ordered.v1")) == 1


async def test_versions_of_one_machine_never_repeat(
    client: httpx.AsyncClient, new_miner: New, published: Published
) -> None:
    miner = await new_miner()
    path = f"{MINERS}/{miner['id']}"
    changes = [{"power_w": 3000 + n} for n in range(6)]
    answers = await asyncio.gather(*(client.patch(path, json=change) for change in changes))
    assert {answer.status_code for answer in answers} == {200}
    versions = [event["version"] for event in await published("hosting.miner.changed.v1")]
    assert versions == [2, 3, 4, 5, 6, 7]


async def test_a_repeated_batch_is_answered_from_memory(
    client: httpx.AsyncClient, new_miner: New, published: Published
) -> None:
    miner = await new_miner()
    path = "/api/hosting/host/devices/batch"
    body = {"action": "shutdown", "miner_ids": [miner["id"]]}
    headers = {"Idempotency-Key": str(new_id())}
    first = await client.post(path, json=body, headers=headers)
    again = await client.post(path, json=body, headers=headers)
    assert first.json()["results"][0]["command_id"] is not None
    assert again.status_code == 202
    assert again.json() == first.json()
    assert len(await published("hosting.command.ordered.v1")) == 1
    other = await client.post(path, json=body | {"action": "start"}, headers=headers)
    assert other.status_code == 422


async def test_people_and_events_on_the_same_machines_wait_and_never_fail(
    client: httpx.AsyncClient, new_site: New, new_miner: New, deliver: Deliver
) -> None:
    site = await new_site()
    miners = [await new_miner(site_id=site["id"]) for _ in range(6)]
    ids = [miner["id"] for miner in miners]

    async def batch(action: str, named: list[str]) -> int:
        body = {"action": action, "miner_ids": named}
        return (await client.post("/api/hosting/host/devices/batch", json=body)).status_code

    async def state(kind: str, miner_id: str) -> int:
        body = {"miner_id": miner_id, "site_id": site["id"], "timestamp": now().isoformat()}
        await deliver(f"telemetry.miner-state.{kind}.v1", body)
        return 202

    async def mend(miner_id: str) -> int:
        path = f"{MINERS}/{miner_id}/maintenance"
        begun = await client.post(path, json={"reason": "fan"})
        return max(begun.status_code, (await client.post(f"{path}/end")).status_code)

    answers = await asyncio.gather(
        batch("shutdown", ids),
        *(state("went-offline", miner_id) for miner_id in reversed(ids)),
        mend(ids[0]),
        batch("start", ids[::-1]),
        mend(ids[-1]),
        *(state("came-online", miner_id) for miner_id in ids),
        batch("reboot", ids),
    )
    assert set(answers) <= {200, 201, 202, 409}
