"""Ten minutes of 500 machines, a fifth of which misbehaves in every way, and plans among it."""

import math
import random
import time

import pytest
from tests.books import Books
from tests.long.memory import Memory
from tests.running import System, Systems, eventually

from simulation.faults import FaultKind

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.long]
_MACHINES = 500
_UNLUCKY = 100
_MINUTES = 10
_SLOT_S = 10
_ROUND_S = 20
_ROUNDS_PER_PLAN = 6
_GROWTH_MB = 24.0
_KINDS: tuple[FaultKind, ...] = ("silent", "reset", "half_json", "slow", "refuse")
_SEED = 20_261_121


@pytest.fixture(scope="module")
def system(systems: Systems) -> System:
    """A system of 500 machines, each seen at work."""
    made = systems.use("soak", fleet=_MACHINES, slot_seconds=_SLOT_S)
    query = "SELECT count(*) FROM telemetry.miner_state WHERE is_mining AND online"
    eventually(lambda: made.sql(query)[0][0] == _MACHINES, "every machine is at work")
    return made


def test_ten_minutes_of_faults_and_plans_leave_nothing_behind(system: System) -> None:
    """No memory, no lost order, no gap or alert of a machine to which nothing happened."""
    truth = system.truth()
    unlucky = {row["index"] for row in list(truth.values())[:: _MACHINES // _UNLUCKY]}
    healthy = {address for address, row in truth.items() if row["index"] not in unlucky}
    began = math.ceil(time.time() / _SLOT_S) * _SLOT_S
    with Memory(system) as memory:
        _misbehave(system, sorted(unlucky))
    system.control.clear_faults()
    _no_gaps(system, healthy, began)
    _no_alerts(system, healthy)
    Books(system).agree()
    growth = memory.growth_mb()
    assert max(growth.values()) < _GROWTH_MB, growth


def _misbehave(system: System, unlucky: list[int]) -> None:
    """Break some of the unlucky each round; order a reduction every few rounds, and undo it."""
    dice = random.Random(_SEED)
    plan_id: str | None = None
    ends = time.monotonic() + _MINUTES * 60
    number = 0
    while time.monotonic() < ends:
        chosen = dice.sample(unlucky, dice.randint(5, 20))
        system.control.set_fault(
            dice.choice(_KINDS), miners=chosen, duration_s=dice.uniform(5, 3 * _ROUND_S)
        )
        if number % _ROUNDS_PER_PLAN == 0:
            plan_id = system.order(dice.uniform(0.05, 0.2))["id"]
        elif plan_id and number % _ROUNDS_PER_PLAN == _ROUNDS_PER_PLAN // 2:
            _take_back(system, plan_id)
            plan_id = None
        number += 1
        time.sleep(_ROUND_S)
    if plan_id:
        _take_back(system, plan_id)


def _take_back(system: System, plan_id: str) -> None:
    """End a plan, whatever its unlucky machines have made of it."""

    def is_over() -> bool:
        return system.plan(plan_id)["status"] in {"executed", "partially_executed"}

    eventually(is_over, "the plan is carried out")
    system.restore(plan_id)
    system.plan_becomes(plan_id, "completed")


def _no_gaps(system: System, healthy: set[str], began: float) -> None:
    """Every healthy machine answered in every slot."""
    until = math.floor(time.time() / _SLOT_S) * _SLOT_S - 2 * _SLOT_S
    rows = system.sql(
        "SELECT m.ip, count(*) AS slots FROM telemetry.sample s JOIN telemetry.miner m"
        " ON m.id = s.miner_id WHERE s.outcome = 'ok' AND s.slot >= to_timestamp($1)"
        " AND s.slot < to_timestamp($2) GROUP BY m.ip",
        began,
        until,
    )
    answered = {row["ip"]: row["slots"] for row in rows}
    wanted = (until - began) // _SLOT_S
    gaps = {one: wanted - answered.get(one, 0) for one in healthy if answered.get(one) != wanted}
    assert not gaps


def _no_alerts(system: System, healthy: set[str]) -> None:
    """No alert of a healthy machine stays open, and none ever said that it was away."""
    query = (
        "SELECT m.ip, a.rule, a.cleared_at FROM telemetry.alert a"
        " JOIN telemetry.miner m ON m.id = a.miner_id"
    )

    def none_is_open() -> bool:
        rows = system.sql(query)
        assert not [row for row in rows if row["rule"] == "offline" and row["ip"] in healthy]
        return not any(row["cleared_at"] is None and row["ip"] in healthy for row in rows)

    eventually(none_is_open, "no alert of a healthy machine is open")
