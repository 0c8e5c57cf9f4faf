"""The life of a machine: which status may follow which."""

from collections.abc import Mapping
from typing import Literal, get_args

MinerStatus = Literal[
    "pending_approval",
    "active",
    "offline",
    "maintenance",
    "curtailed",
    "starting",
    "stopping",
    "retired",
]
MinerAction = Literal["start", "shutdown", "reboot"]
DeviceAction = Literal["sleep", "wake", "reboot"]

STATUSES: tuple[MinerStatus, ...] = get_args(MinerStatus)

TRANSITIONS: Mapping[MinerStatus, frozenset[MinerStatus]] = {
    "pending_approval": frozenset({"active", "retired"}),
    "active": frozenset({"offline", "maintenance", "stopping", "starting", "retired"}),
    "offline": frozenset({"active", "maintenance", "starting", "stopping", "retired"}),
    "maintenance": frozenset({"active", "offline", "retired"}),
    "curtailed": frozenset({"starting", "active", "offline", "maintenance", "retired"}),
    "starting": frozenset({"active", "curtailed", "offline", "stopping", "maintenance", "retired"}),
    "stopping": frozenset({"curtailed", "active", "offline", "starting", "maintenance", "retired"}),
    "retired": frozenset(),
}
"""Every pair that is not listed is refused with 409."""

ACTION_FROM: Mapping[MinerAction, frozenset[MinerStatus]] = {
    "start": frozenset({"curtailed", "offline", "stopping"}),
    "shutdown": frozenset({"active", "offline", "starting"}),
    "reboot": frozenset({"active", "offline"}),
}
"""From which status a person may order what. An offline machine may only be hard to reach."""

ACTION_TO: Mapping[MinerAction, MinerStatus] = {
    "start": "starting",
    "shutdown": "stopping",
    "reboot": "starting",
}

DEVICE_ACTION: Mapping[MinerAction, DeviceAction] = {
    "start": "wake",
    "shutdown": "sleep",
    "reboot": "reboot",
}

PROVEN_STATUS: Mapping[DeviceAction, MinerStatus] = {
    "sleep": "curtailed",
    "wake": "active",
    "reboot": "active",
}
"""What a machine is once telemetry has proven the command."""


def may_become(current: MinerStatus, following: MinerStatus) -> bool:
    """Return whether the status may change so; staying as it is changes nothing."""
    return following in TRANSITIONS[current]


def is_polled(status: MinerStatus, *, enabled: bool, removed: bool) -> bool:
    """Return whether telemetry polls a machine: approved, switched on in our books, not gone."""
    return enabled and not removed and status not in {"pending_approval", "retired"}
