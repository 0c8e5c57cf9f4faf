"""What the wind does on a day, and which units are told to turn down, in closed form."""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulation.elexon.settlement import USUAL_PERIODS, periods_in
from simulation.elexon.units import Registry, registry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ALWAYS_BUSY = frozenset({date(2025, 3, 4)})  # the day that the source documents tell of


def chance(rng: np.random.Generator, share: float) -> bool:
    """Throw the dice: true in this share of all throws."""
    return bool(rng.random() < share)


class Kind(StrEnum):
    """How much wind is turned down: none, little, some, or as much as ever."""

    CALM = "calm"
    QUIET = "quiet"
    BREEZY = "breezy"
    BUSY = "busy"


LEAST_SCORE = {Kind.BUSY: 0.64, Kind.BREEZY: 0.44, Kind.QUIET: 0.22}
UNITS_DOWN = {Kind.CALM: 0.0, Kind.QUIET: 1.2, Kind.BREEZY: 9.0, Kind.BUSY: 22.0}  # at a time
LOAD_FACTOR = {Kind.CALM: 0.1, Kind.QUIET: 0.28, Kind.BREEZY: 0.5, Kind.BUSY: 0.74}


@dataclass(frozen=True, slots=True)
class Day:
    """One settlement day; arrays are [wind unit, period], period 1 in column 0."""

    day: date
    kind: Kind
    output_mw: Ints  # what a unit would give, also what it notifies
    down_mw: Ints  # how much of it is taken off; 0 where it runs free

    @property
    def periods(self) -> int:
        return self.output_mw.shape[1]


class Britain:
    """The registry and every day of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = abs(seed)
        self.registry: Registry = registry(self.seed)
        self._capacity = np.array([unit.capacity_mw or 30.0 for unit in self.registry.wind])
        self._north = np.array([unit.north for unit in self.registry.wind])
        self.day = lru_cache(maxsize=64)(self._day)

    def rng(self, *key: int) -> np.random.Generator:
        """Return the random numbers that belong to a key, the same ones each time."""
        return np.random.default_rng((self.seed, *key))

    def kind(self, day: date) -> Kind:
        """Return how busy a day is; windy days come in spells, and more in winter."""
        if day in ALWAYS_BUSY:
            return Kind.BUSY
        number = day.toordinal()
        spell, own = self.rng(number // 3, 1).random(), self.rng(number, 2).random()
        season = 0.1 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 15) / 365.25)
        score = 0.5 * spell + 0.5 * own + season
        reached = [kind for kind, least in LEAST_SCORE.items() if score > least]
        if not reached:
            return Kind.CALM if periods_in(day) == USUAL_PERIODS else Kind.QUIET
        return reached[0]

    def next_of_kind(self, day: date, kind: Kind) -> date:
        """Return the first day of a kind, from a day on."""
        while self.kind(day) is not kind:
            day += timedelta(days=1)
        return day

    def _day(self, day: date) -> Day:
        kind, periods, units = self.kind(day), periods_in(day), len(self._capacity)
        rng = self.rng(day.toordinal(), 3)
        hours = np.arange(periods) / 2.0
        output = self._output_mw(rng, LOAD_FACTOR[kind], hours)
        share_down = UNITS_DOWN[kind] / units
        if share_down == 0:
            return Day(day, kind, output, np.zeros_like(output))
        pressure = self._pressure(rng, hours)
        down = pressure > np.quantile(pressure, 1.0 - share_down)
        depth = np.round(rng.uniform(0.6, 1.0, (units, 1)) * output).astype(np.int64)
        return Day(day, kind, output, np.where(down, np.maximum(depth, 1), 0))

    def _output_mw(self, rng: np.random.Generator, level: float, hours: Floats) -> Ints:
        units = len(self._capacity)
        own = rng.normal(0.0, 0.1, (units, 1))
        phase = rng.uniform(0.0, 2 * math.pi, (units, 1))
        swing = 0.12 * np.sin(hours / 24.0 * 2 * math.pi + phase)
        factor = np.clip(level * (1.0 + swing) + own, 0.02, 0.98)
        return np.asarray(np.round(factor * self._capacity[:, None]), dtype=np.int64)

    def _pressure(self, rng: np.random.Generator, hours: Floats) -> Floats:
        """Return how much the grid wants each unit down: large northern ones, at night most."""
        units = len(self._capacity)
        phase = rng.uniform(0.0, 2 * math.pi, (units, 2))
        slow = np.sin(hours[None, :] / 9.0 * 2 * math.pi + phase[:, :1])
        quick = 0.5 * np.sin(hours[None, :] / 3.5 * 2 * math.pi + phase[:, 1:])
        unit = 0.35 * np.log(self._capacity)[:, None] + 0.8 * self._north[:, None]
        night = 0.35 * np.cos((hours - 3.0) / 24.0 * 2 * math.pi)
        return slow + quick + unit + night[None, :] + rng.normal(0.0, 0.05, slow.shape)
