"""What the commands show: the steps of a start, the table of what runs, the farewell."""

import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from launcher.installation import Installation, ops
from launcher.programs import readiness
from launcher.status import Status, Step

console = Console(highlight=False, soft_wrap=True)
_PAGE_BYTES = 4096


class Steps:
    """Prints each step of a start as it begins and ends."""

    def __init__(self) -> None:
        self._shown = 0
        self._is_open = False
        self._live = sys.stdout.isatty()

    def show(self, status: Status) -> None:
        """Print what is new in a report."""
        for step in status.steps[self._shown :]:
            if step.seconds is None:
                self._open(step)
                return
            self._close(step)
            self._shown += 1

    def _open(self, step: Step) -> None:
        if self._live:
            waited = time.time() - step.began
            print(f"\r… {step.title}  {waited:.0f} s\x1b[K", end="", flush=True)
        elif not self._is_open:
            print(f"… {step.title}", flush=True)
        self._is_open = True

    def _close(self, step: Step) -> None:
        begin = "\r" if self._live else ""
        end = "\x1b[K" if self._live else ""
        print(f"{begin}✓ {step.title}  {step.seconds:.1f} s{end}", flush=True)
        self._is_open = False


@contextmanager
def step(title: str) -> Generator[None]:
    """Print one more step, with how long it took."""
    print(f"… {title}", flush=True)
    began = time.monotonic()
    yield
    print(f"✓ {title}  {time.monotonic() - began:.1f} s", flush=True)


def farewell(demo: Mapping[str, Any], *, machines: int, directory: Path) -> None:
    """Say where it runs, who can log in and how to stop it."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for person, login in demo["users"].items():
        table.add_row(person, login["email"], login["password"])
    console.print(f"\n[bold]Hashyard runs at {demo['gateway_url']}[/bold]")
    console.print(f"{machines} simulated miners. Logins:")
    console.print(table)
    console.print(f"All of it, with the API key: {directory / 'demo.json'}")
    console.print(f"Letters that it would mail: {directory / 'mail'}")
    console.print(
        "See the main job: [bold]make walk[/bold]   What runs: [bold]make status[/bold]   "
        "Stop: [bold]make down[/bold]"
    )


def status_table(installation: Installation, status: Status) -> bool:
    """Print what runs; whether all of it is ready."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("program", "state", "for", "pid", "port", "MiB", "restarts", ""):
        table.add_column(column, justify="right" if column in ("pid", "port", "MiB") else "left")
    all_ready = status.phase == "ready"
    for name, one in status.programs.items():
        note = one.note
        ops_port = installation.ports.get(ops(name))
        state = str(one.state)
        if one.state == "ready" and ops_port is not None:
            is_ready, words = readiness(ops_port)
            state, note = ("ready", note) if is_ready else ("not ready", words)
        all_ready &= state == "ready"
        colour = "green" if state == "ready" else "red"
        table.add_row(
            name,
            f"[{colour}]{state}[/{colour}]",
            _duration(time.time() - one.since),
            str(one.pid or ""),
            str(installation.ports.get(name, "")),
            str(_resident_mib(one.pid) or ""),
            str(one.restarts),
            note,
        )
    console.print(table)
    return all_ready


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _resident_mib(pid: int | None) -> int | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return pages * _PAGE_BYTES // 2**20
