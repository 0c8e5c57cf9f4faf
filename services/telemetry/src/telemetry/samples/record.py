"""One result of one poll, on its way to the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from telemetry.fleet.machine import Machine

COUNTERS = ("accepted", "rejected", "stale", "hardware_errors")


@dataclass(frozen=True, slots=True)
class Record:
    """A row of `sample`, with the machine whose state it changes."""

    machine: Machine
    slot: int | None
    """None: an extra poll, as for a command's proof; it changes the state and is no sample."""
    row: tuple[Any, ...]
    """In the order of `SAMPLE_COLUMNS`."""
    sampled_at: datetime


MEASURED_COLUMNS = (
    "sampled_at",
    "outcome",
    "hashrate_5s_ths",
    "hashrate_avg_ths",
    "hashrate_30m_ths",
    "power_w",
    "power_estimated",
    "chip_temp_max_c",
    "board_temp_max_c",
    "inlet_temp_c",
    "fans_rpm",
    "boards",
    "chips",
    "hardware_errors",
    "accepted",
    "rejected",
    "stale",
    "mining_uptime_s",
    "is_mining",
    "flags",
)
SAMPLE_COLUMNS = (
    "miner_id",
    "slot",
    "up",
    "late",
    *MEASURED_COLUMNS,
    *(f"{name}_delta" for name in COUNTERS),
)
STATE_COLUMNS = (
    "miner_id",
    "up",
    *MEASURED_COLUMNS,
    "firmware",
    "model",
    "mac",
    "pools",
    "error_codes",
    "known_at",
    "known_hashrate_ths",
    "known_power_w",
    "known_power_estimated",
    "known_uptime_s",
    "known_counters",
    "silent_slots",
    "curtailed_since",
    "ramping_until",
    "watches",
    "family",
)
