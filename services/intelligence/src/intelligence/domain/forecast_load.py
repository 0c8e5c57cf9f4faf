"""The load of a site, half-hour by half-hour, from its own past.

People, tariffs and weather follow the wall clock, so "the same half-hour a week ago" means the same
local time: around a clock change 167 or 169 hours earlier. Three simple methods are tried at every
sixth hour of the past, each with only what was known then; the one with the least mean absolute
error is used. Its bands are quantiles of the sizes of those very errors, by the day ahead; how
often such bands hold is measured in order of time, each origin against the errors known before it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from intelligence.domain.forecast import Measured, Numbers, Score

Places: TypeAlias = NDArray[np.int64]

HALF_HOUR: Final = timedelta(minutes=30)
PER_DAY: Final = 48
LEAST_DAYS: Final = 14
MOST_DAYS: Final = 56
MOST_HOURS: Final = 144
"""A week before must be past also where a clock change has shortened it to 167 hours."""
_EVERY: Final = 12  # half-hours between origins
_BEFORE: Final = 8 * PER_DAY  # what an origin has to have before it
_LEAST_ERRORS: Final = 40
_DAYS_TRIED: Final = 14
_DAYS_AVERAGED: Final = 7


@dataclass(frozen=True, slots=True)
class History:
    """Mean power in kW of consecutive half-hours (NaN: not known), and the site's calendar."""

    kilowatts: Numbers
    days_before: Places
    """[day - 1, half-hour] -> where the same local time so many days before stands."""


Method: TypeAlias = Callable[[History, int, int], Numbers]


@dataclass(frozen=True, slots=True)
class LoadBand:
    """What is expected of each half-hour, in kW, and how far off it may be."""

    method: str
    predicted: Numbers
    within_80: Numbers
    within_95: Numbers


@dataclass(frozen=True, slots=True)
class LoadForecast:
    """What a site is expected to use, beside the baseline, with both methods' past errors."""

    band: LoadBand
    baseline: LoadBand
    measured: list[Measured]


def local_places(start: datetime, count: int, zone: ZoneInfo, days: int) -> Places:
    """Return for each half-hour from `start` on where the same local time `days` before stands.

    Of a local time that a day has twice either counts; one that it does not have is read as an
    hour beside it. Places before the start are negative.
    """
    place = np.arange(count, dtype=np.int64)
    offset = np.array([_offset(start + n * HALF_HOUR, zone) for n in range(count)], dtype=np.int64)
    naive = place - days * PER_DAY
    # A day around a clock change is not 48 half-hours long: shift by the change between the two,
    # and once more where the shift itself went across the change.
    found = naive + offset - offset[np.maximum(naive, 0)]
    return naive + offset - offset[np.clip(found, 0, count - 1)]


def _offset(at: datetime, zone: ZoneInfo) -> int:
    """Return how many half-hours local time is ahead of UTC (zones of 45 minutes: rounded)."""
    ahead = at.astimezone(zone).utcoffset()
    assert ahead is not None
    return math.floor(ahead / HALF_HOUR)


def forecast_load(
    start: datetime,
    kilowatts: Numbers,
    zone: ZoneInfo,
    horizon: int,
    *,
    names: tuple[str, str],
) -> LoadForecast:
    """Forecast the half-hours after the last of `kilowatts`, the first of which began at `start`.

    The history must be at least `LEAST_DAYS` long. `names` are those of model and baseline in the
    measurement.
    """
    count = len(kilowatts)
    calendar = [
        local_places(start, count + horizon, zone, days) for days in range(1, _DAYS_TRIED + 1)
    ]
    history = History(kilowatts, np.stack(calendar))
    known = list(range(_BEFORE, count, _EVERY))
    came = np.full((len(known), horizon), np.nan)
    for row, origin in enumerate(known):
        rest = kilowatts[origin : origin + horizon]
        came[row, : len(rest)] = rest
    errors: dict[str, Numbers] = {}
    for name, method in METHODS.items():
        expected = np.stack([method(history, origin, horizon) for origin in known])
        errors[name] = np.abs(came - expected)
    chosen = min(METHODS, key=lambda name: float(np.nanmean(errors[name])))
    measured = [
        _measured(known, {names[0]: errors[chosen], names[1]: errors[NO_CHANGE]}, came, day)
        for day in range(1, horizon // PER_DAY + 1)
    ]
    return LoadForecast(
        _band(history, chosen, errors[chosen], horizon),
        _band(history, NO_CHANGE, errors[NO_CHANGE], horizon),
        [row for row in measured if row is not None],
    )


def _no_change(history: History, origin: int, horizon: int) -> Numbers:
    past = history.kilowatts[:origin]
    known = past[~np.isnan(past)]
    return np.full(horizon, known[-1] if len(known) else np.nan)


def _days_ago(history: History, origin: int, horizon: int, days: tuple[int, ...]) -> Numbers:
    """Return what was used at the same local time so many days before: [day, half-hour]."""
    places = history.days_before[np.array(days) - 1, origin : origin + horizon]
    usable = (places >= 0) & (places < origin)
    return np.where(usable, history.kilowatts[np.where(usable, places, 0)], np.nan)


def _week_ago(history: History, origin: int, horizon: int) -> Numbers:
    ago = _days_ago(history, origin, horizon, (7, 14))
    found = _first_known(ago[0], ago[1])
    return _first_known(found, _no_change(history, origin, horizon))


def _first_known(values: Numbers, otherwise: Numbers) -> Numbers:
    filled = values.copy()
    filled[np.isnan(values)] = otherwise[np.isnan(values)]
    return filled


def _seven_days(history: History, origin: int, horizon: int) -> Numbers:
    tried = _days_ago(history, origin, horizon, tuple(range(1, _DAYS_TRIED + 1)))
    usable = ~np.isnan(tried)
    usable &= np.cumsum(usable, axis=0) <= _DAYS_AVERAGED
    count = usable.sum(axis=0)
    mean = np.where(usable, tried, 0).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 0, mean, _no_change(history, origin, horizon))


