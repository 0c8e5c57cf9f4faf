"""Steps 1 to 4 of the main job: a plan from its preview to the last machine back at work."""

from typing import Any

import pytest
from tests.books import Witness
from tests.e2e.conftest import TimedPlan
from tests.running import Json, Record, System, eventually

from common.ids import new_id

pytestmark = pytest.mark.e2e
_WATTS_PER_MW = 1_000_000
_TRIGGER = "/api/hosting/curtailment/trigger"


def test_a_reduction_is_ordered_proven_and_taken_back(system: System) -> None:
    """Preview, trigger, proof by the machines themselves, restore, and the fleet hashes again."""
    target_mw = 0.05
    host = system.api("host")
    addresses = {one["cgminer_ip"] for one in system.miners(site_id=system.site_id)}
    with Witness(system) as witness:
        preview = host.post("/api/hosting/curtailment/preview", system.wish(target_mw))
        assert preview["feasible"]
        assert preview["expected_reduction_mw"] >= target_mw
        assert preview["skipped_by_reason"]["unsupported_firmware"] > 0
        lost = preview["lost_btc"]
        assert float(lost["value"]) > 0 if lost["value"] else lost["reason"] == "no_quote"
        for unknown in ("avoided_cost", "sla_effect"):
            assert preview[unknown]["value"] is None
            assert preview[unknown]["reason"]
        assert witness.changes() == {}

        before_w = system.watts(addresses)
        plan = system.all_confirmed(system.order(target_mw)["id"])
        reduced_mw = plan["power_reduced_mw"] + plan["power_reduced_estimated_mw"]
        assert reduced_mw >= target_mw
        shed_w = before_w - system.watts(addresses)
        assert shed_w >= target_mw * _WATTS_PER_MW
        assert shed_w == pytest.approx(reduced_mw * _WATTS_PER_MW, rel=0.05)

        stopped = system.addresses_of(plan)
        assert len(stopped) == plan["miners_affected"]
        truth = system.truth()
        assert {one for one in addresses if truth[one]["state"] == "sleeping"} == stopped
        statuses = {one["cgminer_ip"]: one["status"] for one in system.miners()}
        assert {statuses[one] for one in stopped} == {"curtailed"}
        assert witness.changes() == dict.fromkeys(stopped, 1)

        system.restore(plan["id"])
        plan = system.plan_becomes(plan["id"], "completed")
        assert plan["restore_failed_count"] == 0
        assert set(plan["targets_by_state"]) == {"resolved"}
        system.fleet_hashes()
        assert witness.changes() == dict.fromkeys(stopped, 2)
    assert system.watts(addresses) == pytest.approx(before_w, rel=0.02)


def test_a_trigger_is_carried_out_once_and_traced_to_the_sockets(system: System) -> None:
    """One Idempotency-Key is one plan; the request's id leads from HTTP to the last result."""
    key, order = str(new_id()), system.wish(0.01)
    with system.client(system.token("host")) as client:
        first = client.post(_TRIGGER, json=order, headers={"Idempotency-Key": key})
        again = client.post(_TRIGGER, json=order, headers={"Idempotency-Key": key})
        other = {**order, "target_power_reduction_mw": 0.02}
        refused = client.post(_TRIGGER, json=other, headers={"Idempotency-Key": key})
    assert (first.status_code, again.status_code, refused.status_code) == (201, 201, 422)
    assert again.json() == first.json()
    plan_id, request_id = first.json()["id"], first.headers["X-Request-Id"]
    system.all_confirmed(plan_id)
    try:
        ordered, progressed = _events_of(system, plan_id)
        _well_formed([*ordered, *progressed], system.stack.demo["organisation_id"])
        assert {record.key for record in ordered} == {plan_id}
        assert {record.headers["ce_correlationid"] for record in ordered} == {request_id}
        commands = {one["command_id"] for record in ordered for one in record.data["commands"]}
        assert commands == {
            one["command_id"] for record in progressed for one in _results(record, plan_id)
        }
        known = system.sql(
            "SELECT id, correlation_id FROM telemetry.command WHERE plan_id = $1::uuid", plan_id
        )
        assert {str(row["id"]): row["correlation_id"] for row in known} == dict.fromkeys(
            commands, request_id
        )
        assert {record.headers["ce_correlationid"] for record in progressed} == {request_id}
        _audited(system, plan_id, request_id)
    finally:
        system.restore(plan_id)
        system.plan_becomes(plan_id, "completed")
        system.fleet_hashes()


