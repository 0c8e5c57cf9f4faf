import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launcher.processes import (
    NotReadyError,
    Program,
    child_environment,
    read_pid,
    start_detached,
    started_at,
    stop,
    wait_until,
    write_pid,
)
from launcher.watched import Watched

_SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
_IGNORES_TERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
_DEAF = [sys.executable, "-c", _IGNORES_TERM]


def tick_until(watched: Watched, state: str, within_s: float = 10.0) -> None:
    """Do what the supervisor does until a program is in a state."""

    def is_there() -> bool:
        watched.tick()
        return watched.status.state == state

    assert wait_until(is_there, within_s), watched.status


def test_a_number_that_the_kernel_gave_away_again_is_not_ours(tmp_path: Path) -> None:
    pid_file = tmp_path / "x.pid"
    write_pid(pid_file, os.getpid())
    assert read_pid(pid_file) == os.getpid()
    pid_file.write_text(f"{os.getpid()} 1\n")
    assert read_pid(pid_file) is None


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(_DEAF, stdout=output, start_new_session=True)
    assert wait_until(lambda: log.read_bytes().startswith(b"deaf"), 10)
    assert not stop(process.pid, within_s=0.3)
    assert started_at(process.pid) is None
    process.returncode = -signal.SIGKILL


def test_a_program_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    dying = Program(
        name="dying",
        command=[sys.executable, "-c", "print('no such table'); raise SystemExit(3)"],
        is_ready=lambda: False,
    )
    with pytest.raises(NotReadyError, match=r"(?s)code 3.*no such table"):
        start_detached(dying, pid_file=tmp_path / "pid", log=tmp_path / "log")
    assert not (tmp_path / "pid").exists()


def test_children_compile_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "PYTHONDONTWRITEBYTECODE" not in child_environment({"NAME": "value"})
    assert child_environment({"NAME": "value"})["NAME"] == "value"


def test_a_crashed_program_is_started_again_later_and_later(tmp_path: Path) -> None:
    crashing = Program(name="x", command=[sys.executable, "-c", "1/0"], is_ready=lambda: False)
    watched = Watched(crashing, directory=tmp_path, log=tmp_path / "log")
    watched.start()
    tick_until(watched, "backing off")
    assert watched.status.note == "ended with code 1"
    tick_until(watched, "starting")
    first = time.monotonic()
    assert watched.status.restarts == 1
    tick_until(watched, "backing off")
    tick_until(watched, "starting")
    assert watched.status.restarts == 2
    assert time.monotonic() - first >= 1.0
    watched.ask_to_stop()
    watched.finish()


def test_a_held_program_stays_down_until_its_holder_lets_go(tmp_path: Path) -> None:
    sleeper = Program(name="x", command=_SLEEPER, is_ready=lambda: True)
    watched = Watched(sleeper, directory=tmp_path, log=tmp_path / "log")
    watched.start()
    tick_until(watched, "ready")
    write_pid(tmp_path / "hold" / "x", os.getpid())
    tick_until(watched, "held")
    assert not watched.is_running
    (tmp_path / "hold" / "x").unlink()
    tick_until(watched, "ready")
    assert watched.status.restarts == 0
    watched.ask_to_stop()
    watched.finish()
    assert watched.status.state == "stopped"
    assert not (tmp_path / "pid" / "x.pid").exists()


def test_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    sleeper = Program(name="x", command=_SLEEPER, is_ready=lambda: True)
    watched = Watched(sleeper, directory=tmp_path, log=tmp_path / "log")
    (tmp_path / "hold").mkdir()
    (tmp_path / "hold" / "x").write_text("1 1\n")
    watched.start()
    tick_until(watched, "ready")
    assert not (tmp_path / "hold" / "x").exists()
    watched.ask_to_stop()
    watched.finish()
