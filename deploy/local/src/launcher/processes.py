"""Programs, and the processes that run them: started detached, known by pid file, stopped in order.

A pid file holds the process's number and its start time, so that a number which the kernel has
given to a stranger meanwhile is never mistaken for ours.
"""

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_OPEN_FILES = 65_536
_POLL_S = 0.05


class NotReadyError(Exception):
    """A program did not become ready in time, or ended before it did."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to know that it is ready and how to stop it."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 20.0
    ready_within_s: float = 90.0
    cwd: Path | None = None


def raise_file_limit() -> None:
    """Allow this process and its children as many open files as the system lets them have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wished = max(soft, _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wished, hard))


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return our environment plus `extra`, without what would make every start twice as slow."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **extra}


def spawn(program: Program, log: Path) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own, its output appended to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_environment(program.environment),
            cwd=program.cwd,
            start_new_session=True,
        )


def leave_running(process: subprocess.Popen[bytes]) -> None:
    """Give up a child that shall outlive us; otherwise Popen warns about it."""
    process.returncode = 0


def started_at(pid: int) -> str | None:
    """Return the kernel's start time of a living process, None when it is gone or a zombie."""
    try:
        columns = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if columns[0] in "ZX" else columns[19]


def write_pid(path: Path, pid: int) -> None:
    """Remember a process in a pid file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{pid} {started_at(pid)}\n")


def read_pid(path: Path) -> int | None:
    """Return the living process that a pid file names, if there is one."""
    try:
        pid, start = path.read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if started_at(int(pid)) == start else None


def wait_until(condition: Callable[[], bool], within_s: float) -> bool:
    """Poll a condition until it holds or the time is over."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def stop(pid: int, *, by: signal.Signals = signal.SIGTERM, within_s: float = 20.0) -> bool:
    """Ask a process to end, kill its group when it does not; whether it went of itself."""
    _signal(pid, by)
    if wait_until(lambda: _is_gone(pid), within_s):
        return True
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        _signal(pid, signal.SIGKILL)
    wait_until(lambda: _is_gone(pid), 5.0)
    return False


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _is_gone(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours must be reaped, else it stays a zombie
    return started_at(pid) is None


def start_detached(program: Program, *, pid_file: Path, log: Path) -> None:
    """Start a program that outlives us and wait until it is ready; do nothing if it runs."""
    if read_pid(pid_file) is not None and program.is_ready():
        return
    process = spawn(program, log)
    write_pid(pid_file, process.pid)

    def is_decided() -> bool:
        return process.poll() is not None or program.is_ready()

    if not wait_until(is_decided, program.ready_within_s) or process.poll() is not None:
        code = process.poll()
        stop(process.pid, by=program.stop_signal, within_s=2.0)
        pid_file.unlink(missing_ok=True)
        ending = "is not ready in time" if code is None else f"ended with code {code}"
        raise NotReadyError(f"{program.name} {ending}. {tail(log)}")
    leave_running(process)


def tail(log: Path, lines: int = 12) -> str:
    """Return the end of a log, to be shown in a message."""
    try:
        last = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return f"There is no log at {log}."
    return f"The end of {log}:\n" + "\n".join(last)
