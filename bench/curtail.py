"""Headline: 2,000 of 6,000 machines ordered off, proven by telemetry and by their own sockets.

    python bench/curtail.py [--json FILE] [--miners 6000] [--stop 2000] [--delay-ms 150]

A whole installation runs for it, on ports of its own: gateway, services, PostgreSQL, Redis, Kafka
and the simulated fleet, on this one machine. The order goes through the gateway like anybody's.
Every simulated miner thinks for 150 ms before it answers, as control boards do.
The physical limit is what the sockets alone need: machines x median time that a stop holds its
socket / sockets at once. Beside it a pool of 20 threads with blocking clients gives the same
orders to the same machines, over the same protocols; it keeps no records and proves nothing.
"""

import argparse
import asyncio
import json
import socket
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import orjson

from common.postgres import connect
from launcher.api import Api
from launcher.stack import Stack
from simulation.client import ControlClient
from telemetry.devices.families.whatsminer_crypto import hash_part, seal

RUN_DIR = Path(__file__).resolve().parents[1] / ".local" / "bench" / "curtail-stack"
SOCKETS = 400
"""The default of TELEMETRY_SOCKET_BUDGET; one worker runs."""
THREADS = 20
TIMES_SOCKETS = 1.5
PROOF_SLACK_S = 10.0
SLEEP_RAMP_SHARE = 0.1
RAMP_S = 30.0
PASSWORD = "simulated"
MARGIN = 1.005

_PREVIEW = "/api/hosting/curtailment/preview"
_MACHINES = """
SELECT host(m.cgminer_ip::inet) AS address, m.cgminer_port AS port, m.firmware,
       c.sent_at, c.accepted_at, c.finished_at, c.state
FROM hosting.curtailment_target t
JOIN hosting.miner m ON m.id = t.miner_id
LEFT JOIN telemetry.command c ON c.id = t.stop_command_id
WHERE t.plan_id = $1
"""
_BEHIND = """
SELECT count(*) FROM hosting.miner h
LEFT JOIN telemetry.miner t ON t.id = h.id WHERE t.id IS NULL OR t.version < h.version
"""


@dataclass(frozen=True)
class Stopped:
    """A machine of the plan, and when its stop went where."""

    address: str
    port: int
    firmware: str
    sent_at: datetime | None
    accepted_at: datetime | None
    proven_at: datetime | None


@dataclass(frozen=True)
class Figures:
    """Everything that the run showed; seconds and watts."""

    machines: int
    ordered: int
    accepted: int
    trigger_answered_s: float
    first_stop_sent_s: float
    last_stop_accepted_s: float
    median_socket_s: float
    limit_s: float
    proven_s: float
    proof_limit_s: float
    target_w: float
    truly_shed_w: float
    shortfall_w: float
    platform_says_w: float
    recovered_s: float
    restore_failed: int
    blocking_pool_s: float
    blocking_pool_stopped: int


