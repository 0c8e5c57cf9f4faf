"""The latest state of a machine as a row of `miner_state`."""

from typing import Any

import orjson

from telemetry.domain.reading import Reading
from telemetry.fleet.machine import Machine
from telemetry.samples.record import COUNTERS, MEASURED_COLUMNS

_NUMBERS = MEASURED_COLUMNS[2:-1]
_EMPTY: dict[str, Any] = dict.fromkeys(_NUMBERS) | {"fans_rpm": [], "power_estimated": False}


def numbers(reading: Reading | None) -> tuple[Any, ...]:
    """Return a reading's numbers in the order of the measured columns."""
    if reading is None:
        return tuple(_EMPTY.values())
    values = {name: getattr(reading, name) for name in _NUMBERS}
    values["fans_rpm"] = list(reading.fans_rpm)
    values["power_estimated"] = bool(reading.power_estimated)
    return tuple(values.values())


def state_row(machine: Machine) -> tuple[Any, ...]:
    """Return the row in the order of `STATE_COLUMNS`."""
    reading, known = machine.reading, machine.known
    answered = reading is not None and reading.outcome.answered
    return (
        machine.id,
        answered,
        machine.sampled_at,
        machine.outcome,
        *numbers(reading),
        list(machine.flags),
        reading.firmware if reading else None,
        reading.model if reading else None,
        reading.mac if reading else None,
        _json(reading.pools if reading else ()),
        _json(list(reading.error_codes) if reading else []),
        machine.known_at,
        _hashrate(known),
        known.power_w if known else None,
        bool(known and known.power_estimated),
        known.mining_uptime_s if known else None,
        _json({name: getattr(known, name) for name in COUNTERS} if known else {}),
        machine.presence.silent_slots,
        machine.curtailed_since,
        machine.ramping_until,
        _json(
            {
                name: (watch.firing, watch.bad_bits, watch.good_run)
                for name, watch in machine.watches.items()
            }
        ),
        machine.capabilities.family,
    )


def _hashrate(reading: Reading | None) -> float | None:
    if reading is None:
        return None
    if reading.hashrate_5s_ths is not None:
        return reading.hashrate_5s_ths
    return reading.hashrate_avg_ths


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
