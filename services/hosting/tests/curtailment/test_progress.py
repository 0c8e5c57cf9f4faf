"""What answers from the field make of a plan."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx

from common.clock import now

URL = "/api/hosting/curtailment"
Dict = dict[str, Any]
NewMiner = Callable[..., Awaitable[UUID]]
Wanted = Callable[..., Dict]
Answering = Callable[..., Awaitable[None]]


async def triggered(client: httpx.AsyncClient, body: Dict) -> Dict:
    made = await client.post(f"{URL}/trigger", json=body)
    assert made.status_code == 201, made.text
    return made.json()


async def plan_now(client: httpx.AsyncClient, plan: Dict) -> Dict:
    return (await client.get(f"{URL}/{plan['id']}")).json()


async def statuses_of(published: Any, miner: UUID) -> list[str]:
    events = await published("hosting.miner.changed.v1")
    return [event["data"]["status"] for event in events if event["key"] == str(miner)]


async def test_a_plan_that_reaches_only_some_machines_is_partially_executed(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Any,
) -> None:
    obeys = await new_miner()
    refuses = await new_miner()
    lost = await new_miner()
    plan = await triggered(client, wanted(0.0101))
    await answer("accepted", "verified", only={obeys})
    assert (await plan_now(client, plan))["status"] == "executing"
    await answer("refused", only={refuses}, detail="curtail: not supported in this mode")
    await answer("unreachable", only={lost})
    after = await plan_now(client, plan)
    assert after["status"] == "partially_executed"
    assert after["power_reduced_mw"] == 0.00346
    assert after["miners_affected"] == 1
    states = {target["miner_id"]: target for target in after["targets"]}
    assert states[str(refuses)]["state"] == "unavailable"
    assert states[str(refuses)]["reason"].startswith("refused: curtail")
    assert states[str(obeys)]["observed_power_w"] == 40
    assert after["targets_by_state"] == {"confirmed": 1, "unavailable": 2}
    assert await statuses_of(published, obeys) == ["stopping", "curtailed"]
    assert await statuses_of(published, refuses) == []

    restored = (await client.post(f"{URL}/{plan['id']}/restore")).json()
    assert restored["targets_by_state"] == {"dispatching": 1, "released": 2}
    *_, wake = await published("hosting.curtailment.ordered.v1")
    assert [command["miner_id"] for command in wake["data"]["commands"]] == [str(obeys)]
    await answer("verified")
    assert (await plan_now(client, plan))["status"] == "completed"


async def test_a_plan_that_reaches_nobody_fails_and_frees_its_machines(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, answer: Answering
) -> None:
    await new_miner()
    plan = await triggered(client, wanted(0.003))
    await answer("expired")
    after = await plan_now(client, plan)
    assert after["status"] == "failed"
    assert after["executed_at"] is None
    assert after["power_reduced_mw"] == 0
    assert (await client.post(f"{URL}/trigger", json=wanted(0.003))).status_code == 201


async def test_estimated_watts_are_shown_apart_and_count(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, answer: Answering
) -> None:
    measured = await new_miner()
    guessed = await new_miner(estimated=True)
    plan = await triggered(client, wanted(0.0067))
    await answer("verified", only={measured})
    await answer("verified", only={guessed}, after_w=None, estimated=True)
    after = await plan_now(client, plan)
    assert after["status"] == "executed"
    assert after["power_reduced_mw"] == 0.00346
    assert after["power_reduced_estimated_mw"] == 0.0035


async def test_an_unproven_stop_is_woken_all_the_same(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Any,
) -> None:
    miner = await new_miner()
    plan = await triggered(client, wanted(0.003))
    await answer("accepted", "unverified")
    after = await plan_now(client, plan)
    assert after["status"] == "failed"
    assert after["targets"][0]["state"] == "unavailable"
    restored = await client.post(f"{URL}/{plan['id']}/restore")
    assert restored.json()["status"] == "restoring"
    await answer("verified")
    assert (await plan_now(client, plan))["status"] == "completed"
    assert await statuses_of(published, miner) == ["stopping", "active"]


async def test_late_proof_counts(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    deliver: Any,
    published: Any,
) -> None:
    await new_miner()
    plan = await triggered(client, wanted(0.003))
    [order] = await published("hosting.curtailment.ordered.v1")
    result = {
        **order["data"]["commands"][0],
        "plan_id": plan["id"],
        "at": now(),
        "power_after_w": 60,
        "power_before_w": 3520,
    }
    unknown = result | {"state": "humming"}
    stranger = result | {"state": "verified", "command_id": str(uuid4())}
    late = result | {"state": "verified"}
    unproven = result | {"state": "unverified"}
    by_hand = result | {"state": "verified", "plan_id": None}
    elsewhere = result | {"state": "verified", "plan_id": str(uuid4())}
    for results in ([unknown, stranger, by_hand, elsewhere], [unproven], [late], [unproven]):
        await deliver("telemetry.command.progressed.v1", {"results": results})
    after = await plan_now(client, plan)
    assert after["status"] == "failed"  # it had been judged; the table knows no way back
    assert after["power_reduced_mw"] == 0.00346
    assert after["targets"][0]["state"] == "confirmed"
    assert after["targets"][0]["baseline_power_w"] == 3520


async def test_a_repeated_event_changes_nothing(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    deliver: Any,
    published: Any,
) -> None:
    await new_miner()
    plan = await triggered(client, wanted(0.003))
    [order] = await published("hosting.curtailment.ordered.v1")
    result = {
        **order["data"]["commands"][0],
        "plan_id": plan["id"],
        "state": "verified",
        "at": now(),
        "power_after_w": 60,
    }
    event_id = uuid4()
    for _ in range(2):
        await deliver("telemetry.command.progressed.v1", {"results": [result]}, event_id=event_id)
    # Even under another id an answer that is known already says nothing.
    before = await plan_now(client, plan)
    await deliver("telemetry.command.progressed.v1", {"results": [result]})
    assert await plan_now(client, plan) == before


async def test_one_event_may_tell_of_two_plans(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, answer: Answering
) -> None:
    for _ in range(2):
        await new_miner()
    plans = [await triggered(client, wanted(0.003)) for _ in range(2)]
    await answer("accepted", "verified")
    for plan in plans:
        assert (await plan_now(client, plan))["status"] == "executed"


async def test_an_answer_to_a_stop_after_recovery_began_is_understood(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    deliver: Any,
    published: Any,
    answer: Answering,
    site_id: UUID,
) -> None:
    policy = {"four_eyes": False, "restore_batch_size": 1, "restore_interval_s": 3600}
    await client.put(f"{URL}/policies/{site_id}", json=policy)
    first, second = sorted([await new_miner(), await new_miner()])
    plan = await triggered(client, wanted(0.006))
    [order] = await published("hosting.curtailment.ordered.v1")
    await client.post(f"{URL}/{plan['id']}/cancel")
    refused = [
        {**command, "plan_id": plan["id"], "state": "refused", "at": now()}
        for command in order["data"]["commands"]
    ]
    await deliver("telemetry.command.progressed.v1", {"results": refused})
    states = {t["miner_id"]: t["state"] for t in (await plan_now(client, plan))["targets"]}
    # The one already told to wake is waited for, the other never went down.
    assert states == {str(first): "dispatching", str(second): "released"}
    *_, wake = await published("hosting.curtailment.ordered.v1")
    results = [
        {**command, "plan_id": plan["id"], "state": "verified", "at": now()}
        for command in wake["data"]["commands"]
    ]
    await deliver("telemetry.command.progressed.v1", {"results": results})
    assert (await plan_now(client, plan))["status"] == "completed"


async def test_large_orders_travel_in_parts(
    client: httpx.AsyncClient,
    many_miners: Callable[[int], Awaitable[list[UUID]]],
    wanted: Wanted,
    answer: Answering,
    published: Any,
) -> None:
    miners = await many_miners(1500)
    plan = await triggered(client, wanted(3.4 * 1.2))
    orders = await published("hosting.curtailment.ordered.v1")
    sizes = [len(order["data"]["commands"]) for order in orders]
    assert sizes == [1000, sum(sizes) - 1000]
    ordered = {it["miner_id"] for order in orders for it in order["data"]["commands"]}
    assert len(ordered) == sum(sizes) <= len(miners)
    await answer("accepted")
    await answer("verified")
    assert (await plan_now(client, plan))["targets_by_state"] == {"dispatched": sum(sizes)}
