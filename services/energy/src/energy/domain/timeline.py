"""Which window of a tariff holds when: days as cuts in wall-clock minutes, laid on real seconds.

A window is known by its slot: its place in the tariff's schedule from 1; 0 is the fallback.
"""

from bisect import insort
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from energy.domain.load import IntArray, ascending, rows_at
from energy.domain.tariff import DAY_MINUTES, DayType, Tariff, Window
from energy.domain.zone import date_of, day_parts

FALLBACK = 0
SATURDAY_SUNDAY = (5, 6)
MOST_CLAIMS = 8
"""Of one minute that are told: a schedule of hundreds of overlapping rows has no long answer."""


class DayKind(NamedTuple):
    """What a day is to a schedule."""

    month: int
    weekday: int
    """0 is Monday."""
    holiday: bool

    def day_type(self) -> DayType:
        """Return what kind of day it is."""
        if self.holiday:
            return "holiday"
        return "weekend" if self.weekday in SATURDAY_SUNDAY else "weekday"


class Stretch(NamedTuple):
    """Minutes of a day between two cuts, and the slots that claim them, `MOST_CLAIMS` at most."""

    start_minute: int
    end_minute: int
    slots: tuple[int, ...]


def kind_of(tariff: Tariff, day: int) -> DayKind:
    """Return what a local day is to the tariff."""
    on = date_of(day)
    return DayKind(on.month, on.weekday(), on in tariff.holidays)


def in_season(tariff: Tariff, month: int) -> bool:
    """Whether the windows hold in this month."""
    first, last = tariff.season_start_month, tariff.season_end_month
    if first is None or last is None:
        return True
    return first <= month <= last if first <= last else month >= first or month <= last


def _holds(tariff: Tariff, window: Window, kind: DayKind) -> bool:
    return (
        kind.weekday in window.days
        and kind.month in window.months
        and window.day_type in (None, kind.day_type())
        and in_season(tariff, kind.month)
    )


def holding(tariff: Tariff, kind: DayKind) -> frozenset[int]:
    """Return the slots whose windows hold on such a day."""
    windows = enumerate(tariff.windows, start=1)
    return frozenset(slot for slot, window in windows if _holds(tariff, window, kind))


def _claims(window: Window, *, holds: bool, early: bool) -> list[tuple[int, int]]:
    """Return the minutes of a day that a window claims.

    After midnight a wrapped window holds by the day's own right, or with `wrap_day=start` by that
    of the day before, on which it began: that is `early`.
    """
    start, end = window.start_minute, window.end_minute
    if start < end:
        return [(start, end)] if holds else []
    claims = [(start, DAY_MINUTES)] if holds else []
    return [(0, end), *claims] if early and end else claims


def stretches(tariff: Tariff, kind: DayKind, before: DayKind) -> list[Stretch]:
    """Return a whole day, cut where any window begins or ends."""
    return stretches_of(tariff, holding(tariff, kind), holding(tariff, before))


def stretches_of(tariff: Tariff, today: frozenset[int], yesterday: frozenset[int]) -> list[Stretch]:
    """Return the same by the slots that hold on the day and on the one before."""
    early = yesterday if tariff.wrap_day == "start" else today
    claims = [
        (start, end, slot)
        for slot in sorted(today | early)
        for start, end in _claims(
            tariff.windows[slot - 1], holds=slot in today, early=slot in early
        )
    ]
    cuts = sorted({0, DAY_MINUTES, *(minute for claim in claims for minute in claim[:2])})
    begins: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for start, end, slot in claims:
        begins.setdefault(start, []).append(slot)
        ends.setdefault(end, []).append(slot)
    found: list[Stretch] = []
    open_slots: list[int] = []
    for low, high in pairwise(cuts):
        for slot in ends.get(low, ()):
            open_slots.remove(slot)
        for slot in begins.get(low, ()):
            insort(open_slots, slot)
        found.append(Stretch(low, high, tuple(open_slots[:MOST_CLAIMS])))
    return found


class Schedule:
    """A tariff's days, each kind worked out once."""

    def __init__(self, tariff: Tariff) -> None:
        self.tariff = tariff
        self._by_kind: dict[tuple[DayKind, DayKind], list[tuple[int, int, int]]] = {}
        self._by_day: dict[int, list[tuple[int, int, int]]] = {}

    def plan(self, day: int) -> list[tuple[int, int, int]]:
        """Return (start second, end second, slot) of a local day by its wall clock."""
        if (plan := self._by_day.get(day)) is None:
            kinds = kind_of(self.tariff, day), kind_of(self.tariff, day - 1)
            if (plan := self._by_kind.get(kinds)) is None:
                plan = self._by_kind[kinds] = self._merged(stretches(self.tariff, *kinds))
            self._by_day[day] = plan
        return plan

    @staticmethod
    def _merged(found: list[Stretch]) -> list[tuple[int, int, int]]:
        plan: list[tuple[int, int, int]] = []
        for start, end, slots in found:
            slot = slots[0] if slots else FALLBACK
            if plan and plan[-1][2] == slot:
                plan[-1] = (plan[-1][0], 60 * end, slot)
            else:
                plan.append((60 * start, 60 * end, slot))
        return plan


@lru_cache(maxsize=256)
def schedule_of(tariff: Tariff) -> Schedule:
    """Return the tariff's schedule."""
    return Schedule(tariff)


@dataclass(frozen=True, eq=False)
class Timeline:
    """Consecutive segments of one local day and one slot each."""

    starts_s: IntArray
    ends_s: IntArray
    day: IntArray
    """The billed one: of the tariff's calendar."""
    slot: IntArray

    def rows_at(self, seconds: IntArray) -> IntArray:
        """Return in which segment each instant lies, in whatever order they come."""
        return np.searchsorted(self.starts_s, seconds, side="right") - 1


def timeline(tariff: Tariff, start_s: int, end_s: int) -> Timeline:
    """Return the segments of [start, end)."""
    schedule = schedule_of(tariff)
    rows: list[tuple[int, int, int, int]] = []
    for day, (low, high, offset) in day_parts(tariff.timezone, start_s, end_s):
        midnight = day * 86_400 - offset
        for first, last, slot in schedule.plan(day):
            begins, ends = max(low, midnight + first), min(high, midnight + last)
            if begins < ends:
                rows.append((begins, ends, day, slot))
    table = np.array(rows, np.int64).reshape(-1, 4).T
    found = Timeline(*(np.ascontiguousarray(column) for column in table))
    if tariff.calendar() == tariff.timezone:
        return found
    return _by_days_of(tariff.calendar(), found, start_s, end_s)


def _by_days_of(timezone: str, line: Timeline, start_s: int, end_s: int) -> Timeline:
    """Cut a timeline at another zone's days, and name those."""
    days = [(span.start_s, day) for day, span in day_parts(timezone, start_s, end_s)]
    begins, day = np.array(days, np.int64).T
    starts = ascending(line.starts_s, begins)
    rows = line.rows_at(starts)
    ends = np.append(starts[1:], line.ends_s[-1:])
    return Timeline(starts, ends, day[rows_at(begins, starts)], line.slot[rows])
