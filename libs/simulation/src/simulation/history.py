"""A believable past: what each miner would have used and hashed, half-hour by half-hour.

Everything follows from the unit and the time, so that the same days are told the same
way however often, and from whichever day, one asks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

from simulation.inventory import Unit

HALF_HOUR = timedelta(minutes=30)
HistoryState = Literal["hashing", "curtailed", "offline"]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FAILURES_PER_DAY = 0.012  # a miner is away about once in three months
LONGEST_FAILURE_DAYS = 0.5
PEAK_DAY_SHARE = 0.3  # of days, those with a dear evening that the site answers
PEAK_HOURS = (17.0, 20.0)
CURTAILED_SHARE = 0.4  # of the fleet, on such an evening: the least efficient part


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One miner's aggregate; what was not seen is None, never zero."""

    starts_at: datetime
    serial_number: str
    kwh: float | None
    th_h: float | None
    state: HistoryState
    coverage: float


def history(
    miners: Sequence[Unit], days: int, slot: timedelta = HALF_HOUR, *, until: datetime
) -> Iterator[HalfHour]:
    """Yield the aggregates of every miner for the days before `until`, oldest slot first.

    `until` is cut to a whole slot. Slots of one start come together, in fleet order.
    """
    slot_s = slot.total_seconds()
    end_s = until.timestamp() // slot_s * slot_s
    fleet = _Columns(miners)
    for number in range(round(days * 86400 / slot_s)):
        starts_s = end_s - days * 86400 + number * slot_s
        yield from fleet.slot(starts_s, slot_s, until)


class _Columns:
    """The fleet as arrays, one entry per miner."""

    def __init__(self, miners: Sequence[Unit]) -> None:
        self._serial_numbers = [unit.serial_number for unit in miners]
        self._power_w: Floats = np.array([unit.power_w for unit in miners])
        self._hashrate_ths: Floats = np.array([unit.hashrate_ths for unit in miners])
        self._sleep_w: Floats = np.array([unit.sleep_w for unit in miners])
        self._phase: Floats = np.array([unit.phase for unit in miners])
        joules_per_th = self._power_w / self._hashrate_ths
        worst = np.quantile(joules_per_th, 1 - CURTAILED_SHARE) if miners else 0.0
        self._shed_first: Flags = joules_per_th >= worst

    def slot(self, starts_s: float, slot_s: float, until: datetime) -> Iterator[HalfHour]:
        starts_at = datetime.fromtimestamp(starts_s, until.tzinfo)
        away = self._away(starts_s / 86400)
        curtailed = self._shed_first & _is_peak(starts_s)
        wave = np.sin(starts_s / 5000 + self._phase)
        watts = np.where(curtailed, self._sleep_w, self._power_w * (1 + 0.004 * wave))
        rates_ths = np.where(curtailed, 0.0, self._hashrate_ths * (1 + 0.006 * wave))
        kwh = watts * (slot_s / 3_600_000)
        th_h = rates_ths * (slot_s / 3600)
        for row, serial_number in enumerate(self._serial_numbers):
            if away[row]:
                yield HalfHour(starts_at, serial_number, None, None, "offline", 0.0)
            else:
                state: HistoryState = "curtailed" if curtailed[row] else "hashing"
                yield HalfHour(
                    starts_at, serial_number, float(kwh[row]), float(th_h[row]), state, 1.0
                )

    def _away(self, day: float) -> Flags:
        """Return who is broken: at most one failure per miner and day, begun on that day."""
        away: Flags = np.zeros(len(self._phase), dtype=np.bool_)
        for begun in (np.floor(day) - 1, np.floor(day)):
            dice = _dice(self._phase, float(begun))
            broke = dice < FAILURES_PER_DAY
            starts = begun + _dice(self._phase, begun + 0.25)
            lasts = LONGEST_FAILURE_DAYS * _dice(self._phase, begun + 0.5)
            away |= broke & (starts <= day) & (day < starts + lasts)
        return away


def _is_peak(starts_s: float) -> bool:
    day, hour = starts_s // 86400, starts_s % 86400 / 3600
    dear = float(_dice(np.array([1.0]), day)[0]) < PEAK_DAY_SHARE
    return dear and PEAK_HOURS[0] <= hour < PEAK_HOURS[1]


def _dice(phase: Floats, day: float) -> Floats:
    """Return one number in [0, 1) per miner and day, the same each time."""
    mixed = np.sin(phase * 12_989.8 + day * 78.233) * 43_758.5453
    return mixed - np.floor(mixed)
