"""What the processes of a system hold in memory, watched from outside."""

from pathlib import Path
from statistics import median
from threading import Event as Flag
from threading import Thread
from typing import Self

from tests.running import System

from launcher.installation import SERVICES

_EVERY_S = 5.0
_KB_PER_MB = 1024


class Memory:
    """Notes each service's resident memory every few seconds."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._stop = Flag()
        self._thread = Thread(target=self._watch, name="memory")
        self.noted_mb: dict[str, list[float]] = {name: [] for name in SERVICES}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def peak_mb(self) -> dict[str, float]:
        """Return the most that was seen of each service."""
        return {name: max(noted) for name, noted in self.noted_mb.items()}

    def growth_mb(self) -> dict[str, float]:
        """Return how much more the last third holds than the middle one; the first warms up."""
        return {name: _growth(noted) for name, noted in self.noted_mb.items()}

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            for name, noted in self.noted_mb.items():
                noted.append(resident_mb(self._system.stack.pid(name)))


def resident_mb(pid: int) -> float:
    """Return a process's resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith("VmRSS:"))
    return int(found.split()[1]) / _KB_PER_MB


def _growth(noted: list[float]) -> float:
    third = len(noted) // 3
    return median(noted[-third:]) - median(noted[third:-third])
