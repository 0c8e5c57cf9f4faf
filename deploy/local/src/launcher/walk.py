"""`make walk`: the main job, played against the running system by an ordinary HTTP client.

It logs in as the host, looks at the live fleet, asks what a reduction would cost, orders it,
watches telemetry prove it, reads the machines' own sockets, and brings the machines back.
"""

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from launcher.api import Api
from launcher.sockets import hashrate_ths

_LOOK_EVERY_S = 1.0
_FLEET_WITHIN_S = 180.0
_PROVEN_WITHIN_S = 900.0
_WATTS_PER_MW = 1_000_000
_SHARE = 0.4
_BACK = 0.97
_POLLED = 0.98
_BARS = "▁▂▃▄▅▆▇█"


class WalkError(Exception):
    """The job did not go as it should."""


@dataclass(frozen=True, slots=True)
class FleetNow:
    """The fleet as telemetry knows it at one moment."""

    machines: int
    online: int
    mining: int
    power_w: float
    hashrate_ths: float

    @property
    def megawatts(self) -> str:
        """Power, for reading."""
        return f"{self.power_w / _WATTS_PER_MW:.3f} MW"


class Walk:
    """One walk through the main job."""

    def __init__(self, api: Api, site_id: str, console: Console) -> None:
        self._api = api
        self._site_id = site_id
        self._console = console
        self._powers: list[float] = []

    def play(self) -> None:
        """Play all of it.

        Raises:
            WalkError: something did not happen in time, or happened wrongly.
        """
        before = self._live_fleet()
        target_mw = self._preview()
        plan_id = self._trigger(target_mw)
        try:
            self._watch_proof(plan_id)
            self._read_sockets(plan_id)
        except BaseException:
            self._console.print("  Interrupted: the machines are ordered back.")
            self._restore(plan_id)
            raise
        self._recover(plan_id)
        self._watch_return(before)
        self._trail()

    def fleet(self) -> FleetNow:
        """Read the fleet's columns and add them up."""
        columns = self._api.get("/api/telemetry/fleet", site_id=self._site_id)["columns"]
        now = FleetNow(
            machines=len(columns["miner_id"]),
            online=sum(map(bool, columns["online"])),
            mining=sum(map(bool, columns["is_mining"])),
            power_w=sum(watts or 0 for watts in columns["power_w"]),
            hashrate_ths=sum(rate or 0 for rate in columns["hashrate_ths"]),
        )
        self._powers.append(now.power_w)
        return now

    def _live_fleet(self) -> FleetNow:
        """Wait until most of the fleet has been polled, and show it."""
        self._title("1", "The fleet, live")
        kpi = self._api.get("/api/hosting/kpi")
        deadline = time.monotonic() + _FLEET_WITHIN_S
        while (now := self.fleet()).online < _POLLED * kpi["active"] or not now.power_w:
            if time.monotonic() > deadline:
                raise WalkError(f"Of {kpi['total']} machines only {now.online} were polled.")
            self._console.print(f"  {now.online} of {kpi['total']} machines polled so far")
            time.sleep(5 * _LOOK_EVERY_S)
        table = _table("machines", "online", "mining", "power reported", "hashrate")
        table.add_row(
            str(now.machines),
            str(now.online),
            str(now.mining),
            now.megawatts,
            f"{now.hashrate_ths / 1000:.1f} PH/s",
        )
        self._console.print(table)
        self._say("Stock Antminers report no watts; nothing is made up for them.")
        return now

    def _preview(self) -> float:
        """Ask what a reduction would cost, before anything moves."""
        maximum = self._ask_preview(0.001)["maximum_power_mw"]
        target_mw = round(maximum * _SHARE, 3)
        self._title("2", f"What would {target_mw} MW less cost? {maximum:.3f} MW could go")
        preview = self._ask_preview(target_mw)
        gap = f"{preview['gap']:.4%}" if preview["gap"] is not None else "unknown"
        table = _table("machines to stop", "expected", "hashrate lost", "method", "gap", "took")
        table.add_row(
            str(preview["miners_affected"]),
            f"{preview['expected_reduction_mw']:.3f} MW",
            f"{preview['hashrate_loss_ths'] / 1000:.2f} PH/s",
            str(preview["method"]),
            gap,
            f"{preview['elapsed_ms'] or 0:.0f} ms",
        )
        self._console.print(table)
        if preview["skipped_by_reason"]:
            reasons = (f"{n} {why}" for why, n in preview["skipped_by_reason"].items())
            self._say(f"Left alone: {', '.join(reasons)}.")
        return target_mw

    def _ask_preview(self, target_mw: float) -> dict[str, Any]:
        return self._api.post("/api/hosting/curtailment/preview", self._order(target_mw))

    def _order(self, target_mw: float) -> dict[str, Any]:
        return {
            "site_id": self._site_id,
            "target_power_reduction_mw": target_mw,
            "strategy": "performance_priority",
        }

    def _trigger(self, target_mw: float) -> str:
        self._title("3", "The order")
        plan = self._api.post("/api/hosting/curtailment/trigger", self._order(target_mw))
        self._say(f"Plan {plan['id']}: {plan['miners_affected']} machines, {plan['status']}.")
        return plan["id"]

    def _watch_proof(self, plan_id: str) -> None:
        """Follow the plan until telemetry has proven it."""
        last = self._follow(plan_id, ("executing", "approved", "pending"), "proven")
        reduced = last["power_reduced_mw"] + last["power_reduced_estimated_mw"]
        self._say(
            f"{last['status']}: {last['power_reduced_mw']:.3f} MW proven by reported watts, "
            f"{last['power_reduced_estimated_mw']:.3f} MW estimated."
        )
        if reduced < last["target_power_reduction_mw"]:
            raise WalkError(f"Short of the target of {last['target_power_reduction_mw']} MW.")

    def _follow(self, plan_id: str, while_in: tuple[str, ...], what: str) -> dict[str, Any]:
        """Draw a plan's progress until it leaves these states; return it as it then is."""
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[power]}"),
        )
        deadline = time.monotonic() + _PROVEN_WITHIN_S
        live = self._console.is_terminal
        with Progress(*columns, console=self._console, disable=not live) as progress:
            bar = progress.add_task(f"machines {what}", total=None, power="")
            said = ""
            while True:
                plan = self._api.get(f"/api/hosting/curtailment/{plan_id}")
                states = plan["targets_by_state"]
                power = f"{self.fleet().megawatts}  {_curve(self._powers)}"
                total, done = plan["miners_affected"], _settled(states)
                progress.update(bar, total=total, completed=done, power=power)
                saying = f"{plan['status']}: {_listed(states)}"
                if not live and saying != said:
                    self._say(f"{saying}; {power}")
                    said = saying
                if plan["status"] not in while_in:
                    return plan
                if time.monotonic() > deadline:
                    raise WalkError(f"The plan is still {plan['status']}.")
                time.sleep(_LOOK_EVERY_S)

    def _read_sockets(self, plan_id: str) -> None:
        """Ask the stopped machines themselves, past all of our services."""
        self._title("4", "The machines' own word")
        plan = self._api.get(f"/api/hosting/curtailment/{plan_id}")
        stopped = {one["miner_id"] for one in plan["targets"] if one["confirmed_at"]}
        machines = [one for one in self._miners() if one["id"] in stopped]
        ips: list[str] = [one["cgminer_ip"] for one in machines]
        ports: list[int] = [one["cgminer_port"] for one in machines]
        with ThreadPoolExecutor(16) as pool:
            rates = list(pool.map(hashrate_ths, ips, ports))
        silent = sum(rate is None for rate in rates)
        hashing = sum(bool(rate) for rate in rates)
        self._say(
            f"Asked {len(rates)} sockets: {len(rates) - silent - hashing} hash nothing, "
            f"{hashing} hash, {silent} do not answer."
        )
        if hashing:
            raise WalkError("A machine that was proven to be off is hashing.")

    def _miners(self) -> Iterator[Mapping[str, Any]]:
        page, pages = 1, 1
        while page <= pages:
            answer = self._api.get(
                "/api/hosting/miners", site_id=self._site_id, page=page, page_size=200
            )
            yield from answer["items"]
            page, pages = page + 1, answer["pages"]

    def _recover(self, plan_id: str) -> None:
        self._title("5", "Recovery, staggered and proven")
        self._restore(plan_id)
        last = self._follow(plan_id, ("restoring",), "back")
        self._say(f"{last['status']}; {last['restore_failed_count']} machines did not come back.")
        if last["status"] != "completed":
            raise WalkError("The plan did not end as completed.")

    def _watch_return(self, before: FleetNow) -> None:
        """See the fleet's power come back; a machine ramps up, and is read once in a slot."""
        deadline = time.monotonic() + _FLEET_WITHIN_S
        while (now := self.fleet()).power_w < _BACK * before.power_w:
            if time.monotonic() > deadline:
                break
            time.sleep(2 * _LOOK_EVERY_S)
        self._say(f"The fleet draws {now.megawatts}; before the order {before.megawatts}.")
        self._say(_curve(self._powers, width=76))

    def _restore(self, plan_id: str) -> None:
        self._api.post(f"/api/hosting/curtailment/{plan_id}/restore")

    def _trail(self) -> None:
        """Show who did what, as the audit trail has it."""
        self._title("6", "What the audit trail says")
        table = _table("when", "action", "object")
        for entry in self._api.get("/api/hosting/audit")["items"][:6]:
            when = str(entry.get("at") or entry.get("created_at") or "")[:19]
            table.add_row(
                when, str(entry["action"]), f"{entry['object_type']} {entry['object_id'][-12:]}"
            )
        self._console.print(table)

    def _title(self, number: str, text: str) -> None:
        self._console.print(f"\n[bold]{number}  {text}[/bold]")

    def _say(self, text: str) -> None:
        self._console.print(f"  {text}")