NO_CHANGE: Final = "the last known half-hour (no change)"
WEEK_AGO: Final = "the same local half-hour a week before"
SEVEN_DAYS: Final = "the mean of the same local half-hour over the last seven known days"
METHODS: Final[Mapping[str, Method]] = {
    SEVEN_DAYS: _seven_days,
    WEEK_AGO: _week_ago,
    NO_CHANGE: _no_change,
}


def _band(history: History, name: str, errors: Numbers, horizon: int) -> LoadBand:
    days = -(-horizon // PER_DAY)
    width_80, width_95 = (
        np.maximum.accumulate([_width(_of_day(errors, day), part) for day in range(1, days + 1)])
        for part in (0.8, 0.95)
    )
    day_of = np.arange(horizon) // PER_DAY
    predicted = METHODS[name](history, len(history.kilowatts), horizon)
    return LoadBand(name, predicted, width_80[day_of], width_95[day_of])


def _of_day(errors: Numbers, day: int) -> Numbers:
    """Return the errors of one day ahead; of an earlier one where that was never reached."""
    for reached in range(day, 0, -1):
        found = errors[:, (reached - 1) * PER_DAY : reached * PER_DAY]
        found = found[~np.isnan(found)]
        if len(found) >= _LEAST_ERRORS:
            return found
    return errors[~np.isnan(errors)]


def _width(errors: Numbers, part: float) -> float:
    """Return the size that this part of all errors, and of the next one, stays within."""
    if len(errors) == 0:
        return 0.0
    rank = min(len(errors), math.ceil((len(errors) + 1) * part))
    return float(np.sort(errors)[rank - 1])


def _measured(
    known: list[int], errors: Mapping[str, Numbers], came: Numbers, day: int
) -> Measured | None:
    """Score the half-hours of one day ahead; None where there were not enough past ones."""
    span = slice((day - 1) * PER_DAY, day * PER_DAY)
    scores = {name: _score(known, of[:, span], came[:, span], day) for name, of in errors.items()}
    complete = {name: score for name, score in scores.items() if score is not None}
    if len(complete) < len(errors):
        return None
    origins = int((~np.isnan(came[:, span])).any(axis=1).sum())
    return Measured(day * PER_DAY, origins, complete)


def _score(known: list[int], errors: Numbers, came: Numbers, day: int) -> Score | None:
    inside_80: list[float] = []
    inside_95: list[float] = []
    at = np.array(known)
    for row, origin in enumerate(known):
        before = errors[at + day * PER_DAY <= origin]
        before = before[~np.isnan(before)]
        now = errors[row][~np.isnan(errors[row])]
        if len(before) >= _LEAST_ERRORS and len(now):
            inside_80.extend(now <= _width(before, 0.8))
            inside_95.extend(now <= _width(before, 0.95))
    counted = ~np.isnan(errors)
    used = float(came[counted].sum())
    if not inside_80 or used <= 0:
        return None
    total = float(errors[counted].sum())
    return Score(
        mae=total / int(counted.sum()),
        mape_percent=100 * total / used,
        coverage_80=float(np.mean(inside_80)),
        coverage_95=float(np.mean(inside_95)),
    )
