"""Ways to break a running system, and what must not happen meanwhile."""

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

from tests.books import Witness
from tests.running import WATTS_PER_MW, Json, System, eventually

from launcher.ports import free_ports
from launcher.processes import Program, spawn, stop
from launcher.programs import service_program

Break = Callable[[System], None]


def killed(name: str) -> Break:
    """Kill a program as the kernel would, and wait until the supervisor has it running again."""

    def break_it(system: System) -> None:
        old = system.stack.pid(name)
        system.stack.kill(name, signal.SIGKILL)

        def is_another() -> bool:
            one = system.stack.status().programs[name]
            return one.state == "ready" and one.pid not in {None, old}

        eventually(is_another, f"{name} is back")

    return break_it


def restarted(name: str, *, down_s: float) -> Break:
    """Stop a program in its own way and leave it down for a while."""
    return lambda system: system.stack.restart(name, down_s=down_s)


def carry_through(
    system: System, while_stopping: Break, while_restoring: Break, *, target_mw: float = 0.03
) -> Json:
    """Take a plan from its trigger to the last machine back, breaking something on either way."""
    addresses = {one["cgminer_ip"] for one in system.miners()}
    before_w = system.watts(addresses)
    with Witness(system) as witness:
        plan_id = system.order(target_mw)["id"]
        while_stopping(system)
        plan = system.all_confirmed(plan_id)
        assert plan["power_reduced_mw"] + plan["power_reduced_estimated_mw"] >= target_mw
        assert before_w - system.watts(addresses) >= target_mw * WATTS_PER_MW
        stopped = system.addresses_of(plan)
        assert witness.changes() == dict.fromkeys(stopped, 1)
        system.restore(plan_id)
        while_restoring(system)
        plan = system.plan_becomes(plan_id, "completed")
        assert plan["restore_failed_count"] == 0
        assert set(plan["targets_by_state"]) == {"resolved"}
        system.fleet_hashes()
        assert witness.changes() == dict.fromkeys(stopped, 2)
    return plan


@contextmanager
def no_machine_is_called_silent(system: System) -> Generator[None]:
    """Whatever happens to us, nobody may be told that machines went offline."""
    before = len(system.records("telemetry.miner-state.v1"))
    yield
    assert len(system.records("telemetry.miner-state.v1")) == before


class SecondWorker:
    """Another telemetry worker beside the launcher's own, with ports of its own."""

    def __init__(self, system: System) -> None:
        self._system = system
        port, ops_port = free_ports(2)
        installation = system.stack.installation
        first = service_program(installation, "telemetry")
        own = {"TELEMETRY_PORT": str(port), "TELEMETRY_OPS_PORT": str(ops_port)}
        self._process = spawn(
            Program(
                name="telemetry-2",
                command=[*first.command[:-1], "worker"],
                environment={**first.environment, **own},
                is_ready=lambda: True,
            ),
            installation.log("telemetry-2"),
        )

    def has_joined(self) -> None:
        """Wait until the partitions are shared by two workers."""
        eventually(lambda: len(self.shares()) == 2, "two workers share the fleet")

    def shares(self) -> dict[str, int]:
        """Return how many partitions each worker holds."""
        rows = self._system.sql(
            "SELECT worker_id, count(*) AS held FROM telemetry.partition_owner GROUP BY worker_id"
        )
        return {str(row["worker_id"]): row["held"] for row in rows}

    def kill(self) -> None:
        """Kill it as the kernel would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it, whatever it is doing."""
        stop(self._process.pid)
        self._process.wait()
