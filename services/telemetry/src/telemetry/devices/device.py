"""The values that pass between the caller of a poll or a command and the miner's adapters."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from telemetry.domain.reading import Family, Identity

IDENTITY_MAX_AGE_S = 6 * 3600.0
JOIN_MAX_AGE_S = 24 * 3600.0
NEVER = float("-inf")
NOBODY = Identity()


class Action(StrEnum):
    """What a miner can be told to do."""

    SLEEP = "sleep"
    WAKE = "wake"
    REBOOT = "reboot"


class CommandState(StrEnum):
    """What became of one command at the miner's socket."""

    ACCEPTED = "accepted"
    ACCEPTED_UNCONFIRMED = "accepted_unconfirmed"  # sent, the answer was lost: telemetry decides
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Device:
    """A miner on the wire. The address is an IP literal; names are never resolved.

    A firmware of None, or one that is not a `Family`, is found out by the first poll.
    """

    address: str
    port: int
    firmware: str | None = None
    nameplate_hashrate_ths: float | None = None


@dataclass(slots=True)  # not frozen, for speed: every poll makes one
class Capabilities:
    """What polls have learned about a miner; the caller keeps it from one poll to the next.

    Times are on the clock of `Limits.monotonic`. An empty value only costs the next poll a few
    more questions, so it need not survive a restart.
    """

    learned_from: tuple[str, int, str | None] | None = None
    family: Family | None = None
    joins: bool | None = None
    joins_learned_at: float = NEVER
    identity: Identity = NOBODY
    identity_learned_at: float = NEVER
    mining_uptime_s: int | None = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The miner's word on a command, with a sentence about why when it did not take it."""

    state: CommandState
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class PollPlan:
    """The reports that make a reading of one family's miner.

    Those for the identity are asked for seldom, some of them on a connection of their own.
    """

    every_time: tuple[str, ...]
    for_identity: tuple[str, ...] = ("version",)
    for_identity_alone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds after the start of an exchange by which each part of it must have happened."""

    connect_s: float = 2.0
    first_byte_s: float = 4.0
    whole_s: float = 8.0
    own_lag_s: float = 0.5
    """A deadline noticed later than this says more about our loop than about the miner."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient a poll is, and where its clocks and dice come from."""

    deadlines: Deadlines = field(default_factory=Deadlines)
    retry_after_s: tuple[float, float] = (0.5, 2.0)
    uniform: Callable[[float, float], float] = random.uniform
    wall_clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


DEADLINES = Deadlines()
LIMITS = Limits()
