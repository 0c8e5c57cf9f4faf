"""What happens by itself: the start of plans for later, their end, recovery, drift."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from common.clock import now
from common.runtime import Runtime
from common.testing import ClientFor, TenantSessions
from hosting.curtailment import scheduler
from hosting.curtailment.models import CurtailmentPlan, CurtailmentTarget
from hosting.parties import parties_of, use
from hosting.settings import Settings

URL = "/api/hosting/curtailment"
ORDERED = "hosting.curtailment.ordered.v1"
Dict = dict[str, Any]
NewMiner = Callable[..., Awaitable[UUID]]
Wanted = Callable[..., Dict]
Answering = Callable[..., Awaitable[None]]
Attend = Callable[[Dict], Awaitable[Dict]]
Rewind = Callable[..., Awaitable[None]]


@pytest.fixture
def attend(runtime: Runtime, organisation: UUID, client: httpx.AsyncClient) -> Attend:
    """Let the scheduler look at a plan, and read the plan again."""

    async def look(plan: Dict) -> Dict:
        await scheduler.attend(runtime, organisation, UUID(plan["id"]))
        return (await client.get(f"{URL}/{plan['id']}")).json()

    return look


@pytest.fixture
def rewind(tenant_session: TenantSessions) -> Rewind:
    """Let moments of a plan, or of its targets, lie so much further back."""

    async def back(plan: Dict, by: timedelta, *columns: str, targets: bool = False) -> None:
        table = CurtailmentTarget if targets else CurtailmentPlan
        key = CurtailmentTarget.plan_id if targets else CurtailmentPlan.id
        moments = {name: getattr(table, name) - by for name in columns}
        async with tenant_session() as session:
            await session.execute(update(table).where(key == UUID(plan["id"])).values(moments))

    return back


@pytest.fixture
async def slow_recovery(client: httpx.AsyncClient, site_id: UUID) -> None:
    policy = {"four_eyes": False, "restore_batch_size": 2, "restore_interval_s": 30}
    assert (await client.put(f"{URL}/policies/{site_id}", json=policy)).status_code == 200


async def triggered(client: httpx.AsyncClient, body: Dict) -> Dict:
    made = await client.post(f"{URL}/trigger", json=body)
    assert made.status_code == 201, made.text
    return made.json()


async def orders(published: Any) -> list[tuple[str, int]]:
    return [
        (event["data"]["action"], len(event["data"]["commands"]))
        for event in await published(ORDERED)
    ]


@pytest.mark.usefixtures("slow_recovery")
async def test_machines_come_back_in_batches_when_the_time_is_over(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Any,
    attend: Attend,
    rewind: Rewind,
) -> None:
    best = await new_miner(hashrate_ths=270)
    for _ in range(4):
        await new_miner()
    plan = await triggered(client, wanted(0.017, duration_minutes=60))
    assert plan["ends_at"]
    await answer("accepted", "verified")
    assert (await attend(plan))["status"] == "executed"
    assert await orders(published) == [("sleep", 5)]

    await rewind(plan, timedelta(hours=1), "ends_at")
    after = await attend(plan)
    assert after["status"] == "restoring"
    assert {target["desired_state"] for target in after["targets"]} == {"active"}
    assert after["targets_by_state"] == {"dispatching": 2, "confirmed": 3}
    assert await orders(published) == [("sleep", 5), ("wake", 2)]
    *_, first = await published(ORDERED)
    assert str(best) in {command["miner_id"] for command in first["data"]["commands"]}

    await attend(plan)  # not yet due
    assert len(await orders(published)) == 2
    for size in (2, 1):
        await rewind(plan, timedelta(seconds=30), "next_restore_at")
        await attend(plan)
        assert (await orders(published))[-1] == ("wake", size)
        assert (await attend(plan))["status"] == "restoring"
    await answer("accepted")
    assert (await attend(plan))["status"] == "restoring"
    await rewind(plan, timedelta(seconds=30), "next_restore_at")
    assert (await attend(plan))["targets_by_state"] == {"dispatched": 5}


@pytest.mark.usefixtures("slow_recovery")
async def test_a_restart_in_mid_event_goes_on_where_it_stopped(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Any,
    rewind: Rewind,
    runtime: Runtime,
    settings: Settings,
) -> None:
    for _ in range(3):
        await new_miner()
    plan = await triggered(client, wanted(0.0101, duration_minutes=5))
    await answer("accepted", "verified")

    @asynccontextmanager
    async def another_process() -> AsyncGenerator[Runtime]:
        started = Runtime("hosting", settings)
        use(started, parties_of(runtime))
        yield started
        await started.close()

    await rewind(plan, timedelta(minutes=5), "ends_at")
    async with another_process() as first, first.worker_engine.connect() as connection:
        await scheduler.tick(first, connection)
    assert await orders(published) == [("sleep", 3), ("wake", 2)]
    await answer("verified")
    await rewind(plan, timedelta(seconds=30), "next_restore_at")
    async with another_process() as second, second.worker_engine.connect() as connection:
        await scheduler.tick(second, connection)
        await scheduler.tick(second, connection)
    assert await orders(published) == [("sleep", 3), ("wake", 2), ("wake", 1)]
    await answer("verified")
    done = (await client.get(f"{URL}/{plan['id']}")).json()
    assert done["status"] == "completed"
    assert done["restore_failed_count"] == 0


async def test_one_process_leads_and_the_next_takes_over(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    rewind: Rewind,
    runtime: Runtime,
) -> None:
    await new_miner()
    plan = await triggered(client, wanted(0.003, duration_minutes=5))
    await answer("verified")
    first = asyncio.create_task(scheduler.run(runtime))
    await asyncio.sleep(0.2)
    second = asyncio.create_task(scheduler.run(runtime))
    await asyncio.sleep(0.2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await rewind(plan, timedelta(minutes=5), "ends_at")
    for _ in range(100):
        if (await client.get(f"{URL}/{plan['id']}")).json()["status"] == "restoring":
            break
        await asyncio.sleep(0.05)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert (await client.get(f"{URL}/{plan['id']}")).json()["status"] == "restoring"


async def test_a_machine_that_will_not_wake_is_tried_again_then_counted(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Any,
    attend: Attend,
    rewind: Rewind,
) -> None:
    stubborn = await new_miner()
    willing = await new_miner()
    plan = await triggered(client, wanted(0.0067))
    await answer("accepted", "verified")
    await client.post(f"{URL}/{plan['id']}/restore")
    await answer("verified", only={willing})
    for attempt in range(3):
        assert (await orders(published))[-1] == ("wake", 1 if attempt else 2)
        await answer("accepted", "unverified")
        await rewind(plan, timedelta(minutes=1), "next_restore_at")
        await attend(plan)
    done = await attend(plan)
    assert done["status"] == "completed"
    assert done["restore_failed_count"] == 1
    states = {target["miner_id"]: target["state"] for target in done["targets"]}
    assert states == {str(stubborn): "restore_failed", str(willing): "resolved"}
    *_, last = await published("hosting.miner.changed.v1")
    assert (last["key"], last["data"]["status"]) == (str(stubborn), "curtailed")
    # It is in no plan any more: another one may have it once it hashes again.
    assert (await client.post(f"{URL}/preview", json=wanted(0.0034))).status_code == 200


async def test_wakes_that_nobody_answers_are_ordered_again_then_given_up(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Any,
    attend: Attend,
    rewind: Rewind,
) -> None:
    await new_miner()
    plan = await triggered(client, wanted(0.003))
    await answer("accepted", "verified")
    await client.post(f"{URL}/{plan['id']}/restore")
    for _ in range(3):
        await rewind(plan, timedelta(hours=1), "restore_ordered_at", targets=True)
        await rewind(plan, timedelta(hours=1), "next_restore_at")
        await attend(plan)
    after = await attend(plan)
    assert await orders(published) == [("sleep", 1)] + [("wake", 1)] * 3
    assert after["status"] == "completed"
    assert after["restore_failed_count"] == 1
    assert after["targets"][0]["reason"] == "unanswered"


async def test_a_machine_that_hashes_again_is_stopped_again(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Any,
    attend: Attend,
    rewind: Rewind,
    outside: Any,
) -> None:
    miner = await new_miner()
    plan = await triggered(client, wanted(0.003))
    await answer("accepted", "verified")
    await rewind(plan, timedelta(minutes=2), "watched_at")
    # The reading of before the stop says nothing about now.
    assert (await attend(plan))["targets"][0]["state"] == "confirmed"

    outside.of(miner).sampled_at = now()
    await rewind(plan, timedelta(minutes=2), "watched_at")
    drifted = await attend(plan)
    assert drifted["targets"][0]["state"] == "dispatching"
    assert drifted["status"] == "executed"
    assert drifted["power_reduced_mw"] == 0
    assert await orders(published) == [("sleep", 1)] * 2
    await answer("accepted", "verified")
    again = await attend(plan)
    assert again["targets"][0]["state"] == "confirmed"
    assert again["power_reduced_mw"] == 0.00346


async def test_without_telemetry_a_plan_goes_on(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    attend: Attend,
    rewind: Rewind,
    outside: Any,
) -> None:
    await new_miner()
    plan = await triggered(client, wanted(0.003))
    await answer("accepted", "verified")
    outside.telemetry_away = True
    await rewind(plan, timedelta(minutes=2), "watched_at")
    assert (await attend(plan))["status"] == "executed"


async def test_stops_that_nobody_answers_are_given_up_but_woken_later(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Any,
    attend: Attend,
    rewind: Rewind,
) -> None:
    await new_miner()
    plan = await triggered(client, wanted(0.003))
    await rewind(plan, timedelta(hours=1), "ordered_at", targets=True)
    await rewind(plan, timedelta(hours=1), "watched_at")
    failed = await attend(plan)
    assert failed["status"] == "failed"
    assert failed["targets"][0]["reason"] == "unanswered"
    await client.post(f"{URL}/{plan['id']}/restore")
    assert await orders(published) == [("sleep", 1), ("wake", 1)]
    await answer("verified")
    assert (await attend(plan))["status"] == "completed"


async def scheduled(client: httpx.AsyncClient, wanted: Wanted, megawatts: float) -> Dict:
    later = (now() + timedelta(minutes=30)).isoformat()
    return await triggered(client, wanted(megawatts, scheduled_time=later, duration_minutes=60))


async def test_a_plan_for_later_starts_when_its_time_comes(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    attend: Attend,
    rewind: Rewind,
) -> None:
    await new_miner()
    plan = await scheduled(client, wanted, 0.003)
    assert (await attend(plan))["status"] == "approved"
    await rewind(plan, timedelta(minutes=30), "scheduled_time")
    started = await attend(plan)
    assert started["status"] == "executing"
    assert started["ends_at"]
    assert started["decision"]["chosen"] == 1
    await answer("accepted", "verified")
    assert (await attend(plan))["status"] == "executed"


async def test_a_plan_for_later_takes_what_there_is(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    attend: Attend,
    rewind: Rewind,
    outside: Any,
) -> None:
    left = await new_miner()
    gone = await new_miner()
    plan = await scheduled(client, wanted, 0.0067)
    outside.of(gone).sampled_at = now() - timedelta(hours=1)
    await rewind(plan, timedelta(minutes=30), "scheduled_time")
    started = await attend(plan)
    assert [target["miner_id"] for target in started["targets"]] == [str(left)]
    await answer("accepted", "verified")
    assert (await attend(plan))["status"] == "partially_executed"


async def test_a_plan_for_later_without_machines_fails(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    attend: Attend,
    rewind: Rewind,
    outside: Any,
) -> None:
    miner = await new_miner()
    plan = await scheduled(client, wanted, 0.003)
    outside.of(miner).sampled_at = now() - timedelta(hours=1)
    await rewind(plan, timedelta(minutes=30), "scheduled_time")
    assert (await attend(plan))["status"] == "failed"
    assert (await attend(plan))["status"] == "failed"


async def test_a_plan_for_later_waits_for_the_other_services_but_not_for_ever(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    rewind: Rewind,
    runtime: Runtime,
    outside: Any,
) -> None:
    await new_miner()
    plan = await scheduled(client, wanted, 0.003)
    outside.intelligence_away = True
    for minutes, status in ((30, "approved"), (15, "cancelled")):
        await rewind(plan, timedelta(minutes=minutes), "scheduled_time")
        async with runtime.worker_engine.connect() as connection:
            await scheduler.tick(runtime, connection)
        after = (await client.get(f"{URL}/{plan['id']}")).json()
        assert after["status"] == status
    assert "intelligence" in after["decision"]["missed"]


async def test_a_plan_for_later_starts_only_when_a_second_person_approved_it(
    client_as: ClientFor,
    site_id: UUID,
    new_miner: NewMiner,
    wanted: Wanted,
    attend: Attend,
    rewind: Rewind,
) -> None:
    await new_miner()
    creator, second = client_as(), client_as()
    policy = {"four_eyes": True, "restore_batch_size": 10, "restore_interval_s": 5}
    await creator.put(f"{URL}/policies/{site_id}", json=policy)
    plan = await scheduled(creator, wanted, 0.003)
    assert plan["status"] == "pending"
    await rewind(plan, timedelta(minutes=30), "scheduled_time")
    assert (await attend(plan))["status"] == "pending"
    approved = (await second.post(f"{URL}/{plan['id']}/approve")).json()
    assert (approved["status"], approved["targets"]) == ("approved", [])
    assert (await attend(plan))["status"] == "executing"
