"""Days, months and years as they stand in an address: strictly written, not too early, begun."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import Depends, Path

from common.clock import now
from common.errors import Invalid

Timeframe = Literal["day", "month", "year"]
FIRST_YEAR = 2009
"""Bitcoin's first year."""
_LONDON = ZoneInfo("Europe/London")
_SHAPES: dict[Timeframe, tuple[re.Pattern[str], str]] = {
    "day": (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), "2025-03-04"),
    "month": (re.compile(r"[0-9]{4}-[0-9]{2}"), "2025-03"),
    "year": (re.compile(r"[0-9]{4}"), "2025"),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A settlement day, or a month or year of them; both ends belong to it."""

    timeframe: Timeframe
    first: date
    last: date

    @property
    def value(self) -> str:
        """As it is written: 2025-03-04, 2025-03 or 2025."""
        return self.first.isoformat()[: {"day": 10, "month": 7, "year": 4}[self.timeframe]]


def today() -> date:
    """Return the settlement day that runs now; settlement days are the United Kingdom's."""
    return settlement_day(now())


def settlement_day(instant: datetime) -> date:
    """Return the settlement day that an instant belongs to."""
    return instant.astimezone(_LONDON).date()


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
    if first.year < FIRST_YEAR:
        msg = f"is before {FIRST_YEAR}, when there was no bitcoin to be mined"
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


def stated_day(value: str, field: str = "date") -> date:
    """Return a strictly written day, which may be to come.

    Raises:
        Invalid: the text is no day.
    """
    shape, example = _SHAPES["day"]
    try:
        if not shape.fullmatch(value):
            msg = f"must be a day such as {example}"
            raise ValueError(msg)  # noqa: TRY301  (told like any other fault of the text)
        return _first_day("day", value)
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
