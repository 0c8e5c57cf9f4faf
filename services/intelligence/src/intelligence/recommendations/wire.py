"""What passes between the service and its solver processes: a short header, then the columns."""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from intelligence.domain.shedding import Flags, Fleet

LENGTH: Final = struct.Struct("<Q")
_HEADER: Final = struct.Struct("<QQdd")
NOTHING_FOUND: Final = b""


@dataclass(frozen=True, slots=True)
class Task:
    """One selection to make."""

    fleet: Fleet
    target_w: float
    time_limit_s: float


def encode(task: Task) -> bytes:
    """Return the bytes of a task."""
    fleet = task.fleet
    header = _HEADER.pack(len(fleet.power_w), len(fleet.cap_w), task.target_w, task.time_limit_s)
    columns = (fleet.power_w, fleet.loss, fleet.group, fleet.cap_w)
    return header + b"".join(column.tobytes() for column in columns)


def decode(message: bytes) -> Task:
    """Return the task of these bytes."""
    machines, groups, target_w, time_limit_s = _HEADER.unpack_from(message)
    place = _HEADER.size
    power_w = np.frombuffer(message, np.float64, machines, place)
    loss = np.frombuffer(message, np.float64, machines, place + 8 * machines)
    group = np.frombuffer(message, np.int64, machines, place + 16 * machines)
    cap_w = np.frombuffer(message, np.float64, groups, place + 24 * machines)
    return Task(Fleet(power_w, loss, group, cap_w), target_w, time_limit_s)


def encode_choice(stopped: Flags | None) -> bytes:
    """Return one byte per machine; nothing at all where nothing was found."""
    return NOTHING_FOUND if stopped is None else stopped.tobytes()


def decode_choice(message: bytes) -> Flags | None:
    """Return the choice of these bytes."""
    return None if message == NOTHING_FOUND else np.frombuffer(message, np.bool_)
