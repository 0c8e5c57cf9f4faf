"""Rules of a curtailment plan: its life, its outcome, the pace of its recovery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeVar

PlanStatus = Literal[
    "pending",
    "approved",
    "executing",
    "executed",
    "partially_executed",
    "failed",
    "restoring",
    "completed",
    "cancelled",
]
PlanType = Literal["manual", "scheduled", "automatic"]
PlanAction = Literal["approve", "cancel", "restore"]

PLAN_TRANSITIONS: Mapping[PlanStatus, frozenset[PlanStatus]] = {
    "pending": frozenset({"approved", "cancelled"}),
    "approved": frozenset({"executing", "cancelled"}),
    "executing": frozenset({"executed", "partially_executed", "failed", "restoring"}),
    "executed": frozenset({"restoring"}),
    "partially_executed": frozenset({"restoring"}),
    "failed": frozenset({"restoring"}),
    "restoring": frozenset({"completed"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
}

# What a person's word means in each status; a status that is not named here refuses it.
PLAN_ACTIONS: Mapping[PlanAction, Mapping[PlanStatus, PlanStatus]] = {
    "approve": {"pending": "approved"},
    "cancel": {"pending": "cancelled", "approved": "cancelled", "executing": "restoring"},
    "restore": {
        "executing": "restoring",
        "executed": "restoring",
        "partially_executed": "restoring",
        "failed": "restoring",
    },
}

_PAST_TENSE: Mapping[PlanAction, str] = {
    "approve": "approved",
    "cancel": "cancelled",
    "restore": "restored",
}

# While a plan is in one of these it wants its machines down.
HOLDING: frozenset[PlanStatus] = frozenset(
    {"executing", "executed", "partially_executed", "failed"}
)

WATTS_PER_MEGAWATT = 1_000_000

_Item = TypeVar("_Item")


class UndeclaredTransition(Exception):
    """The plan's table has no such step."""

    def __init__(self, status: PlanStatus, wanted: str) -> None:
        super().__init__(f"A plan that is {status} cannot be {wanted}.")
        self.status = status
        self.wanted = wanted


def moved(status: PlanStatus, wanted: PlanStatus) -> PlanStatus:
    """Return the new status, or raise when the table does not declare the step."""
    if wanted not in PLAN_TRANSITIONS[status]:
        raise UndeclaredTransition(status, wanted)
    return wanted


def acted(status: PlanStatus, action: PlanAction) -> PlanStatus:
    """Return what the action makes of a plan in this status."""
    wanted = PLAN_ACTIONS[action].get(status)
    if wanted is None:
        raise UndeclaredTransition(status, _PAST_TENSE[action])
    return moved(status, wanted)


def megawatts_to_watts(megawatts: Decimal) -> float:
    """Convert what a person asks for into what a socket measures: 6 MW are 6,000,000 W."""
    return float(megawatts * WATTS_PER_MEGAWATT)


def watts_to_megawatts(watts: float) -> Decimal:
    """Convert watts into megawatts, to the watt."""
    return Decimal(round(watts)) / WATTS_PER_MEGAWATT


@dataclass(frozen=True, slots=True)
class Progress:
    """What a plan's targets add up to."""

    proven_w: float
    proven_estimated_w: float
    confirmed: int
    outstanding: int  # ordered, neither proven nor given up

    @property
    def reduced_w(self) -> float:
        return self.proven_w + self.proven_estimated_w


def outcome(progress: Progress, target_w: float) -> PlanStatus | None:
    """Judge an executing plan; None while it may still reach its target.

    Reported and estimated watts count alike, so success is judged on their sum. A plan whose
    target is met is executed at once: the machines still outstanding are a bonus.
    """
    if progress.confirmed and progress.reduced_w >= target_w:
        return "executed"
    if progress.outstanding:
        return None
    return "partially_executed" if progress.confirmed else "failed"


Chore = Literal["start", "restore", "wake", "watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the scheduler needs to know of a plan."""

    status: PlanStatus
    scheduled_time: datetime
    ends_at: datetime | None
    next_restore_at: datetime | None
    watched_at: datetime | None
    miners_affected: int


def chore(plan: Standing, now: datetime, watch_every: timedelta) -> Chore | None:
    """Return what is due to be done for the plan, the most urgent first."""
    if plan.status == "approved":
        return "start" if plan.scheduled_time <= now else None
    if plan.status == "restoring":
        return "wake" if plan.next_restore_at is None or plan.next_restore_at <= now else None
    if plan.status not in HOLDING:
        return None
    if plan.ends_at is not None and plan.ends_at <= now and _has_an_end(plan):
        return "restore"
    watched = plan.watched_at is not None and plan.watched_at + watch_every > now
    return None if watched or not _has_an_end(plan) else "watch"


def _has_an_end(plan: Standing) -> bool:
    return plan.status == "executing" or plan.miners_affected > 0


@dataclass(frozen=True, slots=True)
class RestorePace:
    """How fast machines come back: a site that wakes at once trips its breakers."""

    batch_size: int
    interval: timedelta

    def next_at(self, now: datetime) -> datetime:
        return now + self.interval

    def batches_for(self, machines: int) -> int:
        return -(-machines // self.batch_size)

    def last_batch_at(self, now: datetime, machines: int) -> datetime:
        """Return when the last batch is ordered if the first one leaves now."""
        return now + max(self.batches_for(machines) - 1, 0) * self.interval


def in_batches(items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    """Cut the items into runs of at most `size`, in order."""
    return [items[start : start + size] for start in range(0, len(items), size)]