class Bench:
    """One run against one installation."""

    def __init__(self, stack: Stack, api: Api, stop: int) -> None:
        self.stack = stack
        self.api = api
        self.stop = stop
        self.site_id = stack.demo["site_id"]
        self.control = ControlClient(stack.installation.ports["simulation"])

    def run(self) -> Figures:
        """Order, prove, look, undo; then let the blocking pool do the same."""
        self._wake_faster()
        self._end_earlier_plans()
        self._wait_for_readings()
        target_mw = self._target_for(self.stop)
        before_w = self._true_watts()
        ordered_at = datetime.now(UTC)
        plan = self._trigger(target_mw)
        answered_s = _since(ordered_at)
        plan_id, target_w = plan["id"], plan["target_power_reduction_mw"] * 1e6
        plan = self._until(plan_id, lambda status: status != "executing", 300)
        _say(f"{plan['status']}: {plan['power_reduced_mw']:.3f} MW proven")
        self._until_settled(plan_id, 300)
        time.sleep(RAMP_S * SLEEP_RAMP_SHARE)
        plan = self._until(plan_id, lambda _: True, 0)
        stopped = asyncio.run(self._stopped(plan_id))
        after_w = self._true_watts()
        shed_w = sum(before_w[one.address] - after_w[one.address] for one in stopped)
        recovered_s, failed = self._recover(plan_id)
        pool_s, pool_stopped = _blocking_pool(stopped)
        socket_s = statistics.median(
            (one.accepted_at - one.sent_at).total_seconds()
            for one in stopped
            if one.accepted_at and one.sent_at
        )
        executed_at = datetime.fromisoformat(plan["executed_at"])
        accepted = [one.accepted_at for one in stopped if one.accepted_at]
        sent = [one.sent_at for one in stopped if one.sent_at]
        return Figures(
            machines=self.stack.installation.fleet,
            ordered=len(stopped),
            accepted=len(accepted),
            trigger_answered_s=answered_s,
            first_stop_sent_s=(min(sent) - ordered_at).total_seconds(),
            last_stop_accepted_s=(max(accepted) - ordered_at).total_seconds(),
            median_socket_s=socket_s,
            limit_s=TIMES_SOCKETS * len(stopped) * socket_s / SOCKETS,
            proven_s=(executed_at - max(accepted)).total_seconds(),
            proof_limit_s=RAMP_S * SLEEP_RAMP_SHARE + PROOF_SLACK_S,
            target_w=target_w,
            truly_shed_w=shed_w,
            shortfall_w=max(0.0, target_w - shed_w),
            platform_says_w=1e6 * (plan["power_reduced_mw"] + plan["power_reduced_estimated_mw"]),
            recovered_s=recovered_s,
            restore_failed=failed,
            blocking_pool_s=pool_s,
            blocking_pool_stopped=pool_stopped,
        )

    def _wait_for_readings(self) -> None:
        """Wait until telemetry has seen every machine, and no event is on its way any more."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            seen, behind = self._seen_at_work(), asyncio.run(self._events_behind())
            _say(
                f"{seen} of {self.stack.installation.fleet} machines seen at work, "
                f"{behind} known to telemetry in an older version"
            )
            if seen >= self.stack.installation.fleet and not behind:
                return
            time.sleep(10)
        msg = "telemetry has not seen all machines in 10 minutes"
        raise TimeoutError(msg)

    def _seen_at_work(self) -> int:
        columns = self.api.call("GET", "/api/telemetry/fleet", params={"site_id": self.site_id})[
            "columns"
        ]
        return sum(1 for hashrate in columns["hashrate_ths"] if hashrate)

    def _body(self, target_mw: float) -> dict[str, Any]:
        return {
            "site_id": self.site_id,
            "target_power_reduction_mw": target_mw,
            "strategy": "performance_priority",
            "duration_minutes": 60,
        }

    def _trigger(self, target_mw: float) -> dict[str, Any]:
        key = {"Idempotency-Key": f"bench-{time.time_ns()}"}
        path = "/api/hosting/curtailment/trigger"
        return self.api.call("POST", path, json=self._body(target_mw), headers=key)

    def _wake_faster(self) -> None:
        """Let recovery take seconds: it is no part of the figure."""
        policy = {"four_eyes": False, "restore_batch_size": 500, "restore_interval_s": 5}
        self.api.call("PUT", f"/api/hosting/curtailment/policies/{self.site_id}", json=policy)

    def _end_earlier_plans(self) -> None:
        """Bring back what an earlier run, broken off, has left asleep."""
        for plan in self.api.get("/api/hosting/curtailment", page_size=50)["items"]:
            if plan["status"] in {"executing", "executed", "partially_executed"}:
                self._recover(plan["id"])
            elif plan["status"] == "restoring":
                self._until(plan["id"], lambda status: status == "completed", 900)

    def _target_for(self, machines: int) -> float:
        """Return a target that takes about so many machines."""
        shown = self.api.call("POST", _PREVIEW, json=self._body(0.1))
        each_w = sorted(
            (one["power_w"] / one["hashrate_ths"], one["expected_reduction_w"])
            for one in shown["candidates"]
        )[-machines:]
        target_mw = round(sum(watts for _, watts in each_w) / MARGIN / 1e6, 3)
        for _ in range(4):
            shown = self.api.call("POST", _PREVIEW, json=self._body(target_mw))
            took = shown["miners_affected"]
            _say(f"{target_mw} MW take {took} machines ({shown['method']})")
            if abs(took - machines) <= machines // 200:
                break
            target_mw = round(target_mw * machines / took, 3)
        return target_mw

    def _true_watts(self) -> dict[str, float]:
        return {one["address"]: one["power_w"] for one in self.control.miners()}

    def _until(self, plan_id: str, done: Callable[[str], bool], within_s: float) -> dict[str, Any]:
        """Wait for a status; the list is read, as it does not carry thousands of machines."""
        deadline = time.monotonic() + within_s
        while True:
            plans = self.api.get("/api/hosting/curtailment", page_size=50)["items"]
            plan = next(plan for plan in plans if plan["id"] == plan_id)
            if done(plan["status"]) or time.monotonic() > deadline:
                return plan
            time.sleep(0.5)

    def _until_settled(self, plan_id: str, within_s: float) -> None:
        """Wait until no order of the plan is on its way any more."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            stopped = asyncio.run(self._stopped(plan_id))
            if all(one.proven_at for one in stopped):
                return
            time.sleep(1)

    def _recover(self, plan_id: str) -> tuple[float, int]:
        began = time.monotonic()
        self.api.call("POST", f"/api/hosting/curtailment/{plan_id}/restore")
        plan = self._until(plan_id, lambda status: status == "completed", 900)
        _say(f"recovery: {plan['status']}, {plan['restore_failed_count']} did not wake")
        return time.monotonic() - began, plan["restore_failed_count"]

    async def _events_behind(self) -> int:
        """Return of how many machines telemetry has not heard the latest yet."""
        connection = await connect(self.stack.demo["postgres_dsn"])
        try:
            return await connection.fetchval(_BEHIND)
        finally:
            await connection.close()

    async def _stopped(self, plan_id: str) -> list[Stopped]:
        connection = await connect(self.stack.demo["postgres_dsn"])
        try:
            rows = await connection.fetch(_MACHINES, plan_id)
        finally:
            await connection.close()
        return [
            Stopped(
                row["address"],
                row["port"],
                row["firmware"],
                row["sent_at"],
                row["accepted_at"],
                row["finished_at"],
            )
            for row in rows
        ]


