"""From an answer to a row: what one poll changes in what is known of a machine."""

from datetime import datetime, timedelta

from telemetry.domain.alarm import Rule, Watch
from telemetry.domain.counters import Deltas, counters_of, deltas
from telemetry.domain.presence import Sign, probe_distance
from telemetry.domain.reading import Flag, Outcome, Reading
from telemetry.domain.slots import Slots
from telemetry.fleet.machine import Machine
from telemetry.samples.record import COUNTERS, Record
from telemetry.samples.state import numbers
from telemetry.settings import Settings

NOT_PERMITTED = "not_permitted"
"""Outcome of a machine that is not contacted because its site does not allow its address."""
NOT_PROBED = "not_probed"
"""Flag of a row that stands for a silent miner between two probes."""

OFFLINE = Rule(name="offline", severity="critical", enter=1, leave=0, needed=1, of=1, above=True)
LOW_HASHRATE = Rule(
    name="low_hashrate", severity="warning", enter=0.85, leave=0.92, needed=3, of=5, above=False
)
TEMPERATURE = Rule(
    name="temperature", severity="critical", enter=0, leave=-5, needed=2, of=3, above=True
)
_NOTHING = Deltas()
RULES = {rule.name: rule for rule in (OFFLINE, LOW_HASHRATE, TEMPERATURE)}


class Observer:
    """Applies answers to machines. It writes nothing; the record that it returns is written."""

    def __init__(self, settings: Settings, slots: Slots) -> None:
        self._settings = settings
        self._slots = slots

    def observe(
        self, machine: Machine, reading: Reading, *, slot: int | None, at: datetime
    ) -> Record:
        """Note an answer (or the lack of one) and return its row.

        `slot` is None for an extra poll: silence then proves nothing, an answer does.
        """
        moved = self._learn(machine, reading, slot, at)
        sign: Sign = "up" if reading.outcome.answered else "silent"
        if reading.outcome is Outcome.INCONCLUSIVE or (slot is None and sign == "silent"):
            sign = "inconclusive"
        was_online = machine.presence.online
        machine.presence = machine.presence.after(sign, limit=self._settings.silent_slots)
        if slot is not None:
            distance = probe_distance(
                machine.presence.silent_slots, limit=self._settings.silent_slots
            )
            machine.probe_slot = slot + distance
        if moved.restarted or (was_online is False and machine.presence.online):
            machine.ramping_until = at + timedelta(seconds=self._settings.ramp_seconds)
        self._watch(machine, reading, at)
        machine.reading, machine.sampled_at = reading, at
        machine.outcome = reading.outcome.value
        machine.flags = [flag.value for flag in {*reading.flags, *moved.flags}]
        late = slot is not None and self._is_late(machine, slot, at)
        return _record(machine, slot, self._slots, up=sign == "up", late=late, moved=moved)

    def not_probed(self, machine: Machine, *, slot: int, at: datetime) -> Record:
        """Return the row of a silent miner that is not contacted in this slot."""
        machine.presence = machine.presence.after("silent", limit=self._settings.silent_slots)
        machine.reading, machine.sampled_at, machine.flags = None, at, [NOT_PROBED]
        return _record(machine, slot, self._slots, up=False, late=False)

    def not_permitted(self, machine: Machine, *, slot: int, at: datetime) -> Record:
        """Return the row of a miner whose address its site does not allow: no verdict on it."""
        machine.reading, machine.sampled_at, machine.flags = None, at, []
        machine.outcome = NOT_PERMITTED
        return _record(machine, slot, self._slots, up=False, late=False)

    def _is_late(self, machine: Machine, slot: int, at: datetime) -> bool:
        due_s = self._slots.due_s(machine.id, slot)
        return at.timestamp() - due_s > self._slots.length_s / 4

    def _learn(self, machine: Machine, reading: Reading, slot: int | None, at: datetime) -> Deltas:
        """Keep what the miner says; return how far its counters moved since the last sample."""
        if not reading.outcome.has_values:
            return Deltas()
        machine.known, machine.known_at = reading, at
        counters = counters_of(reading)
        moved = deltas(machine.counters, counters)
        if slot is not None:
            machine.counters = counters
        return moved

    def _watch(self, machine: Machine, reading: Reading, at: datetime) -> None:
        ramping = machine.ramping_until is not None and at < machine.ramping_until
        excused = machine.curtailed_since is not None or ramping
        online = machine.presence.online
        self._step(machine, OFFLINE, None if online is None else float(not online), None, 1.0)
        rated = machine.nameplate_hashrate_ths
        rate = reading.hashrate_5s_ths
        if rate is None:
            rate = reading.hashrate_avg_ths
        share = rate / rated if rate is not None and rated else None
        if Flag.IMPLAUSIBLE in reading.flags:
            share = None  # a unit slip must not clear an alert, nor raise one
        threshold = rated * LOW_HASHRATE.enter if rated else None
        self._step(machine, LOW_HASHRATE, share, rate, threshold, suppressed=excused)
        excess, value, limit = self._heat(reading)
        self._step(machine, TEMPERATURE, excess, value, limit)

    def _heat(self, reading: Reading) -> tuple[float | None, float | None, float | None]:
        """Return by how much the hottest part is over its limit, its temperature, the limit."""
        parts = [
            (value - limit, value, limit)
            for value, limit in (
                (reading.chip_temp_max_c, self._settings.hot_chip_c),
                (reading.board_temp_max_c, self._settings.hot_board_c),
            )
            if value is not None
        ]
        return max(parts, default=(None, None, None), key=lambda part: part[0])

    def _step(
        self,
        machine: Machine,
        rule: Rule,
        observed: float | None,
        value: float | None,
        threshold: float | None,
        *,
        suppressed: bool = False,
    ) -> None:
        before = machine.watches.get(rule.name, Watch())
        machine.watches[rule.name] = before.after(rule, observed, suppressed=suppressed)
        if observed is not None:
            machine.alarm_values[rule.name] = (value, threshold)


def _record(
    machine: Machine,
    slot: int | None,
    slots: Slots,
    *,
    up: bool,
    late: bool,
    moved: Deltas = _NOTHING,
) -> Record:
    at = machine.sampled_at
    assert at is not None, "the caller has just set it"
    return Record(
        machine=machine,
        slot=slot,
        row=(
            machine.id,
            slots.start(slot) if slot is not None else at,
            up,
            late,
            at,
            machine.outcome,
            *numbers(machine.reading),
            machine.flags,
            *(getattr(moved, name) for name in COUNTERS),
        ),
        sampled_at=at,
    )
