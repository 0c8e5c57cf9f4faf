"""Which machines a plan may stop at all, and what a stop takes off the meter."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

SkipReason = Literal[
    "in_another_plan",
    "maintenance",
    "not_running",
    "unsupported_firmware",
    "no_telemetry",
    "stale_telemetry",
    "no_power",
]

# Stock bmminer answers on port 4028 read-only: it cannot be stopped and reports no watts.
STOPPABLE_FIRMWARE: frozenset[str] = frozenset({"luxos", "whatsminer"})


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the site with its latest reading, if it has one."""

    miner_id: UUID
    status: str
    firmware: str | None
    group: str | None
    in_another_plan: bool
    hashrate_ths: float | None = None
    power_w: float | None = None
    power_estimated: bool = False
    sampled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A machine that may be stopped, and what stopping it takes off the meter."""

    miner_id: UUID
    group: str | None
    hashrate_ths: float
    power_w: float
    sheddable_w: float
    power_estimated: bool
    sampled_at: datetime


@dataclass(frozen=True, slots=True)
class Skipped:
    """A machine that the plan leaves alone, and why."""

    miner_id: UUID
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Screening:
    """The site's machines, parted into those a plan may stop and those it may not."""

    candidates: Sequence[Candidate]
    skipped: Sequence[Skipped]

    @property
    def maximum_w(self) -> float:
        return sum(candidate.sheddable_w for candidate in self.candidates)

    def skipped_by_reason(self) -> dict[str, int]:
        return dict(Counter(skipped.reason for skipped in self.skipped))


def screen(
    machines: Iterable[Machine], *, now: datetime, max_age: timedelta, sleep_power_w: float
) -> Screening:
    """Part the machines into candidates and skipped ones.

    A sleeping machine still burns `sleep_power_w` for fans and control board, so a stop takes
    less off the meter than the machine draws; only the difference counts towards a target.
    """
    candidates: list[Candidate] = []
    skipped: list[Skipped] = []
    oldest = now - max_age
    for machine in machines:
        reason = _standing(machine)
        verdict = reason or _measured(machine, oldest, sleep_power_w)
        if isinstance(verdict, Candidate):
            candidates.append(verdict)
        else:
            skipped.append(Skipped(machine.miner_id, verdict))
    return Screening(candidates, skipped)


def _standing(machine: Machine) -> SkipReason | None:
    if machine.in_another_plan:
        return "in_another_plan"
    if machine.status == "maintenance":
        return "maintenance"
    if machine.status != "active":
        return "not_running"
    return None if _stoppable(machine) else "unsupported_firmware"


def _stoppable(machine: Machine) -> bool:
    if machine.firmware is None:
        # Nobody told us the firmware; one that reports watts of its own is not the stock one.
        return machine.power_w is not None and not machine.power_estimated
    return machine.firmware in STOPPABLE_FIRMWARE


def _measured(machine: Machine, oldest: datetime, sleep_power_w: float) -> Candidate | SkipReason:
    if machine.sampled_at is None:
        return "no_telemetry"
    if machine.sampled_at < oldest:
        return "stale_telemetry"
    if machine.power_w is None or machine.power_w <= sleep_power_w or not machine.hashrate_ths:
        return "no_power"
    return Candidate(
        miner_id=machine.miner_id,
        group=machine.group,
        hashrate_ths=machine.hashrate_ths,
        power_w=machine.power_w,
        sheddable_w=machine.power_w - sleep_power_w,
        power_estimated=machine.power_estimated,
        sampled_at=machine.sampled_at,
    )
