"""Local days and months on real seconds."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.domain.zone import (
    YearMonth,
    date_of,
    day_parts,
    day_seconds,
    day_start,
    instant_of,
    number_of,
    offsets,
    seconds_of,
)

ZONES = ["UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/London", date(2026, 3, 29), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Africa/Cairo", date(2026, 4, 24), 23),
        ("America/Havana", date(2026, 11, 1), 25),
        ("Pacific/Apia", date(2011, 12, 30), 0),
        ("America/St_Johns", date(2010, 11, 6), 24 + 59 / 60),
        ("America/Phoenix", date(2026, 3, 8), 24),
    ],
)
def test_how_long_a_day_is(zone: str, day: date, hours: float) -> None:
    number = number_of(day)
    assert day_seconds(zone, number, number)[number] == round(3600 * hours)


def test_a_day_that_begins_with_a_jump() -> None:
    """In Cairo the clock goes from 24:00 to 01:00."""
    day = number_of(date(2026, 4, 24))
    assert instant_of(day_start("Africa/Cairo", day)).isoformat() == "2026-04-23T22:00:00+00:00"


def test_a_skipped_day_begins_with_the_next() -> None:
    day = number_of(date(2011, 12, 30))
    assert day_start("Pacific/Apia", day) == day_start("Pacific/Apia", day + 1)


@given(st.sampled_from(ZONES), st.integers(0, 2_500_000_000), st.integers(1, 40_000_000))
def test_parts_of_days_make_up_the_whole(zone: str, start_s: int, length_s: int) -> None:
    parts = [span for _, span in day_parts(zone, start_s, start_s + length_s)]
    assert sum(span.end_s - span.start_s for span in parts) == length_s
    assert (parts[0].start_s, parts[-1].end_s) == (start_s, start_s + length_s)
    assert all(a.end_s == b.start_s for a, b in pairwise(parts))
    for day, span in day_parts(zone, start_s, start_s + min(length_s, 4_000_000)):
        for second in (span.start_s, span.end_s - 1):
            assert datetime.fromtimestamp(second, ZoneInfo(zone)).date() == date_of(day)


def test_spans_join_over_the_new_year() -> None:
    spans = offsets("Europe/London", seconds_of(datetime(2025, 12, 1, tzinfo=UTC)), 1_770_000_000)
    assert [span.offset_s for span in spans] == [0]


def test_months() -> None:
    assert [YearMonth(2024, 2).days(), YearMonth(2100, 2).days()] == [29, 28]
    assert YearMonth(2026, 1).after(-1) == YearMonth(2025, 12)
    assert str(YearMonth(2026, 3)) == "2026-03"
