"""Rules of one machine inside a plan: what each answer from the field makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hosting.domain.miner_status import MinerStatus

TargetState = Literal[
    "pending",
    "dispatching",
    "dispatched",
    "confirmed",
    "drifted",
    "unavailable",
    "resolved",
    "released",
    "restore_failed",
]
DesiredState = Literal["curtailed", "active"]
CommandState = Literal[
    "accepted", "verified", "unverified", "refused", "unreachable", "unsupported", "expired"
]

TARGET_TRANSITIONS: Mapping[TargetState, frozenset[TargetState]] = {
    "pending": frozenset({"dispatching", "unavailable", "released"}),
    "dispatching": frozenset(
        {"dispatched", "confirmed", "unavailable", "resolved", "restore_failed"}
    ),
    "dispatched": frozenset(
        {"dispatching", "confirmed", "unavailable", "resolved", "restore_failed"}
    ),
    "confirmed": frozenset({"drifted", "dispatching"}),
    "drifted": frozenset({"dispatching"}),
    "unavailable": frozenset({"dispatching", "dispatched", "confirmed", "released", "resolved"}),
    "resolved": frozenset(),
    "released": frozenset(),
    # The machine may come back by itself or by hand after we gave it up; proof is proof.
    "restore_failed": frozenset({"resolved"}),
}

OUTSTANDING: frozenset[TargetState] = frozenset({"dispatching", "dispatched", "drifted"})
SETTLED: frozenset[TargetState] = frozenset({"resolved", "released", "restore_failed"})

# Answers after which the machine has certainly not obeyed: there is nothing to wake later.
# `unverified` is not among them: the miner took the order, only the proof is missing.
UNTOUCHED: frozenset[CommandState] = frozenset({"refused", "unreachable", "unsupported", "expired"})

_STOPPING: Mapping[CommandState, TargetState] = {
    "accepted": "dispatched",
    "verified": "confirmed",
    "unverified": "unavailable",
    "refused": "unavailable",
    "unreachable": "unavailable",
    "unsupported": "unavailable",
    "expired": "unavailable",
}
_MINER_STATUS: Mapping[tuple[DesiredState, TargetState], MinerStatus] = {
    ("curtailed", "dispatched"): "stopping",
    ("curtailed", "unavailable"): "stopping",  # it took the order, only the proof is missing
    ("curtailed", "confirmed"): "curtailed",
    ("active", "dispatched"): "starting",
    ("active", "resolved"): "active",
    # It would not wake: it sleeps on, and a person sees that it does.
    ("active", "restore_failed"): "curtailed",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What an answer does to a target."""

    state: TargetState
    may_be_down: bool
    wake_again: bool = False  # the wake order failed and another try is left


def stop_answered(state: TargetState, may_be_down: bool, answer: CommandState) -> Step | None:  # noqa: FBT001  a field of the row, like the state beside it
    """Return what an answer to the stop order makes of the target; None when it changes nothing."""
    wanted = _STOPPING[answer]
    if wanted not in TARGET_TRANSITIONS[state]:
        return None
    return Step(wanted, may_be_down=may_be_down and answer not in UNTOUCHED)


def wake_answered(state: TargetState, answer: CommandState, tries_left: int) -> Step | None:
    """Return what an answer to the wake order makes of the target; None when it changes nothing."""
    if answer == "verified":
        wanted: TargetState = "resolved"
    elif answer == "accepted":
        wanted = "dispatched"
    elif tries_left > 0:
        return Step(state, may_be_down=True, wake_again=True) if state in OUTSTANDING else None
    else:
        wanted = "restore_failed"
    if wanted not in TARGET_TRANSITIONS[state]:
        return None
    return Step(wanted, may_be_down=wanted != "resolved")


def needs_wake(state: TargetState, *, may_be_down: bool) -> bool:
    """Tell whether recovery has to order this machine on, or may let go of it."""
    return may_be_down and state not in SETTLED


def miner_status(
    desired: DesiredState, state: TargetState, *, may_be_down: bool
) -> MinerStatus | None:
    """Return the status the machine shows while its target is so; None leaves it as it is."""
    if state in {"unavailable", "released"} and not may_be_down:
        return "active"
    return _MINER_STATUS.get((desired, state))
