"""A whole Hashyard as one object: what `make up` and the end-to-end tests use.

with Stack(run_dir, fleet=40, slot_seconds=2, free_ports=True) as stack:
    stack.demo["users"]["owner"]; stack.kill("hosting", signal.SIGKILL); stack.restart("kafka")
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from launcher import seed, status
from launcher.installation import (
    SERVICES,
    Installation,
    any_first_miner,
    any_ports,
    load,
)
from launcher.ports import require_free
from launcher.postgres import remove_data
from launcher.processes import (
    child_environment,
    leave_running,
    read_pid,
    started_at,
    stop,
    wait_until,
    write_pid,
)
from launcher.programs import exchange_is_reachable
from launcher.status import Status
from launcher.supervisor import OWNER_FILE

_START_WITHIN_S = 300.0
_STOP_WITHIN_S = 120.0
_POLL_S = 0.1


class StackError(Exception):
    """The stack cannot be started, or is not in the state that a call needs."""


class Stack:
    """One installation and its supervisor.

    On a directory that already holds an installation, its ports, secrets and data are used again.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        fleet: int = 300,
        slot_seconds: int = 60,
        free_ports: bool = False,
        environment: Mapping[str, str] | None = None,
        fleet_options: Sequence[str] = (),
    ) -> None:
        """Describe a stack below `run_dir`.

        free_ports: choose ports and simulated addresses that are in nobody's way. Such a stack
            belongs to the process that starts it, and stops by itself when that is gone.
        environment: further settings for every service.
        fleet_options: further options of `python -m simulation serve`.
        """
        self.run_dir = run_dir.resolve()
        self._is_mine = free_ports
        before = load(self.run_dir)
        if before is not None and self.is_up:
            self.installation = before  # what runs is what it was started as
            return
        made = before or Installation(self.run_dir)
        if before is None and free_ports:
            made = replace(made, ports=any_ports(), first_miner=any_first_miner())
        self.installation = replace(
            made,
            # A machine that was registered must stay there, or it would go offline.
            fleet=max(fleet, seed.registered(self.run_dir)),
            slot_seconds=slot_seconds,
            environment=dict(environment or {}),
            fleet_options=tuple(fleet_options),
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def urls(self) -> dict[str, str]:
        """Address of each service; clients use the gateway's."""
        return {name: self.installation.url(name) for name in SERVICES}

    @property
    def ops_urls(self) -> dict[str, str]:
        """Address of each service's health and metrics."""
        return {name: self.installation.ops_url(name) for name in SERVICES}

    @property
    def demo(self) -> dict[str, Any]:
        """What `demo.json` holds: addresses, logins, the API key, organisation and site."""
        return json.loads((self.run_dir / "demo.json").read_text())

    @property
    def supervisor_pid(self) -> int | None:
        """The supervisor's process, None when nothing runs."""
        return read_pid(self.run_dir / "supervisor.pid")

    @property
    def is_up(self) -> bool:
        """Whether a supervisor runs."""
        return self.supervisor_pid is not None

    def status(self) -> Status:
        """Return the supervisor's last report."""
        return status.read(self.run_dir) or Status(phase="stopped")

    def start(self, on_change: Callable[[Status], None] = lambda _: None) -> None:
        """Start everything, wait until it is ready, seed the demo if that was not done yet."""
        if not self.is_up:
            self._clear_up()
            self._require_ports()
            live = not self._is_mine and exchange_is_reachable()
            self.installation = replace(self.installation, live_market=live)
            self.installation.save()
            self.installation.secrets()
            if self._is_mine:
                write_pid(self.run_dir / OWNER_FILE, os.getpid())
            self._spawn_supervisor()
        self._wait_ready(on_change)
        seed.seed(self.installation)

    def stop(self) -> None:
        """Stop everything, in order; data stays."""
        pid = self.supervisor_pid
        if pid is not None:
            stop(pid, by=signal.SIGTERM, within_s=_STOP_WITHIN_S)
        self._clear_up()

    def remove(self) -> None:
        """Stop everything and delete what it kept."""
        self.stop()
        remove_data(self.run_dir / "postgres")
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def pid(self, name: str) -> int:
        """Return the process of a running program."""
        found = read_pid(self.run_dir / "pid" / f"{name}.pid")
        if found is None:
            raise StackError(f"{name} does not run.")
        return found

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a program; the supervisor starts it again when it ends."""
        pid = self.pid(name)
        os.kill(pid, number)
        if number == signal.SIGKILL:  # so that whoever waits for it next waits for the new one
            wait_until(lambda: started_at(pid) is None, 5.0)

    def restart(self, name: str, *, down_s: float = 0.0) -> None:
        """Stop a program in its own way, leave it down for a while, wait until it is ready."""
        with self.held(name):
            time.sleep(down_s)
        self.wait_ready(name)

    @contextmanager
    def held(self, name: str) -> Generator[None]:
        """Keep a program stopped; the supervisor starts it again afterwards."""
        hold = self.run_dir / "hold" / name
        write_pid(hold, os.getpid())
        try:
            if not wait_until(lambda: self._state(name) == "held", 30.0):
                raise StackError(f"{name} did not stop; it is {self._state(name)}.")
            yield
        finally:
            hold.unlink(missing_ok=True)

    def wait_ready(self, name: str, within_s: float = 90.0) -> None:
        """Wait until a program is ready."""
        if not wait_until(lambda: self._state(name) == "ready", within_s):
            raise StackError(f"{name} is not ready; it is {self._state(name)}.")

    def _state(self, name: str) -> str:
        one = self.status().programs.get(name)
        if one is None:
            return "unknown"
        # The report may be a moment older than the end of the process.
        is_gone = one.pid is not None and started_at(one.pid) is None
        return "gone" if is_gone else one.state

    def _spawn_supervisor(self) -> None:
        log = self.installation.log("supervisor")
        log.parent.mkdir(parents=True, exist_ok=True)
        Status().write(self.run_dir)
        with log.open("ab") as output:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "launcher", "supervise", str(self.run_dir)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=child_environment({}),
                start_new_session=True,
            )
        write_pid(self.run_dir / "supervisor.pid", supervisor.pid)
        leave_running(supervisor)

    def _wait_ready(self, on_change: Callable[[Status], None]) -> None:
        deadline = time.monotonic() + _START_WITHIN_S
        while (now := self.status()).phase != "ready":
            on_change(now)
            if now.phase in ("failed", "stopped"):
                raise StackError(now.message or "The start was stopped.")
            if not self.is_up:
                raise StackError(
                    f"The supervisor is gone; see {self.installation.log('supervisor')}."
                )
            if time.monotonic() > deadline:
                raise StackError(f"Not ready within {_START_WITHIN_S:.0f} s.")
            time.sleep(_POLL_S)
        on_change(now)

    def _require_ports(self) -> None:
        programs = {**self.installation.ports}
        require_free(
            {name.replace("-ops", " (operations)"): port for name, port in programs.items()}
        )

    def _clear_up(self) -> None:
        """End what a supervisor that was killed has left behind."""
        pids = [(path, read_pid(path)) for path in (self.run_dir / "pid").glob("*.pid")]
        last = ("kafka", "redis", "postgres")  # after those who stand on them
        for path, pid in sorted(
            pids, key=lambda pair: last.index(n) if (n := pair[0].stem) in last else -1
        ):
            if pid is not None:
                by = signal.SIGINT if path.stem == "postgres" else signal.SIGTERM
                stop(pid, by=by, within_s=20.0)
            path.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.run_dir / "hold")
        if not self.is_up:
            for name in ("supervisor.pid", OWNER_FILE):
                (self.run_dir / name).unlink(missing_ok=True)
