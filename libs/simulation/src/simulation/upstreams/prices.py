"""One bitcoin price for the whole simulated world, at any minute of any day.

Nothing is stored and nothing ticks: the days' closing levels follow from the seed alone, and
the minutes of a day from the seed and the day, so that any range can be asked at any time and
in any order, and every question about the same minute gets the same answer.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Seconds = NDArray[np.int64]

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
MINUTES = 1440
FIRST_DAY = 18262  # 2020-01-01, in days since 1970
DAYS = 40 * 365
CENTRE_USD = 90_000.0
REACH = 0.38  # the logarithm stays this near the centre: about 61,500 to 131,600 USD
PULL_PER_DAY = 0.008
DAILY_VOLATILITY = 0.024
VOLUME_BTC_PER_DAY = 60_000.0  # of all venues together


def _session() -> Floats:
    """Return how lively each minute of the day is: most in the American morning."""
    hours = np.arange(MINUTES) / 60.0
    return 1.0 + 0.45 * np.sin((hours - 8.5) / 24.0 * 2.0 * math.pi)


SESSION = _session()
SESSION_VARIANCE = float(np.sum(SESSION**2))
SESSION_DONE = np.concatenate(([0.0], np.cumsum(SESSION**2))) / SESSION_VARIANCE


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles as columns, oldest first; the newest may still be open."""

    time_s: Seconds
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.time_s)

    def only(self, chosen: slice | NDArray[np.bool_]) -> Self:
        """Return the chosen rows."""
        return type(self)(
            self.time_s[chosen],
            self.open[chosen],
            self.high[chosen],
            self.low[chosen],
            self.close[chosen],
            self.volume[chosen],
        )

    def priced(self, factor: Floats | float) -> Self:
        """Return the same rows with every price multiplied."""
        return type(self)(
            self.time_s,
            self.open * factor,
            self.high * factor,
            self.low * factor,
            self.close * factor,
            self.volume,
        )

    def traded(self, share: float) -> Self:
        """Return the same rows with this share of the volume."""
        return type(self)(
            self.time_s, self.open, self.high, self.low, self.close, self.volume * share
        )

    def grouped(self, step_s: int, offset_s: int = 0) -> Self:
        """Return candles of `step_s`, whose first moments are multiples of it plus the offset."""
        if len(self) == 0:
            return self
        opened = (self.time_s - offset_s) // step_s * step_s + offset_s
        firsts = np.flatnonzero(np.concatenate(([True], opened[1:] != opened[:-1])))
        lasts = np.append(firsts[1:], len(self)) - 1
        return type(self)(
            opened[firsts],
            self.open[firsts],
            np.maximum.reduceat(self.high, firsts),
            np.minimum.reduceat(self.low, firsts),
            self.close[lasts],
            np.add.reduceat(self.volume, firsts),
        )

    def cut_at(self, now_s: float) -> Self:
        """Return the minutes begun by now, the last of them as far as it has come.

        Within a minute the price goes straight from open to close, and its range and volume
        grow with the time, so that a candle seen twice never shrinks.
        """
        seen = self.only(self.time_s <= now_s)
        if len(seen) == 0 or seen.time_s[-1] + MINUTE_S <= now_s:
            return seen
        part = (now_s - float(seen.time_s[-1])) / MINUTE_S
        opened, closed = float(seen.open[-1]), float(seen.close[-1])
        price = opened + (closed - opened) * part
        above = float(seen.high[-1]) - max(opened, closed)
        below = min(opened, closed) - float(seen.low[-1])
        return type(self)(
            seen.time_s,
            seen.open,
            _ending(seen.high, max(opened, price) + above * part),
            _ending(seen.low, min(opened, price) - below * part),
            _ending(seen.close, price),
            _ending(seen.volume, float(seen.volume[-1]) * part),
        )


