"""From a wish to the last machine back at work."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx

URL = "/api/hosting/curtailment"
Dict = dict[str, Any]


async def statuses(client: httpx.AsyncClient, plan_id: str) -> Dict:
    return (await client.get(f"{URL}/{plan_id}")).json()


async def test_a_plan_is_ordered_proven_and_undone(
    client: httpx.AsyncClient,
    new_miner: Callable[..., Awaitable[UUID]],
    wanted: Callable[..., Dict],
    answer: Callable[..., Awaitable[None]],
    published: Callable[..., Awaitable[list[Dict]]],
) -> None:
    worst = await new_miner(hashrate_ths=95, power_w=3250)
    best = await new_miner(hashrate_ths=270, power_w=3645)

    made = await client.post(f"{URL}/trigger", json=wanted(0.003))
    assert made.status_code == 201, made.text
    plan = made.json()
    assert plan["status"] == "executing"
    assert plan["plan_type"] == "manual"
    assert [target["miner_id"] for target in plan["targets"]] == [str(worst)]
    assert plan["targets"][0]["state"] == "dispatching"
    assert plan["targets"][0]["desired_state"] == "curtailed"
    [order] = await published("hosting.curtailment.ordered.v1")
    assert order["key"] == plan["id"]
    assert order["data"]["action"] == "sleep"
    assert [command["miner_id"] for command in order["data"]["commands"]] == [str(worst)]

    await answer("accepted", "verified", after_w=50)
    proven = await statuses(client, plan["id"])
    assert proven["status"] == "executed"
    assert proven["executed_at"]
    assert proven["power_reduced_mw"] == 0.0032
    assert proven["power_reduced_estimated_mw"] == 0
    assert proven["miners_affected"] == 1
    assert proven["targets"][0]["state"] == "confirmed"

    restored = await client.post(f"{URL}/{plan['id']}/restore")
    assert restored.status_code == 200, restored.text
    assert restored.json()["status"] == "restoring"
    assert restored.json()["targets"][0]["desired_state"] == "active"
    orders = await published("hosting.curtailment.ordered.v1")
    assert [event["data"]["action"] for event in orders] == ["sleep", "wake"]

    await answer("accepted", "verified", after_w=3250)
    done = await statuses(client, plan["id"])
    assert done["status"] == "completed"
    assert done["completed_at"]
    assert done["restore_failed_count"] == 0
    assert done["targets"][0]["state"] == "resolved"
    assert done["power_reduced_mw"] == 0.0032

    changes = await published("hosting.curtailment.changed.v1")
    moves = [event["data"]["status"] for event in changes]
    assert list(dict.fromkeys(moves)) == ["executing", "executed", "restoring", "completed"]
    assert [event["version"] for event in changes] == sorted(event["version"] for event in changes)
    miner_events = [
        (event["key"], event["data"]["status"])
        for event in await published("hosting.miner.changed.v1")
    ]
    assert miner_events == [(str(worst), status) for status in ("stopping", "curtailed", "active")]
    assert str(best) not in str(orders)
