"""Closing a half-hour: what a miner used, what it hashed, how it was, and why.

Between samples the last reading is held, for a few missing slots at most. What lies beyond that is
absent: never zero, never the nameplate. `coverage` says how much of the half-hour is known, and
a bill stands on nothing less.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

State = Literal["hashing", "curtailed", "idle", "offline", "unknown"]
Cause = Literal["maintenance", "host_fault", "customer_fault", "grid", "economic"]

_CAUSES: tuple[Cause, ...] = ("host_fault", "customer_fault", "grid", "maintenance", "economic")
"""Of two causes that cover as much, the one further left is taken."""
_WORST_FIRST: tuple[State, ...] = ("unknown", "offline", "idle", "curtailed", "hashing")


@dataclass(frozen=True, slots=True)
class SlotReading:
    """What is stored for one slot; `slot` counts from the start of the half-hour, may be < 0."""

    slot: int
    up: bool
    power_w: float | None
    hashrate_ths: float | None


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of the half-hour with a known cause, in slots: `[first, last)`."""

    first: float
    last: float
    cause: Cause
    curtailed: bool = False
    """True: the machine slept by our own order."""


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One miner's row in the ledger."""

    kwh: float | None
    th_h: float | None
    """Work done, in terahash per second times hours."""
    state: State
    cause: Cause | None
    coverage: float


def close_half_hour(
    readings: Sequence[SlotReading],
    intervals: Sequence[Interval],
    *,
    slots: int,
    slot_hours: float,
    hold_slots: int,
) -> HalfHour:
    """Return the row of one miner and half-hour.

    `readings` are in the order of their slots and begin up to `hold_slots` before the start, so
    that a reading can be held over the boundary.
    """
    by_slot = {reading.slot: reading for reading in readings}
    powers = _held({r.slot: r.power_w for r in readings}, slots=slots, hold_slots=hold_slots)
    rates = _held({r.slot: r.hashrate_ths for r in readings}, slots=slots, hold_slots=hold_slots)
    states: list[State] = [
        _state(by_slot.get(slot), rates[slot], _is_curtailed(slot, intervals))
        for slot in range(slots)
    ]
    known = [power for power in powers if power is not None]
    hashed = [rate for rate in rates if rate is not None]
    return HalfHour(
        kwh=sum(known) * slot_hours / 1000 if known else None,
        th_h=sum(hashed) * slot_hours if hashed else None,
        state=_prevailing(states),
        cause=_cause(states, intervals),
        coverage=len(known) / slots,
    )


def with_cause(row: HalfHour, intervals: Sequence[Interval], *, slots: int) -> HalfHour:
    """Return a row that is known only as a whole, with the cause of what it did not work.

    Curtailment that was told as a state is by order, as that which was seen in the slots.
    """
    if row.state == "curtailed":
        intervals = [Interval(0, slots, "economic", curtailed=True), *intervals]
    states: list[State] = [row.state] * slots
    return replace(row, cause=_cause(states, intervals))


def _held(values: dict[int, float | None], *, slots: int, hold_slots: int) -> list[float | None]:
    """Return a value per slot, each held over at most `hold_slots` missing ones."""
    held: list[float | None] = []
    last: float | None = None
    missing = hold_slots + 1
    for slot in range(-hold_slots, slots):
        value = values.get(slot)
        if value is not None:
            last, missing = value, 0
        else:
            missing += 1
        if slot >= 0:
            held.append(last if missing <= hold_slots else None)
    return held


def _is_curtailed(slot: int, intervals: Sequence[Interval]) -> bool:
    return any(i.curtailed and i.first <= slot + 0.5 < i.last for i in intervals)


def _state(reading: SlotReading | None, held_rate: float | None, curtailed: bool) -> State:  # noqa: FBT001  (private)
    if reading is None and held_rate is None:
        return "unknown"
    if reading is not None and not reading.up and held_rate is None:
        return "offline"
    if held_rate:
        return "hashing"
    return "curtailed" if curtailed else "idle"


def _prevailing(states: Sequence[State]) -> State:
    """Return the most frequent state; of equally frequent ones the worst."""
    counts = Counter(states)
    return max(_WORST_FIRST, key=lambda state: (counts[state], -_WORST_FIRST.index(state)))


def _cause(states: Sequence[State], intervals: Sequence[Interval]) -> Cause | None:
    """Return the cause that covers most of the slots without work."""
    excused = Counter[Cause]()
    for slot, state in enumerate(states):
        if state != "hashing":
            excused.update({i.cause for i in intervals if i.first <= slot + 0.5 < i.last})
    if not excused:
        return None
    return max(_CAUSES, key=lambda cause: excused[cause])