def _since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


def _say(words: str) -> None:
    print(f"  {words}", flush=True)


# The peer: what one writes first.


def _blocking_pool(machines: Sequence[Stopped]) -> tuple[float, int]:
    """Stop the machines from 20 threads; return the seconds, and how many took the order."""
    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        took = list(pool.map(_stop_blocking, machines))
    return time.monotonic() - began, sum(took)


def _stop_blocking(machine: Stopped) -> bool:
    try:
        if machine.firmware == "luxos":
            return _stop_luxos(machine)
        return _stop_whatsminer(machine)
    except (OSError, ValueError, KeyError):
        return False


def _stop_luxos(machine: Stopped) -> bool:
    session = _ask(machine, {"command": "logon"})["SESSION"][0]["SessionID"]
    answer = _ask(machine, {"command": "curtail", "parameter": f"{session},sleep"})
    _ask(machine, {"command": "logoff", "parameter": session})
    return answer["STATUS"][0]["STATUS"] == "S"


def _stop_whatsminer(machine: Stopped) -> bool:
    message = _ask(machine, {"command": "get_token"})["Msg"]
    key = hash_part(PASSWORD, message["salt"])
    sign = hash_part(key + message["time"], message["newsalt"])
    order = orjson.dumps({"cmd": "power_off", "respbefore": "true", "token": sign})
    return "enc" in _ask(machine, {"enc": 1, "data": seal(key, order)})


def _ask(machine: Stopped, body: dict[str, Any]) -> dict[str, Any]:
    with socket.create_connection((machine.address, machine.port), timeout=5) as connection:
        connection.sendall(orjson.dumps(body))
        chunks: list[bytes] = []
        while chunk := connection.recv(65536):
            chunks.append(chunk)
            if chunk.endswith((b"\0", b"\n")):
                break
    return cast("dict[str, Any]", orjson.loads(b"".join(chunks).rstrip(b"\0\n ")))


def report(found: Figures) -> dict[str, object]:
    """Print the table; return it with the verdict."""
    rows = [
        ("trigger -> plan answered", found.trigger_answered_s, None),
        ("trigger -> first stop sent", found.first_stop_sent_s, None),
        ("trigger -> last stop accepted", found.last_stop_accepted_s, found.limit_s),
        ("last stop accepted -> reduction proven", found.proven_s, found.proof_limit_s),
        ("20 blocking threads, the same stops", found.blocking_pool_s, None),
        ("restore -> last machine hashing again", found.recovered_s, None),
    ]
    print(f"\n{found.accepted} of {found.ordered} stops accepted, {found.machines} machines\n")
    print(f"{'':42} {'seconds':>9} {'limit':>9}")
    for name, seconds, limit_s in rows:
        print(f"{name:42} {seconds:9.2f} {'' if limit_s is None else f'{limit_s:9.2f}'}")
    print(
        f"\nmedian socket time {1000 * found.median_socket_s:.0f} ms; limit = {TIMES_SOCKETS} x "
        f"{found.ordered} x median / {SOCKETS} sockets\n"
        f"asked {found.target_w:,.0f} W; the sockets shed {found.truly_shed_w:,.0f} W, the "
        f"platform says {found.platform_says_w:,.0f} W; shortfall {found.shortfall_w:,.0f} W\n"
        f"the blocking pool stopped {found.blocking_pool_stopped} and took "
        f"{found.blocking_pool_s / found.last_stop_accepted_s:.1f} times as long"
    )
    met = (
        found.last_stop_accepted_s <= found.limit_s
        and found.proven_s <= found.proof_limit_s
        and found.shortfall_w == 0
    )
    print("met" if met else "NOT met")
    return {**asdict(found), "met": met}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--miners", type=int, default=6000)
    parser.add_argument("--stop", type=int, default=2000)
    parser.add_argument(
        "--delay-ms", type=float, default=150, help="before every answer of a miner"
    )
    parser.add_argument("--keep", action="store_true", help="keep the installation for a next run")
    options = parser.parse_args()
    stack = Stack(
        RUN_DIR,
        fleet=options.miners,
        free_ports=True,
        fleet_options=("--delay-ms", str(options.delay_ms), "--ramp-seconds", str(RAMP_S)),
    )
    try:
        stack.start()
        owner = stack.demo["users"]["owner"]
        with Api(stack.demo["gateway_url"], owner["email"], owner["password"]) as api:
            result = report(Bench(stack, api, options.stop).run())
    finally:
        stack.stop() if options.keep else stack.remove()
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if result["met"] else 1)


if __name__ == "__main__":
    main()
