"""One supervised program: started, checked, restarted with back-off, held, stopped.

Nothing here blocks: the supervisor calls `tick` a few times a second for every program.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from launcher.processes import Program, read_pid, spawn, write_pid
from launcher.status import ProgramStatus, State

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_STEADY_AFTER_S = 60.0
_READY_CHECK_EVERY_S = 0.2


class Watched:
    """A program and the process that runs it now, if one does."""

    def __init__(self, program: Program, *, directory: Path, log: Path) -> None:
        self.program = program
        self.status = ProgramStatus()
        self._log = log
        self._pid_file = directory / "pid" / f"{program.name}.pid"
        self._hold_file = directory / "hold" / program.name
        self._process: subprocess.Popen[bytes] | None = None
        self._next_start = 0.0
        self._wait_s = _FIRST_WAIT_S
        self._stop_by = 0.0
        self._check_at = 0.0

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def start(self) -> None:
        """Start the process."""
        self._process = spawn(self.program, self._log)
        write_pid(self._pid_file, self._process.pid)
        self._stop_by = time.monotonic() + self.program.ready_within_s
        self._check_at = 0.0
        self._is_now("starting")

    def tick(self) -> None:
        """Notice what happened since the last call, and do what it asks for."""
        if self._process is not None and self._process.poll() is not None:
            self._ended(self._process.returncode)
        steps: dict[State, Callable[[], None]] = {
            "starting": self._while_starting,
            "ready": self._while_ready,
            "stopping": self._while_stopping,
            "backing off": self._while_backing_off,
            "held": self._while_held,
        }
        step = steps.get(self.status.state)
        if step is not None:
            step()

    def ask_to_stop(self) -> None:
        """Send the program's own stop signal; `tick` or `finish` sees to the rest."""
        if self._process is None:
            self._is_now("stopped")
            return
        self._signal(self.program.stop_signal)
        self._stop_by = time.monotonic() + self.program.stop_within_s
        self._is_now("stopping")

    def finish(self) -> None:
        """Wait for a process that was asked to stop, kill it when its time is over."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, self._stop_by - time.monotonic()))
            self._kill_group()
            self._process.wait()
        self._gone()
        self._is_now("stopped")

    def _while_starting(self) -> None:
        now = time.monotonic()
        if self._is_held():
            self.ask_to_stop()
        elif now >= self._check_at:
            self._check_at = now + _READY_CHECK_EVERY_S
            if self.program.is_ready():
                self._is_now("ready")
            elif now > self._stop_by:
                self.status.note = f"not ready within {self.program.ready_within_s:.0f} s"
                self._kill_group()

    def _while_ready(self) -> None:
        if self._is_held():
            self.ask_to_stop()
        elif time.time() - self.status.since > _STEADY_AFTER_S:
            self._wait_s = _FIRST_WAIT_S

    def _while_stopping(self) -> None:
        if time.monotonic() > self._stop_by:
            self._kill_group()

    def _while_backing_off(self) -> None:
        if self._is_held():
            self._is_now("held")
        elif time.monotonic() >= self._next_start:
            self.status.restarts += 1
            self.start()

    def _while_held(self) -> None:
        if not self._is_held():
            self.start()

    def _ended(self, code: int) -> None:
        """Give up on a process that is gone; start it again unless it was meant to go."""
        was = self.status.state
        self._kill_group()
        self._gone()
        if was == "stopping" and self._is_held():
            self._is_now("held")
            return
        self.status.note = _ending(code)
        self._next_start = time.monotonic() + self._wait_s
        self._wait_s = min(_LONGEST_WAIT_S, self._wait_s * 2)
        self._is_now("backing off")

    def _is_now(self, state: State) -> None:
        self.status.state = state
        self.status.since = time.time()
        self.status.pid = self._process.pid if self._process else None

    def _is_held(self) -> bool:
        """Whether somebody who still lives asks us to leave this program alone."""
        if not self._hold_file.exists():
            return False
        if read_pid(self._hold_file) is not None:
            return True
        self._hold_file.unlink(missing_ok=True)
        return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _kill_group(self) -> None:
        """Kill whatever is left of the process and of the children that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _gone(self) -> None:
        self._process = None
        self._pid_file.unlink(missing_ok=True)


def _ending(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"
