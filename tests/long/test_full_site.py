"""A full site: six thousand machines, as many slots as a plan over a third of them takes."""

import math
import time
from collections.abc import Generator
from http import HTTPStatus

import pytest
from tests.books import Books
from tests.long.memory import Memory
from tests.running import WATTS_PER_MW, Json, System, Systems, eventually

from common.ids import new_id
from launcher.api import RefusedError

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.long]
_MACHINES = 6_000
_STOPPED = 2_000
_SLOT_S = 30
_SLOTS = 4
_POLLED_SHARE = 0.995
_MEMORY_MB = 768.0
_LONG_S = 600.0
_LIST = "/api/hosting/miners"


@pytest.fixture(scope="module")
def system(systems: Systems) -> Generator[System]:
    """A site of 6,000 machines, imported as CSV through the gateway, each seen at work."""
    made = systems.use("full-site", fleet=_MACHINES, slot_seconds=_SLOT_S)
    # Recovery in large steps: how it is staggered is tested elsewhere.
    policy = {"four_eyes": False, "restore_batch_size": 500, "restore_interval_s": 5}
    made.patiently("PUT", f"/api/hosting/curtailment/policies/{made.site_id}", json=policy)
    eventually(lambda: _at_work(made) == _MACHINES, "every machine is at work", within_s=_LONG_S)
    yield made
    made.stop()  # the machine is wanted by others


def _at_work(system: System) -> int:
    return system.sql("SELECT count(*) FROM telemetry.miner_state WHERE is_mining AND online")[0][0]


def test_a_full_site_is_listed_and_counted(system: System) -> None:
    """6,000 machines are 300 pages of 20; the page behind the last one is empty."""
    owner = system.api()
    eventually(lambda: owner.get("/api/hosting/kpi")["active"] == _MACHINES, "all are active")
    assert owner.get("/api/hosting/kpi")["total"] == _MACHINES
    first, last, beyond = (
        owner.get(_LIST, page=page, page_size=20, site_id=system.site_id) for page in (1, 300, 301)
    )
    assert (first["total"], first["pages"]) == (_MACHINES, 300)
    assert [len(page["items"]) for page in (first, last, beyond)] == [20, 20, 0]
    columns = owner.get("/api/telemetry/fleet", site_id=system.site_id)["columns"]
    assert len(set(columns["miner_id"])) == _MACHINES


def test_a_full_site_is_polled_in_every_slot_while_a_third_of_it_stops_and_wakes(
    system: System,
) -> None:
    began = _next_slot()
    with Memory(system) as memory:
        time.sleep((_SLOTS + 1) * _SLOT_S)  # the last slot may still be written down
        plan_id = _carry_out(system, _target_mw(system))
        assert system.plan(plan_id)["restore_failed_count"] == 0
        eventually(lambda: _at_work(system) == _MACHINES, "all are at work", within_s=_LONG_S)
    _polled_once_a_slot(system, began)
    peaks = memory.peak_mb()
    assert max(peaks.values()) < _MEMORY_MB, peaks
    Books(system).agree()


def _next_slot() -> float:
    return math.ceil(time.time() / _SLOT_S) * _SLOT_S


def _target_mw(system: System) -> float:
    """Return a reduction that takes about so many machines."""
    target_mw = 1.0
    for _ in range(5):
        preview = _preview(system, target_mw)
        if abs(preview["miners_affected"] - _STOPPED) <= _STOPPED // 100:
            break
        target_mw = round(target_mw * _STOPPED / preview["miners_affected"], 3)
    return target_mw


def _preview(system: System, target_mw: float) -> Json:
    path = "/api/hosting/curtailment/preview"
    return system.patiently("POST", path, json=system.wish(target_mw))


def _carry_out(system: System, target_mw: float) -> str:
    """Stop and wake a third of the site; return the plan."""
    before = {one: row["power_w"] for one, row in system.truth().items()}
    # A key, because an answer that comes too late for a busy machine's gateway is asked for again.
    plan_id = system.order(target_mw, headers={"Idempotency-Key": str(new_id())})["id"]
    _becomes(system, plan_id, "executed")
    states = "SELECT DISTINCT state FROM hosting.curtailment_target WHERE plan_id = $1::uuid"

    def all_are_proven() -> bool:
        return {row["state"] for row in system.sql(states, plan_id)} == {"confirmed"}

    eventually(all_are_proven, "every target is confirmed", within_s=_LONG_S)
    plan = system.plan(plan_id)
    assert len(plan["targets"]) == plan["miners_affected"]
    assert abs(plan["miners_affected"] - _STOPPED) <= _STOPPED // 10
    assert plan["power_reduced_mw"] + plan["power_reduced_estimated_mw"] >= target_mw
    after = system.truth()
    asleep = {one for one, row in after.items() if row["state"] == "sleeping"}
    assert len(asleep) == plan["miners_affected"]
    shed_w = sum(before[one] - after[one]["power_w"] for one in asleep)
    assert shed_w >= target_mw * WATTS_PER_MW
    _restore(system, plan_id)
    _becomes(system, plan_id, "completed")
    return plan_id


def _restore(system: System, plan_id: str) -> None:
    try:
        system.restore(plan_id)
    except RefusedError as refusal:
        if refusal.status != HTTPStatus.CONFLICT:  # its answer was lost, and it is under way
            raise


def _becomes(system: System, plan_id: str, status: str) -> None:
    """Wait for a plan's status without reading thousands of targets each time."""
    query = "SELECT status FROM hosting.curtailment_plan WHERE id = $1::uuid"
    eventually(
        lambda: system.sql(query, plan_id)[0]["status"] == status,
        f"the plan is {status}",
        within_s=_LONG_S,
    )


def _polled_once_a_slot(system: System, began: float) -> None:
    """In each slot since then nearly all machines answered, and none twice."""
    rows = system.sql(
        "SELECT extract(epoch FROM slot)::bigint AS slot, count(*) AS samples,"
        " count(DISTINCT miner_id) AS machines, count(*) FILTER (WHERE outcome = 'ok') AS ok"
        " FROM telemetry.sample WHERE slot >= to_timestamp($1) AND slot < to_timestamp($2)"
        " GROUP BY slot ORDER BY slot",
        began,
        _next_slot() - 2 * _SLOT_S,
    )
    found = [tuple(row) for row in rows]
    slots = [slot for slot, *_ in found]
    assert slots == list(range(slots[0], slots[0] + len(slots) * _SLOT_S, _SLOT_S))
    assert len(slots) >= _SLOTS
    assert all(samples == machines for _, samples, machines, _ in found), found
    assert all(ok >= _POLLED_SHARE * _MACHINES for *_, ok in found), found
