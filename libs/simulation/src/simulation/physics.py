"""What a machine does over time, in closed form.

Nothing ticks. A machine remembers its last few changes of load; hashrate, power,
temperature and counters at any moment follow from those, the unit and the clock, so
that six thousand idle machines cost nothing and equal questions get equal answers.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from simulation.inventory import Unit

State = Literal["hashing", "ramping", "stopping", "sleeping", "rebooting"]

POWER_EXPONENT = 1.2  # watts fall a little faster than hashes when a machine is throttled
STANDBY_W = 65.0  # awake, fans turning, boards not yet hashing
OVERHEAT_C = 34.0
OVERHEAT_THROTTLE = 0.8
DAY_S = 86400.0
REMEMBERED_LOADS = 8


@dataclass(frozen=True, slots=True)
class Load:
    """The hashing fraction after one change: flat, then a straight ramp, then flat."""

    since: float
    start: float
    end: float
    delay_s: float
    ramp_s: float
    work_before_s: float  # full-rate seconds already done when this load began

    def fraction(self, now: float) -> float:
        into_ramp_s = now - self.since - self.delay_s
        if into_ramp_s <= 0:
            return self.start
        if into_ramp_s >= self.ramp_s:
            return self.end
        return self.start + (self.end - self.start) * into_ramp_s / self.ramp_s

    def work_s(self, now: float) -> float:
        """Return the full-rate seconds of work done up to now."""
        elapsed_s = now - self.since
        into_ramp_s = elapsed_s - self.delay_s
        if into_ramp_s <= 0:
            return self.work_before_s + self.start * elapsed_s
        work_s = self.work_before_s + self.start * self.delay_s
        if into_ramp_s >= self.ramp_s:
            mean = (self.start + self.end) / 2
            return work_s + mean * self.ramp_s + self.end * (into_ramp_s - self.ramp_s)
        slope = (self.end - self.start) / self.ramp_s
        return work_s + self.start * into_ramp_s + slope * into_ramp_s * into_ramp_s / 2


class Machine:
    """The body of one miner: asleep or awake, warm or cold, and what it has earned."""

    def __init__(self, unit: Unit, now: float, ramp_s: float) -> None:
        self.unit = unit
        self.ramp_s = ramp_s
        self.asleep = False
        self.overheating = False
        self.power_share = 1.0
        self.started_at = now - unit.uptime_at_start_s
        self.booted_at = self.started_at - 90
        self.unreachable_until = 0.0
        self._loads = [Load(self.started_at, 1.0, 1.0, 0.0, 0.0, 0.0)]
        self._board_c_at_change = self._board_c = self._board_target_c(now)
        self._board_c_asked_at = now

    # What is true now

    def state(self, now: float) -> State:
        if now < self.unreachable_until:
            return "rebooting"
        load = self._loads[-1]
        settled = now >= load.since + load.delay_s + load.ramp_s
        if self.asleep:
            return "sleeping" if settled else "stopping"
        return "hashing" if settled else "ramping"

    @property
    def changed_at(self) -> float:
        """When the load was last told to change."""
        return self._loads[-1].since

    def fraction(self, now: float) -> float:
        return self._loads[-1].fraction(now)

    def hashrate_ths(self, now: float) -> float:
        """Return the five-second hashrate: exactly zero while no board hashes."""
        fraction = self._loads[-1].fraction(now)
        if fraction == 0:
            return 0.0
        phase = self.unit.phase
        noise = 0.011 * math.sin(now / 5.9 + phase) + 0.007 * math.sin(now / 1.7 + 2 * phase)
        return self.unit.hashrate_ths * fraction * self._throttle * (1 + noise)

    def average_ths(self, now: float, window_s: float) -> float:
        """Return the mean hashrate of the last seconds, or since the start if that is later."""
        since = max(now - window_s, self.started_at)
        if now <= since:
            return 0.0
        work_s = self.work_s(now) - self.work_s(since)
        drift = 1 + 0.12 / max(window_s, 12) * math.sin(now / 31 + self.unit.phase)
        return self.unit.hashrate_ths * self._throttle * work_s / (now - since) * drift

    def power_w(self, now: float) -> float:
        """Return the watts at the wall."""
        unit, fraction = self.unit, self._loads[-1].fraction(now)
        ripple = 1 + 0.004 * math.sin(now / 7.3 + unit.phase)
        floor_w = unit.sleep_w if self.asleep else STANDBY_W
        if fraction == 1.0:
            return unit.power_w * ripple
        return (floor_w + (unit.power_w - floor_w) * fraction**POWER_EXPONENT) * ripple

    def inlet_c(self, now: float) -> float:
        daily = 4.5 * math.sin(2 * math.pi * (now / DAY_S - 0.375))
        heat = OVERHEAT_C if self.overheating else 0.0
        return 22.0 + daily + self.unit.inlet_offset_c + heat

    def board_c(self, now: float) -> float:
        if now != self._board_c_asked_at:  # one answer asks for it a dozen times
            load, target_c = self._loads[-1], self._board_target_c(now)
            cooling = math.exp(-max(0.0, now - load.since) / max(2.0, self.ramp_s))
            self._board_c = target_c + (self._board_c_at_change - target_c) * cooling
            self._board_c_asked_at = now
        return self._board_c

    def chip_c(self, now: float) -> float:
        """Return the hottest chip's temperature."""
        return self.board_c(now) + 14.0 * self.fraction(now)

    def fan_rpm(self, now: float, fan: int) -> int:
        board_c = self.board_c(now)
        if self.asleep and board_c < self.inlet_c(now) + 6:
            return 0
        wanted = 2100 + (board_c - 28) * 110 + 40 * math.sin(now / 11 + self.unit.phase + fan)
        return int(min(max(wanted, 1800), 6400)) // 30 * 30

    def elapsed_s(self, now: float) -> int:
        return max(0, int(now - self.started_at))

    def work_s(self, now: float) -> float:
        """Return the full-rate seconds of work done since the miner started."""
        for load in reversed(self._loads):
            if now >= load.since:
                return load.work_s(now)
        first = self._loads[0]  # older loads are forgotten: take the oldest known as constant
        return first.work_before_s - first.start * (first.since - now)

    def work_th(self, now: float) -> float:
        return self.work_s(now) * self.unit.hashrate_ths

    def shares(self, now: float) -> float:
        """Return the shares found since the start; the fraction is the one being looked for."""
        return self.work_th(now) / self.unit.model.work_per_share_th

    def hardware_errors(self, now: float) -> int:
        return int(self.work_th(now) * self.unit.hardware_error_rate)

    # What changes it

    def sleep(self, now: float) -> None:
        """Stop hashing and switch the boards off; again changes nothing."""
        if not self.asleep:
            self._change(now, end=0.0, delay_s=0.0, ramp_s=0.1 * self.ramp_s)
            self.asleep = True

    def wake(self, now: float) -> None:
        """Start hashing from a fresh mining process; again changes nothing."""
        if self.asleep:
            self.restart(now)

    def restart(self, now: float) -> None:
        """Start the mining process anew: elapsed time and counters begin at zero."""
        self.asleep = False
        self._start_cold(now, delay_s=0.2 * self.ramp_s)

    def reboot(self, now: float) -> None:
        """Go away for a third of the ramp, and come back hashing as after power-on."""
        away_s = self.ramp_s / 3
        self.asleep = False
        self._start_cold(now, delay_s=away_s + 0.1 * self.ramp_s)
        self.started_at = self.booted_at = now + away_s
        self.unreachable_until = now + away_s

    def restart_board(self, now: float) -> None:
        """Lose one board's hashrate for a moment; the miner itself runs on."""
        self._change(now, end=self._awake_fraction, delay_s=0.0, ramp_s=0.5 * self.ramp_s)
        lost = 1 / self.unit.model.boards
        self._loads[-1] = replace(self._loads[-1], start=self._loads[-1].start * (1 - lost))

    def set_power_share(self, now: float, share: float) -> None:
        """Throttle to a share of full power; a sleeping machine remembers it for later."""
        self.power_share = share
        if not self.asleep:
            self._change(now, end=self._awake_fraction, delay_s=0.0, ramp_s=0.1 * self.ramp_s)

    @property
    def _awake_fraction(self) -> float:
        return self.power_share ** (1 / POWER_EXPONENT)

    @property
    def _throttle(self) -> float:
        return OVERHEAT_THROTTLE if self.overheating else 1.0

    def _board_target_c(self, now: float) -> float:
        heat_w = self._loads[-1].fraction(now) ** POWER_EXPONENT
        return self.inlet_c(now) + 2 + self.unit.heat_rise_c * heat_w

    def _change(self, now: float, *, end: float, delay_s: float, ramp_s: float) -> None:
        self._board_c_at_change = self.board_c(now)
        self._board_c_asked_at = math.nan
        load = Load(now, self.fraction(now), end, delay_s, ramp_s, self.work_s(now))
        self._loads = [*self._loads[1 - REMEMBERED_LOADS :], load]

    def _start_cold(self, now: float, *, delay_s: float) -> None:
        self._change(now, end=self._awake_fraction, delay_s=delay_s, ramp_s=0.8 * self.ramp_s)
        self._loads = [replace(self._loads[-1], start=0.0, work_before_s=0.0)]
        self.started_at = now
