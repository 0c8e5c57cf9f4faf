"""Who may do what with a plan, and when."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from common.clock import now
from common.ids import new_id
from common.testing import ClientFor, TenantSessions
from hosting.curtailment.models import CurtailmentPlan
from hosting.db import AuditEvent
from hosting.domain.curtailment import PLAN_ACTIONS, PlanAction, PlanStatus
from hosting.miners.models import Miner

URL = "/api/hosting/curtailment"
Dict = dict[str, Any]
NewMiner = Callable[..., Awaitable[UUID]]
Wanted = Callable[..., Dict]
Answering = Callable[..., Awaitable[None]]


@pytest.fixture
async def four_eyes(client: httpx.AsyncClient, site_id: UUID) -> None:
    policy = {"four_eyes": True, "restore_batch_size": 10, "restore_interval_s": 5}
    answer = await client.put(f"{URL}/policies/{site_id}", json=policy)
    assert answer.status_code == 200, answer.text
    assert (await client.get(f"{URL}/policies/{site_id}")).json() == policy


async def test_a_second_event_on_the_same_machines_conflicts(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted
) -> None:
    for _ in range(2):
        await new_miner()
    first = await client.post(f"{URL}/trigger", json=wanted(0.006))
    assert first.status_code == 201, first.text
    second = await client.post(f"{URL}/trigger", json=wanted(0.006))
    assert second.status_code == 409, second.text
    assert second.json()["code"] == "miners_in_another_plan"
    assert second.json()["plan_ids"] == [first.json()["id"]]
    assert second.json()["maximum_power_mw"] == 0
    beyond = await client.post(f"{URL}/trigger", json=wanted(1))
    assert beyond.status_code == 422
    shown = await client.post(f"{URL}/preview", json=wanted(0.003))
    assert {one["reason"] for one in shown.json()["skipped"]} == {"in_another_plan"}


async def test_of_two_triggers_racing_for_the_same_machines_one_wins(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, published: Any
) -> None:
    for _ in range(4):
        await new_miner()
    answers = await asyncio.gather(
        *(client.post(f"{URL}/trigger", json=wanted(0.012)) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert len(await published("hosting.curtailment.ordered.v1")) == 1
    assert (await client.get(URL)).json()["total"] == 1


async def test_other_machines_may_join_a_second_plan(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted
) -> None:
    for _ in range(2):
        await new_miner()
    first = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    second = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    assert second["status"] == "executing"
    assert first["targets"][0]["miner_id"] != second["targets"][0]["miner_id"]


@pytest.mark.usefixtures("four_eyes")
async def test_with_four_eyes_the_creator_cannot_approve(
    client_as: ClientFor, new_miner: NewMiner, wanted: Wanted, published: Any
) -> None:
    await new_miner()
    creator, second = client_as(), client_as()
    plan = (await creator.post(f"{URL}/trigger", json=wanted(0.003))).json()
    assert plan["status"] == "pending"
    assert plan["targets"][0]["state"] == "pending"
    assert plan["executed_at"] is None
    assert await published("hosting.curtailment.ordered.v1") == []

    refused = await creator.post(f"{URL}/{plan['id']}/approve")
    assert refused.status_code == 403
    assert refused.json()["code"] == "approver_is_creator"
    unpermitted = client_as(scopes=frozenset({"curtailment:command", "curtailment:read"}))
    assert (await unpermitted.post(f"{URL}/{plan['id']}/approve")).status_code == 403

    approved = await second.post(f"{URL}/{plan['id']}/approve")
    assert approved.status_code == 200, approved.text
    assert approved.json()["status"] == "executing"
    assert approved.json()["approved_by"] != approved.json()["created_by"]
    assert approved.json()["targets"][0]["state"] == "dispatching"
    assert len(await published("hosting.curtailment.ordered.v1")) == 1
    assert (await second.post(f"{URL}/{plan['id']}/approve")).status_code == 409


@pytest.mark.usefixtures("four_eyes")
async def test_a_machine_in_maintenance_since_is_not_ordered_off(
    client_as: ClientFor,
    new_miner: NewMiner,
    wanted: Wanted,
    tenant_session: TenantSessions,
    published: Any,
) -> None:
    serviced = await new_miner()
    left = await new_miner()
    plan = (await client_as().post(f"{URL}/trigger", json=wanted(0.006))).json()
    async with tenant_session() as session:
        await session.execute(
            update(Miner).where(Miner.id == serviced).values(status="maintenance")
        )
    approved = (await client_as().post(f"{URL}/{plan['id']}/approve")).json()
    states = {target["miner_id"]: target for target in approved["targets"]}
    assert states[str(serviced)]["state"] == "unavailable"
    assert states[str(serviced)]["reason"] == "not_running"
    assert states[str(left)]["state"] == "dispatching"
    [order] = await published("hosting.curtailment.ordered.v1")
    assert [command["miner_id"] for command in order["data"]["commands"]] == [str(left)]


@pytest.mark.usefixtures("four_eyes")
async def test_a_plan_whose_machines_are_all_gone_fails_at_once(
    client_as: ClientFor, new_miner: NewMiner, wanted: Wanted, tenant_session: TenantSessions
) -> None:
    miner = await new_miner()
    plan = (await client_as().post(f"{URL}/trigger", json=wanted(0.003))).json()
    async with tenant_session() as session:
        await session.execute(update(Miner).where(Miner.id == miner).values(status="offline"))
    approved = await client_as().post(f"{URL}/{plan['id']}/approve")
    assert approved.json()["status"] == "failed"
    refused = await client_as().post(f"{URL}/{plan['id']}/restore")
    assert refused.status_code == 409
    assert refused.json()["code"] == "nothing_is_down"


@pytest.mark.usefixtures("four_eyes")
async def test_a_plan_cancelled_before_it_began_frees_its_machines(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, published: Any
) -> None:
    await new_miner()
    plan = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    cancelled = (await client.post(f"{URL}/{plan['id']}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["cancelled_at"]
    assert cancelled["targets"][0]["state"] == "released"
    assert (await client.post(f"{URL}/trigger", json=wanted(0.003))).status_code == 201
    assert await published("hosting.curtailment.ordered.v1") == []


async def test_cancelling_while_executing_brings_the_machines_back(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    answer: Answering,
    published: Any,
) -> None:
    await new_miner()
    plan = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    cancelled = (await client.post(f"{URL}/{plan['id']}/cancel")).json()
    assert cancelled["status"] == "restoring"
    assert cancelled["cancelled_at"]
    orders = await published("hosting.curtailment.ordered.v1")
    assert [order["data"]["action"] for order in orders] == ["sleep", "wake"]
    await answer("accepted", "verified")
    done = (await client.get(f"{URL}/{plan['id']}")).json()
    assert done["status"] == "completed"
    assert done["cancelled_at"]


@pytest.mark.parametrize("status", get_args(PlanStatus))
@pytest.mark.parametrize("action", get_args(PlanAction))
async def test_every_undeclared_action_conflicts(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    tenant_session: TenantSessions,
    status: PlanStatus,
    action: PlanAction,
) -> None:
    await new_miner()
    plan = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    async with tenant_session() as session:
        await session.execute(
            update(CurtailmentPlan)
            .where(CurtailmentPlan.id == UUID(plan["id"]))
            .values(status=status)
        )
    answer = await client.post(f"{URL}/{plan['id']}/{action}")
    after = (await client.get(f"{URL}/{plan['id']}")).json()["status"]
    if status in PLAN_ACTIONS[action]:
        assert answer.status_code == 200, answer.text
    else:
        assert answer.status_code == 409, answer.text
        assert answer.json()["code"] == "plan_transition_refused"
        assert answer.json()["status_now"] == status
        assert after == status


async def test_both_steps_of_a_manual_plan_are_audited(
    client_as: ClientFor, new_miner: NewMiner, wanted: Wanted, tenant_session: TenantSessions
) -> None:
    await new_miner()
    who = uuid4()
    client = client_as(subject=who)
    plan = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    await client.post(f"{URL}/{plan['id']}/cancel")
    async with tenant_session() as session:
        lines = (await session.scalars(select(AuditEvent).order_by(AuditEvent.id))).all()
    assert [line.action for line in lines] == [
        "curtailment.trigger",
        "curtailment.approve",
        "curtailment.cancel",
    ]
    assert {(line.actor_id, line.object_id) for line in lines} == {(who, plan["id"])}


async def test_a_repeated_trigger_with_the_same_key_is_one_plan(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted
) -> None:
    await new_miner()
    headers = {"Idempotency-Key": "storm-7"}
    first = await client.post(f"{URL}/trigger", json=wanted(0.003), headers=headers)
    again = await client.post(f"{URL}/trigger", json=wanted(0.003), headers=headers)
    other = await client.post(f"{URL}/trigger", json=wanted(0.002), headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.json()["id"] == again.json()["id"]
    assert (await client.get(URL)).json()["total"] == 1


async def test_plans_are_listed_the_newest_first(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, site_id: UUID
) -> None:
    for _ in range(3):
        await new_miner()
    made = [
        (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()["id"] for _ in range(3)
    ]
    page = (await client.get(URL, params={"page_size": 2})).json()
    assert [item["id"] for item in page["items"]] == [made[2], made[1]]
    assert (page["total"], page["pages"]) == (3, 2)
    beyond = await client.get(URL, params={"page": 99})
    assert (beyond.status_code, beyond.json()["items"]) == (200, [])
    narrowed = (await client.get(URL, params={"site_id": str(site_id), "status": "failed"})).json()
    assert narrowed["total"] == 0
    for bad in ({"page": 0}, {"page_size": 10**6}, {"status": "lost"}):
        assert (await client.get(URL, params=bad)).status_code == 422


async def test_a_plan_of_somebody_else_does_not_exist(
    client: httpx.AsyncClient, client_as: ClientFor, new_miner: NewMiner, wanted: Wanted
) -> None:
    await new_miner()
    plan = (await client.post(f"{URL}/trigger", json=wanted(0.003))).json()
    stranger = client_as(organisation_id=new_id())
    assert (await stranger.get(f"{URL}/{plan['id']}")).status_code == 404
    for action in get_args(PlanAction):
        assert (await stranger.post(f"{URL}/{plan['id']}/{action}")).status_code == 404
    assert (await stranger.get(URL)).json()["total"] == 0
    assert (await client.get(f"{URL}/{plan['id']}")).json()["status"] == "executing"
    assert (await client.get(f"{URL}/nowhere")).status_code == 422


@pytest.mark.parametrize(
    "change",
    [{"restore_batch_size": 0}, {"restore_interval_s": 3601}, {"four_eyes": None}, {"speed": 1}],
)
async def test_a_policy_out_of_bounds_is_refused(
    client: httpx.AsyncClient, site_id: UUID, change: Dict
) -> None:
    policy = {"four_eyes": False, "restore_batch_size": 10, "restore_interval_s": 5}
    answer = await client.put(f"{URL}/policies/{site_id}", json=policy | change)
    assert answer.status_code == 422
    assert (await client.put(f"{URL}/policies/{uuid4()}", json=policy)).status_code == 404
    assert not (await client.get(f"{URL}/policies/{site_id}")).json()["four_eyes"]


async def test_a_plan_for_later_waits(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, published: Any
) -> None:
    await new_miner()
    later = (now() + timedelta(hours=2)).isoformat()
    made = await client.post(f"{URL}/trigger", json=wanted(0.003, scheduled_time=later))
    assert made.status_code == 201, made.text
    plan = made.json()
    assert (plan["status"], plan["plan_type"]) == ("approved", "scheduled")
    assert plan["targets"] == []
    assert await published("hosting.curtailment.ordered.v1") == []
    too_much = await client.post(f"{URL}/trigger", json=wanted(1, scheduled_time=later))
    assert too_much.status_code == 422
    cancelled = await client.post(f"{URL}/{plan['id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"


@pytest.mark.usefixtures("four_eyes")
async def test_a_time_that_has_passed_means_at_once(
    client_as: ClientFor, new_miner: NewMiner, wanted: Wanted
) -> None:
    await new_miner()
    body = wanted(0.003, scheduled_time=(now() - timedelta(minutes=5)).isoformat())
    plan = (await client_as().post(f"{URL}/trigger", json=body)).json()
    assert (plan["status"], plan["plan_type"]) == ("pending", "manual")
    approved = (await client_as().post(f"{URL}/{plan['id']}/approve")).json()
    assert approved["status"] == "executing"
    assert len(approved["targets"]) == 1
