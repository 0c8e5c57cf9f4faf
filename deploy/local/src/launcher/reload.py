"""One service in the foreground, started anew whenever its source changes."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from launcher.installation import SERVICES
from launcher.paths import ROOT
from launcher.processes import Program, child_environment, stop

_LOOK_EVERY_S = 0.5


def sources(service: str) -> list[Path]:
    """Return the folders whose changes matter to a service."""
    own = ROOT / "gateway" if service == "gateway" else ROOT / "services" / service
    return [own / "src", ROOT / "libs" / "common" / "src"]


def run(program: Program) -> None:
    """Run a service until interrupted, its output on the screen."""
    assert program.name in SERVICES
    folders = sources(program.name)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave no service behind
    process: subprocess.Popen[bytes] | None = None
    try:
        for _ in _changes(folders):
            if process is not None and process.poll() is None:
                stop(process.pid, within_s=program.stop_within_s)
            print(f"── {program.name} starts", flush=True)
            process = subprocess.Popen(program.command, env=child_environment(program.environment))
    except KeyboardInterrupt:
        print(f"\n── {program.name} stops", flush=True)
    finally:
        if process is not None and process.poll() is None:
            stop(process.pid, within_s=program.stop_within_s)


def _changes(folders: list[Path]) -> Iterator[None]:
    """Yield once at the beginning and again after every change of a source file."""
    seen = snapshot(folders)
    yield
    while True:
        time.sleep(_LOOK_EVERY_S)
        now = snapshot(folders)
        if now != seen:
            seen = now
            yield


def snapshot(folders: list[Path]) -> dict[Path, int]:
    """Return every source file with the time of its last change."""
    return {
        path: path.stat().st_mtime_ns
        for folder in folders
        for path in folder.rglob("*.py")
        if path.exists()
    }