def _events_of(system: System, plan_id: str) -> tuple[list[Record], list[Record]]:
    records = system.records("hosting.curtailment.v1", "telemetry.command.v1")
    ordered = [
        record
        for record in records
        if record.type == "hosting.curtailment.ordered.v1" and record.data["plan_id"] == plan_id
    ]
    progressed = [
        record
        for record in records
        if record.type == "telemetry.command.progressed.v1" and _results(record, plan_id)
    ]
    return ordered, progressed


def _results(record: Record, plan_id: str) -> list[Json]:
    return [one for one in record.data["results"] if one["plan_id"] == plan_id]


def _well_formed(records: list[Record], organisation_id: str) -> None:
    """Every record is a CloudEvent in binary mode of this tenant, keyed by its aggregate."""
    assert records
    for record in records:
        headers = record.headers
        assert headers["ce_specversion"] == "1.0"
        assert headers["ce_source"] == "/" + record.type.split(".")[0]
        assert headers["ce_tenant"] == organisation_id
        assert headers["ce_subject"] == headers["ce_partitionkey"] == record.key
        assert headers["content-type"] == "application/json"
        assert headers["ce_time"]
        assert headers["ce_sequence"].isdigit()
    assert len({record.event_id for record in records}) == len(records)


def _audited(system: System, plan_id: str, request_id: str) -> None:
    """Both steps of the trigger are in the trail, once, and its chain of hashes is whole."""
    lines = system.api().get("/api/hosting/audit", object_id=plan_id)["items"]
    assert sorted((line["action"], line["request_id"]) for line in lines) == [
        ("curtailment.approve", request_id),
        ("curtailment.trigger", request_id),
    ]
    assert {line["actor_role"] for line in lines} == {"Host"}
    assert system.api().get("/api/hosting/audit/check")["whole"]


def test_a_second_plan_cannot_take_the_machines_of_the_first(system: System) -> None:
    """What the first plan holds is not offered again; cancelling while executing restores."""
    maximum_mw = _preview(system, 0.001)["maximum_power_mw"]
    plan = system.all_confirmed(system.order(round(maximum_mw * 0.6, 6))["id"])
    try:
        held = {target["miner_id"] for target in plan["targets"]}
        preview = _preview(system, 0.001)
        assert held.isdisjoint(one["miner_id"] for one in preview["candidates"])
        with system.client(system.token("host")) as client:
            refused = client.post(_TRIGGER, json=system.wish(round(maximum_mw * 0.9, 6)))
        assert refused.status_code == 409
        assert refused.json()["code"] == "miners_in_another_plan"
        assert refused.json()["plan_ids"] == [plan["id"]]
    finally:
        system.restore(plan["id"])
        system.plan_becomes(plan["id"], "completed")
        system.fleet_hashes()


def _preview(system: System, target_mw: float) -> dict[str, Any]:
    return system.api().post("/api/hosting/curtailment/preview", system.wish(target_mw))


def test_machines_come_back_by_themselves_when_the_time_is_over(
    system: System, timed_plan: TimedPlan, beyond_the_minute: float
) -> None:
    """A plan with `duration_minutes` ends without anybody's order."""
    plan_id = timed_plan.plan["id"]
    assert timed_plan.plan["ends_at"] is not None

    def is_over() -> Json | None:
        plan = system.plan(plan_id)
        return plan if plan["status"] == "completed" else None

    plan = eventually(is_over, "the timed plan is over", within_s=beyond_the_minute)
    assert plan["executed_at"] is not None
    assert plan["completed_at"] > plan["ends_at"]
    truth = system.truth()
    assert {truth[address]["state"] for address in timed_plan.addresses} <= {"hashing", "ramping"}
    trail = system.api().get("/api/hosting/audit", object_id=plan_id)["items"]
    [restored] = [line for line in trail if line["action"] == "curtailment.restore"]
    assert restored["actor_kind"] == "service"
