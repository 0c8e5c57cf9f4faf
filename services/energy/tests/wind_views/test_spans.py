from datetime import date

import pytest

from common.errors import Invalid
from energy.wind_views import spans
from energy.wind_views.spans import Timeframe, span_of, stated_day, stated_span


@pytest.mark.parametrize(
    ("timeframe", "text", "first", "last"),
    [
        ("day", "2024-02-29", date(2024, 2, 29), date(2024, 2, 29)),
        ("month", "2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("month", "2025-12", date(2025, 12, 1), date(2025, 12, 31)),
        ("year", "2025", date(2025, 1, 1), date(2025, 12, 31)),
    ],
)
def test_a_span_ends_with_its_last_day(
    timeframe: Timeframe, text: str, first: date, last: date
) -> None:
    span = span_of(timeframe, text)
    assert (span.first, span.last, span.value) == (first, last, text)


@pytest.mark.parametrize(
    ("timeframe", "text"),
    [
        ("day", "2025-02-30"),
        ("day", "20250304"),
        ("day", "2025-3-4"),
        ("day", "2025-03-04T00:00:00Z"),
        ("day", "٢٠٢٥-03-04"),
        ("day", "2008-12-31"),
        ("day", "9999-12-31"),
        ("day", "2025-03-04\n"),
        ("day", ""),
        ("month", "2025-13"),
        ("month", "2025-00"),
        ("month", "2025-03-04"),
        ("month", "9999-12"),
        ("year", "25"),
        ("year", "2008"),
        ("year", "9999"),
        ("year", "-2025"),
    ],
)
def test_what_is_no_span_is_refused(timeframe: Timeframe, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        stated_span(timeframe, text)
    assert refused.value.field == "value"


def test_today_has_begun_and_tomorrow_has_not() -> None:
    day = spans.today()
    assert span_of("day", day.isoformat()).first == day
    with pytest.raises(ValueError, match="has not begun"):
        span_of("day", date.fromordinal(day.toordinal() + 1).isoformat())


def test_a_day_to_come_is_a_day() -> None:
    assert stated_day("2127-10-31") == date(2127, 10, 31)
    with pytest.raises(Invalid):
        stated_day("21271031")