class PricePath:
    """The price: a random walk with quiet and wild weeks, gently held near its centre."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._level, self._volatility, self._turnover = _days(seed)
        self._minutes = lru_cache(maxsize=64)(self._make_minutes)
        self._hours = lru_cache(maxsize=None)(self._make_hours)

    def price_usd(self, at_s: float) -> float:
        """Return the price at a moment; before the first day, the first there is."""
        at_s = max(at_s, FIRST_DAY * DAY_S)
        minutes = self._minutes(int(at_s) // DAY_S)
        return float(minutes.cut_at(at_s).close[-1])

    def bars(self, start_s: float, end_s: float, now_s: float, *, unit_s: int = MINUTE_S) -> Bars:
        """Return the minutes or hours that open in [start, end), none after now."""
        start_s = max(start_s, FIRST_DAY * DAY_S)
        end_s = min(end_s, math.floor(now_s) + 1)
        if end_s <= start_s:
            return _joined([])
        days = range(int(start_s) // DAY_S, math.ceil(end_s / DAY_S))
        found = _joined([self._day(day, now_s, unit_s) for day in days])
        return found.only((found.time_s >= start_s) & (found.time_s < end_s))

    def _day(self, day: int, now_s: float, unit_s: int) -> Bars:
        if (day + 1) * DAY_S <= now_s:
            return self._minutes(day) if unit_s == MINUTE_S else self._hours(day)
        begun = self._minutes(day).cut_at(now_s)
        return begun if unit_s == MINUTE_S else begun.grouped(HOUR_S)

    def _make_hours(self, day: int) -> Bars:
        return self._minutes(day).grouped(HOUR_S)

    def _make_minutes(self, day: int) -> Bars:
        """Return a day's minutes: a bridge from its first level to the next day's."""
        index = day - FIRST_DAY
        start, end = float(self._level[index]), float(self._level[index + 1])
        volatility = float(self._volatility[index])
        dice = np.random.default_rng([self._seed, day])
        shocks = dice.standard_normal(MINUTES)
        walk = np.concatenate(([0.0], np.cumsum(shocks * SESSION))) / math.sqrt(SESSION_VARIANCE)
        path = start + (end - start) * SESSION_DONE + volatility * (walk - SESSION_DONE * walk[-1])
        opened, closed = np.exp(path[:-1]), np.exp(path[1:])
        reach = dice.exponential(0.35 * volatility / math.sqrt(MINUTES), (2, MINUTES))
        bustle = (0.4 + 0.75 * np.abs(shocks)) * np.exp(dice.normal(-0.08, 0.4, MINUTES))
        return Bars(
            day * DAY_S + np.arange(MINUTES, dtype=np.int64) * MINUTE_S,
            opened,
            np.maximum(opened, closed) * np.exp(reach[0]),
            np.minimum(opened, closed) * np.exp(-reach[1]),
            closed,
            float(self._turnover[index]) / MINUTES * SESSION * bustle,
        )


def _days(seed: int) -> tuple[Floats, Floats, Floats]:
    """Return each day's first log price, its volatility, and what it trades in bitcoin."""
    dice = np.random.default_rng([seed, 0])
    shocks = dice.standard_normal((DAYS + 1, 3)).tolist()
    level, mood = 0.0, 0.0
    levels: list[float] = []
    moods: list[float] = []
    for price_shock, mood_shock, _ in shocks:
        levels.append(level)
        moods.append(mood)
        level += -PULL_PER_DAY * level + DAILY_VOLATILITY * math.exp(mood) * price_shock
        mood = 0.97 * mood + 0.08 * mood_shock  # wild weeks follow wild weeks
    held = math.log(CENTRE_USD) + REACH * np.tanh(np.array(levels) / REACH)
    wildness = np.array(moods)
    luck = np.array([shock[2] for shock in shocks])
    turnover = VOLUME_BTC_PER_DAY * np.exp(0.8 * wildness + 0.2 * luck)
    return held, DAILY_VOLATILITY * np.exp(wildness), turnover


def _joined(parts: list[Bars]) -> Bars:
    if len(parts) == 1:
        return parts[0]
    none = np.empty(0, dtype=np.float64)
    return Bars(
        np.concatenate([np.empty(0, dtype=np.int64), *(part.time_s for part in parts)]),
        np.concatenate([none, *(part.open for part in parts)]),
        np.concatenate([none, *(part.high for part in parts)]),
        np.concatenate([none, *(part.low for part in parts)]),
        np.concatenate([none, *(part.close for part in parts)]),
        np.concatenate([none, *(part.volume for part in parts)]),
    )


def _ending(column: Floats, last: float) -> Floats:
    return np.append(column[:-1], last)
