"""The fault matrix over many rounds and long outages; `tests/faults` has one round of each."""

import random
import time

import pytest
from tests.books import Books, Witness
from tests.breaking import (
    SecondWorker,
    carry_through,
    killed,
    no_machine_is_called_silent,
    restarted,
)
from tests.running import FLEET, System, Systems, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.long]
_ROUNDS = 20
_OUTAGE_S = 60.0
_SERVICES = ("gateway", "calculator", "hosting", "telemetry", "intelligence", "energy")
_SLOT_S = 20


@pytest.fixture
def system(systems: Systems) -> System:
    """A running system of the long tests' own, also after one that uses another."""
    return systems.use("long-faults")


def test_twenty_kills_lose_nothing(whole: System) -> None:
    """Two kills in each plan, at moments that nobody chose; a fixed seed repeats them."""
    dice = random.Random(20_261_121)
    for _ in range(_ROUNDS // 2):
        first, second = dice.choice(_SERVICES), dice.choice(_SERVICES)
        waits = dice.uniform(0, 1.5), dice.uniform(0, 1.5)

        def stopping(system: System, name: str = first, wait_s: float = waits[0]) -> None:
            time.sleep(wait_s)
            killed(name)(system)

        def restoring(system: System, name: str = second, wait_s: float = waits[1]) -> None:
            time.sleep(wait_s)
            killed(name)(system)

        carry_through(whole, stopping, restoring)
        Books(whole).agree()


@pytest.mark.parametrize("name", ["redis", "kafka", "postgres"])
def test_a_minute_without_it_loses_nothing(whole: System, name: str) -> None:
    """What was ordered before the outage is carried out, whatever has to wait for its end."""

    def nothing(_: System) -> None:
        pass

    with no_machine_is_called_silent(whole):
        carry_through(whole, restarted(name, down_s=_OUTAGE_S), nothing)


def test_orders_given_while_kafka_is_away_are_carried_out_afterwards(whole: System) -> None:
    """The gateway goes on answering 201; the orders wait in the outbox, each for its turn."""
    plans: list[str] = []
    with whole.stack.held("kafka"):
        for _ in range(3):
            plans.append(whole.order(0.01)["id"])
            time.sleep(_OUTAGE_S / 6)
        assert {whole.plan(one)["status"] for one in plans} == {"executing"}
    whole.stack.wait_ready("kafka")
    with Witness(whole) as witness:
        stopped = [whole.addresses_of(whole.all_confirmed(one)) for one in plans]
        assert sum(map(len, stopped)) == len(set[str]().union(*stopped))
        for one in plans:
            whole.restore(one)
        for one in plans:
            whole.plan_becomes(one, "completed")
        whole.fleet_hashes()
        assert set(witness.changes()) == set[str]().union(*stopped)


def test_a_lost_worker_costs_a_machine_one_slot_at_most(systems: Systems) -> None:
    """With slots longer than the broker's patience with a silent member, no two are missed."""
    system = systems.use("long-slots", slot_seconds=_SLOT_S)
    system.fleet_hashes()
    worker = SecondWorker(system)
    try:
        worker.has_joined()
        began = time.time()
        time.sleep(2 * _SLOT_S)
        worker.kill()
        with no_machine_is_called_silent(system):
            time.sleep(4 * _SLOT_S)
    finally:
        worker.stop()
    until = time.time() - _SLOT_S

    def slots() -> list[tuple[str, int, float]]:
        rows = system.sql(
            "SELECT miner_id, count(*) AS number, max(gap) AS gap FROM ("
            "SELECT miner_id, extract(epoch FROM slot - lag(slot) OVER "
            "(PARTITION BY miner_id ORDER BY slot)) AS gap FROM telemetry.sample "
            "WHERE slot BETWEEN to_timestamp($1) AND to_timestamp($2)) s GROUP BY miner_id",
            began,
            until,
        )
        return [(str(row["miner_id"]), row["number"], float(row["gap"])) for row in rows]

    found = eventually(slots, "samples are there")
    assert len(found) == FLEET
    assert max(gap for _, _, gap in found) <= 2 * _SLOT_S
