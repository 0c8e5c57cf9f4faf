"""What counters that start again say about the time between two readings."""

from collections.abc import Iterable
from dataclasses import dataclass

from telemetry.domain.reading import Flag, Reading


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of one reading, and the clock they run on."""

    accepted: int | None = None
    rejected: int | None = None
    stale: int | None = None
    hardware_errors: int | None = None
    mining_uptime_s: int | None = None


@dataclass(frozen=True, slots=True)
class Deltas:
    """What was counted since the reading before; None where that cannot be told."""

    accepted: int | None = None
    rejected: int | None = None
    stale: int | None = None
    hardware_errors: int | None = None
    restarted: bool = False
    flags: tuple[Flag, ...] = ()


def counters_of(reading: Reading) -> Counters:
    """Return the counters of a reading, for the next one to be compared with."""
    return Counters(
        accepted=reading.accepted,
        rejected=reading.rejected,
        stale=reading.stale,
        hardware_errors=reading.hardware_errors,
        mining_uptime_s=reading.mining_uptime_s,
    )


def deltas(before: Counters | None, now: Counters) -> Deltas:
    """Return what was counted between two readings; never a negative number.

    The counters of a miner start again together: when its uptime fell and any of them is lower,
    each counts from zero. A counter that is lower although the uptime grew says nothing, and is
    flagged. Without a reading before there is nothing to tell.
    """
    if before is None:
        return Deltas()
    restarted = _fell(before.mining_uptime_s, now.mining_uptime_s)
    pairs = (
        (before.accepted, now.accepted),
        (before.rejected, now.rejected),
        (before.stale, now.stale),
        (before.hardware_errors, now.hardware_errors),
    )
    lower = any(_fell(*pair) for pair in pairs)
    accepted, rejected, stale, hardware_errors = _each(pairs, from_zero=restarted and lower)
    return Deltas(
        accepted=accepted,
        rejected=rejected,
        stale=stale,
        hardware_errors=hardware_errors,
        restarted=restarted,
        flags=(Flag.COUNTER_WENT_BACK,) if lower and not restarted else (),
    )


def _fell(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now < before


def _each(pairs: Iterable[tuple[int | None, int | None]], *, from_zero: bool) -> list[int | None]:
    found: list[int | None] = []
    for before, now in pairs:
        if now is None or from_zero:
            found.append(now)
        else:
            found.append(None if before is None or now < before else now - before)
    return found
