"""What the supervisor says about itself: one small file, replaced whole at every change."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Phase = Literal["starting", "ready", "stopping", "failed", "stopped"]
State = Literal["waiting", "starting", "ready", "backing off", "held", "stopping", "stopped"]


@dataclass(slots=True)
class Step:
    """One part of the start."""

    title: str
    began: float
    seconds: float | None = None


@dataclass(slots=True)
class ProgramStatus:
    """How one program is doing."""

    state: State = "waiting"
    pid: int | None = None
    restarts: int = 0
    since: float = 0.0
    note: str = ""


@dataclass(slots=True)
class Status:
    """The supervisor's whole report."""

    phase: Phase = "starting"
    message: str = ""
    steps: list[Step] = field(default_factory=list[Step])
    programs: dict[str, ProgramStatus] = field(default_factory=dict[str, ProgramStatus])

    def write(self, directory: Path) -> None:
        """Replace the file, so that a reader never sees half of it."""
        fresh = directory / "status.new"
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(directory / "status.json")


def read(directory: Path) -> Status | None:
    """Return the last report, None when there is none."""
    try:
        kept = json.loads((directory / "status.json").read_text())
    except FileNotFoundError:
        return None
    return Status(
        phase=kept["phase"],
        message=kept["message"],
        steps=[Step(**step) for step in kept["steps"]],
        programs={name: ProgramStatus(**one) for name, one in kept["programs"].items()},
    )
