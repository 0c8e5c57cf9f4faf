"""Days, months and years as they stand in an address: strictly written, not too early, begun."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query

from common.clock import now
from common.errors import Invalid
from energy.domain.settlement import EARLIEST_DAY, day_of

Timeframe = Literal["day", "month", "year"]
_LAST_DAY = date(2199, 12, 31)
"""Beyond it nobody knows when the clocks will change."""
_SHAPES: dict[Timeframe, tuple[re.Pattern[str], str]] = {
    "day": (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), "2025-03-04"),
    "month": (re.compile(r"[0-9]{4}-[0-9]{2}"), "2025-03"),
    "year": (re.compile(r"[0-9]{4}"), "2025"),
}

_LENGTHS: dict[Timeframe, int] = {"day": 10, "month": 7, "year": 4}


@dataclass(frozen=True, slots=True)
class Span:
    """A settlement day, or a month or year of them; both ends belong to it."""

    timeframe: Timeframe
    first: date
    last: date

    @property
    def value(self) -> str:
        """As it is written: 2025-03-04, 2025-03 or 2025."""
        return self.first.isoformat()[: _LENGTHS[self.timeframe]]


def today() -> date:
    """Return the settlement day that runs now; settlement days are the United Kingdom's."""
    return day_of(now())


def span_of(timeframe: Timeframe, text: str) -> Span:
    """Return a day, month or year as it is written.

    Raises:
        ValueError: it is written otherwise, is no such date, too early, or has not begun.
    """
    shape, example = _SHAPES[timeframe]
    if not shape.fullmatch(text):
        msg = f"must be a {timeframe} such as {example}"
        raise ValueError(msg)
    first = _first_day(timeframe, text)
    if first < EARLIEST_DAY:
        msg = f"is before {EARLIEST_DAY}; the settlement stacks do not reach further back"
        raise ValueError(msg)
    if first > today():
        msg = "has not begun; nothing can have been curtailed"
        raise ValueError(msg)
    return Span(timeframe, first, _last_day(timeframe, first))


def _first_day(timeframe: Timeframe, text: str) -> date:
    try:
        return date.fromisoformat(text + {"day": "", "month": "-01", "year": "-01-01"}[timeframe])
    except ValueError as error:
        msg = f"there is no such {timeframe}"
        raise ValueError(msg) from error


def _last_day(timeframe: Timeframe, first: date) -> date:
    if timeframe == "day":
        return first
    month = first.month if timeframe == "month" else 12
    return date(first.year, month, monthrange(first.year, month)[1])


def stated_span(timeframe: Timeframe, value: str, field: str = "value") -> Span:
    """Return the span that a caller names.

    Raises:
        Invalid: the text is no such span.
    """
    try:
        return span_of(timeframe, value)
    except ValueError as error:
        raise Invalid(f"{field}: {value[:40]!r} {error}.", field=field) from error


def strict_day(text: Any) -> date:
    """Return a strictly written day, which may be to come.

    Raises:
        ValueError: the text is no day.
    """
    shape, example = _SHAPES["day"]
    if not isinstance(text, str) or not shape.fullmatch(text):
        msg = f"must be a day such as {example}"
        raise ValueError(msg)
    day = _first_day("day", text)
    if not EARLIEST_DAY <= day <= _LAST_DAY:
        msg = f"is not from {EARLIEST_DAY} to {_LAST_DAY}"
        raise ValueError(msg)
    return day


def stated_day(value: str, field: str = "date") -> date:
    """Return a strictly written day, which may be to come.

    Raises:
        Invalid: the text is no day.
    """
    try:
        return strict_day(value)
    except ValueError as error:
        raise Invalid(f"{field}: {value[:40]!r} {error}.", field=field) from error


def _text(timeframe: Timeframe, name: str) -> Any:
    shape, example = _SHAPES[timeframe]
    return Path(
        alias=name,
        examples=[example],
        json_schema_extra={"pattern": f"^{shape.pattern}$"},
        description=f"A settlement {timeframe} (United Kingdom), such as {example}",
    )


async def _day(text: Annotated[str, _text("day", "date")]) -> Span:
    return stated_span("day", text, "date")


async def _any_day(text: Annotated[str, _text("day", "date")]) -> date:
    return stated_day(text)


async def _month(text: Annotated[str, _text("month", "month")]) -> Span:
    return stated_span("month", text, "month")


async def _year(text: Annotated[str, _text("year", "year")]) -> Span:
    return stated_span("year", text, "year")


DayPath = Annotated[Span, Depends(_day)]
AnyDayPath = Annotated[date, Depends(_any_day)]
MonthPath = Annotated[Span, Depends(_month)]
YearPath = Annotated[Span, Depends(_year)]


async def _asked_day(
    text: Annotated[
        str | None,
        Query(alias="date", description="A settlement day, such as 2025-03-04; else yesterday"),
    ] = None,
) -> Span:
    return _yesterday() if text is None else stated_span("day", text, "date")


async def _asked_span(
    period: Annotated[
        Timeframe | None, Query(description="How long `value` is; else as it is written, or a year")
    ] = None,
    timeframe: Annotated[Timeframe | None, Query(description="The same as `period`")] = None,
    value: Annotated[
        str | None,
        Query(description="2025-03-04, 2025-03 or 2025; else yesterday, this month or this year"),
    ] = None,
) -> Span:
    if period is not None and timeframe not in (None, period):
        raise Invalid("Give period or timeframe; they are the same.", field="timeframe")
    asked = period or timeframe
    if value is None:
        return _present(asked or "year")
    return stated_span(asked or _written(value), value)


def _written(value: str) -> Timeframe:
    """Return how long a span is that is written so."""
    found: list[Timeframe] = [one for one, (shape, _) in _SHAPES.items() if shape.fullmatch(value)]
    return found[0] if found else "day"


def _present(timeframe: Timeframe) -> Span:
    """Return yesterday, this month or this year; today is never complete."""
    day = _yesterday() if timeframe == "day" else span_of("day", today().isoformat())
    return span_of(timeframe, day.value[: _LENGTHS[timeframe]])


def _yesterday() -> Span:
    return span_of("day", (today() - timedelta(days=1)).isoformat())


DayQuery = Annotated[Span, Depends(_asked_day)]
SpanQuery = Annotated[Span, Depends(_asked_span)]