def walk(demo_file: Path, console: Console) -> None:
    """Play the main job with the logins of a `demo.json`.

    Raises:
        WalkError: nothing was set up, or the job did not go as it should.
    """
    if not demo_file.exists():
        raise WalkError("There is no demo yet; `make up` first.")
    demo = json.loads(demo_file.read_text())
    host = demo["users"]["host"]
    with Api(demo["gateway_url"], host["email"], host["password"]) as api:
        me = api.get("/api/me")
        console.print(f"Logged in at {demo['gateway_url']} as {me['email']}, {me['role']}.")
        Walk(api, demo["site_id"], console).play()
    console.print("\n[bold green]The main job works, from the order to the proof and back.[/]")


def _settled(states: Mapping[str, int]) -> int:
    """Count the targets about which nothing more is to be found out in this phase."""
    waiting = ("pending", "dispatching", "dispatched", "accepted")
    return sum(number for state, number in states.items() if state not in waiting)


def _listed(states: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in states.items())


def _curve(values: list[float], width: int = 30) -> str:
    """Draw the last values as a line of bars."""
    last = values[-width:]
    top = max(last, default=0) or 1
    return "".join(_BARS[round(value / top * (len(_BARS) - 1))] for value in last)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 2))
    for column in columns:
        table.add_column(column, header_style="dim")
    return table
