"""Any one process is killed in mid-plan: nothing is lost, and the plan goes on by itself."""

import time

import pytest
from tests.books import Witness
from tests.breaking import (
    Break,
    SecondWorker,
    carry_through,
    killed,
    no_machine_is_called_silent,
    restarted,
)
from tests.running import FLEET, System, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.kafka]


@pytest.mark.parametrize(
    "name", ["gateway", "calculator", "hosting", "telemetry", "intelligence", "energy"]
)
def test_a_killed_service_takes_up_the_plan_again(whole: System, name: str) -> None:
    with no_machine_is_called_silent(whole):
        carry_through(whole, killed(name), killed(name))


@pytest.mark.parametrize("name", ["redis", "postgres", "kafka"])
def test_killed_infrastructure_takes_nothing_with_it(whole: System, name: str) -> None:
    """Killed on the way down, stopped for a while on the way up."""
    with no_machine_is_called_silent(whole):
        carry_through(whole, killed(name), restarted(name, down_s=3.0))


def test_proofs_that_come_in_while_the_database_is_away_are_kept(whole: System) -> None:
    """The machines have obeyed, and nothing can be written down until later."""

    def without_database(state: str) -> Break:
        def break_it(system: System) -> None:
            def one_obeys() -> bool:
                return any(row["state"] == state for row in system.control.miners())

            eventually(one_obeys, f"a machine is {state}")
            system.stack.restart("postgres", down_s=4.0)

        return break_it

    with no_machine_is_called_silent(whole):
        carry_through(whole, without_database("sleeping"), without_database("ramping"))


def test_a_second_worker_takes_its_share_and_is_killed_in_mid_plan(
    whole: System, second_worker: SecondWorker
) -> None:
    """Its machines and its commands go to the first; no machine is ordered twice."""
    assert all(share > 0 for share in second_worker.shares().values())

    def kill(_: System) -> None:
        second_worker.kill()

    def nothing(_: System) -> None:
        pass

    began = time.time()
    with no_machine_is_called_silent(whole):
        carry_through(whole, kill, nothing, target_mw=0.08)
        eventually(lambda: len(second_worker.shares()) == 1, "one worker holds the whole fleet")

        def all_are_read() -> bool:
            rows = whole.sql(
                "SELECT miner_id FROM telemetry.sample WHERE slot > to_timestamp($1) "
                "GROUP BY miner_id HAVING max(slot) > now() - interval '10 seconds'",
                began,
            )
            return len(rows) == FLEET

        eventually(all_are_read, "the first worker reads all machines")
    repeated = whole.sql(
        "SELECT miner_id, slot FROM telemetry.sample GROUP BY miner_id, slot HAVING count(*) > 1"
    )
    assert repeated == []


def test_a_reboot_is_not_repeated_over_a_kill(whole: System) -> None:
    """Unlike sleep and wake a reboot has an effect each time that it is sent."""
    chosen = [one for one in whole.miners() if one["firmware"] != "antminer"][:12]
    order = {"action": "reboot", "miner_ids": [one["id"] for one in chosen]}
    with Witness(whole) as witness:
        whole.patiently("POST", "/api/hosting/host/devices/batch", json=order)
        killed("telemetry")(whole)

        def all_ended() -> bool:
            rows = whole.sql(
                "SELECT state FROM telemetry.command WHERE action = 'reboot' "
                "AND finished_at IS NULL"
            )
            known = whole.sql("SELECT 1 FROM telemetry.command WHERE action = 'reboot'")
            return not rows and len(known) >= len(chosen)

        eventually(all_ended, "every reboot has ended")
        whole.fleet_hashes()
        changes = witness.changes()
    addresses = {one["cgminer_ip"] for one in chosen}
    assert set(changes) <= addresses
    assert set(changes.values()) <= {1}
