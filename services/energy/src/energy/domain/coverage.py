"""Where a schedule leaves hours without a price, and where two windows claim the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache, partial

from energy.domain.tariff import Tariff
from energy.domain.timeline import DayKind, holding, kind_of, stretches_of
from energy.domain.zone import number_of

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Minutes of a kind of day in a month."""

    month: int
    day: str
    """A weekday's name; `holiday` for a day of the tariff's list."""
    start_minute: int
    end_minute: int
    names: tuple[str, ...]
    """Of the windows that claim it."""

    def __str__(self) -> str:
        hours = (f"{one // 60:02}:{one % 60:02}" for one in (self.start_minute, self.end_minute))
        return f"{self.day} {'-'.join(hours)} in month {self.month}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a schedule leaves out and what it says twice."""

    holes: list[Span]
    overlaps: list[Span]


def _covered(tariff: Tariff, days: Iterable[tuple[DayKind, DayKind]]) -> Coverage:
    holes: dict[Span, int] = {}
    overlaps: dict[Span, int] = {}
    held = cache(partial(holding, tariff))
    laid = cache(partial(stretches_of, tariff))
    # Most eves make no difference to the day after, and are looked at once.
    different = dict.fromkeys((kind, held(kind), held(before)) for kind, before in days)
    for kind, today, yesterday in different:
        name = "holiday" if kind.holiday else WEEKDAYS[kind.weekday]
        order = 7 if kind.holiday else kind.weekday
        for start, end, slots in laid(today, yesterday):
            names = tuple(tariff.windows[slot - 1].name for slot in slots)
            span = Span(kind.month, name, start, end, names)
            if not slots:
                holes[span] = order
            elif len(slots) > 1:
                overlaps[span] = order
    return Coverage(_in_order(holes), _in_order(overlaps))


def _in_order(found: dict[Span, int]) -> list[Span]:
    """Sort by month, weekday and minute, and join what touches."""
    spans: list[Span] = []
    for span in sorted(found, key=lambda one: (one.month, found[one], one.start_minute)):
        last = spans[-1] if spans else span
        ends = (last.month, last.day, last.names, last.end_minute)
        if ends == (span.month, span.day, span.names, span.start_minute):
            spans[-1] = Span(span.month, span.day, last.start_minute, span.end_minute, span.names)
        else:
            spans.append(span)
    return spans


def coverage(tariff: Tariff, year: int) -> Coverage:
    """Return the holes and overlaps in the days of a year; a fallback rate covers no hole here."""
    first, end = (number_of(date(one, 1, 1)) for one in (year, year + 1))
    kinds = [kind_of(tariff, day) for day in range(first - 1, end)]
    return _covered(tariff, zip(kinds[1:], kinds[:-1], strict=True))


def coverage_of_any_year(tariff: Tariff) -> Coverage:
    """Return the holes and overlaps of every day that can be, whatever the calendar."""
    holidays = (False, True) if tariff.holidays else (False,)
    days: list[tuple[DayKind, DayKind]] = []
    for month in range(1, 13):
        eves = (month, (month - 2) % 12 + 1) if tariff.wrap_day == "start" else (month,)
        days += [
            (DayKind(month, weekday, holiday), DayKind(before, (weekday - 1) % 7, rest))
            for weekday in range(7)
            for holiday in holidays
            for before in eves
            for rest in (holidays if tariff.wrap_day == "start" else (False,))
        ]
    return _covered(tariff, days)
