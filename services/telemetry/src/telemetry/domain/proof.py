"""Has a command had its effect? The machine's own later answer decides, not its first word."""

from dataclasses import dataclass
from typing import Literal

from telemetry.domain.reading import Reading

Action = Literal["sleep", "wake", "reboot"]


@dataclass(frozen=True, slots=True)
class Power:
    """Watts, and whether they were estimated because the machine reports none."""

    watts: float | None
    estimated: bool


def is_proven(
    action: Action,
    reading: Reading,
    *,
    asleep_below_w: float,
    uptime_before_s: int | None,
    since_sent_s: float,
) -> bool:
    """Return whether a reading proves that the command has taken effect."""
    if not reading.outcome.has_values:
        return False
    if action == "reboot":
        uptime = reading.mining_uptime_s
        if uptime is None:
            return False
        return uptime < since_sent_s or (uptime_before_s is not None and uptime < uptime_before_s)
    hashes = _hashes(reading)
    if action == "wake":
        return hashes is True
    return hashes is False and (reading.power_w is None or reading.power_w < asleep_below_w)


def _hashes(reading: Reading) -> bool | None:
    rate = reading.hashrate_5s_ths
    if rate is not None:
        return rate > 0
    return reading.is_mining


def power_before(known: Reading | None, nameplate_w: float | None) -> Power:
    """Return what a machine drew before the command."""
    if known is not None and known.power_w is not None:
        return Power(known.power_w, bool(known.power_estimated))
    return Power(nameplate_w, estimated=True)


def power_after(action: Action, reading: Reading, nameplate_w: float | None) -> Power:
    """Return what a machine draws once the command is proven."""
    if reading.power_w is not None:
        return Power(reading.power_w, bool(reading.power_estimated))
    return Power(0.0 if action == "sleep" else nameplate_w, estimated=True)
