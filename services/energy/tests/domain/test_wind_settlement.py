"""Settlement periods on ordinary days and on the days of the clock change (energy.md §2)."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.domain.settlement import (
    HALF_HOUR,
    NoSuchPeriod,
    day_of,
    day_start,
    days_between,
    period_at,
    period_start,
    periods_in,
    periods_of,
)

DAYS = st.dates(date(2009, 1, 1), date(2060, 12, 31))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_known_answer_5_the_short_day_of_2025() -> None:
    day = date(2025, 3, 30)
    assert periods_in(day) == 46
    assert period_start(day, 1) == utc("2025-03-30T00:00")
    assert period_start(day, 2) == utc("2025-03-30T00:30")
    assert period_start(day, 3) == utc("2025-03-30T01:00")  # 02:00 in London
    assert period_start(day, 46) == utc("2025-03-30T22:30")
    with pytest.raises(NoSuchPeriod, match="1 to 46, not 47"):
        period_start(day, 47)


def test_known_answer_6_the_long_day_of_2025() -> None:
    day = date(2025, 10, 26)
    assert periods_in(day) == 50
    assert period_start(day, 1) == utc("2025-10-25T23:00")
    assert period_start(day, 3) == utc("2025-10-26T00:00")  # 01:00 in London, the first time
    assert period_start(day, 5) == utc("2025-10-26T01:00")  # 01:00 in London, the second time
    assert period_start(day, 50) == utc("2025-10-26T23:30")
    with pytest.raises(NoSuchPeriod, match="1 to 50, not 51"):
        period_start(day, 51)


@pytest.mark.parametrize(("year", "periods"), [(2024, 17_568), (2025, 17_520), (2026, 17_520)])
def test_known_answer_11_periods_of_years(year: int, periods: int) -> None:
    days = days_between(date(year, 1, 1), date(year, 12, 31))
    assert sum(map(periods_in, days)) == periods


def test_known_answer_11_clock_changes() -> None:
    assert periods_in(date(2026, 3, 29)) == 46
    assert periods_in(date(2026, 10, 25)) == 50
    assert periods_in(date(2027, 10, 31)) == 50


@pytest.mark.parametrize("number", [0, -1, 49])
def test_a_usual_day_has_48(number: int) -> None:
    with pytest.raises(NoSuchPeriod):
        period_start(date(2025, 1, 15), number)


@given(DAYS)
def test_periods_follow_each_other_without_a_gap(day: date) -> None:
    periods = periods_of(day)
    assert [one.number for one in periods] == list(range(1, periods_in(day) + 1))
    assert periods[0].start == day_start(day)
    assert all(a.end == b.start for a, b in pairwise(periods))
    assert periods[-1].end == day_start(date.fromordinal(day.toordinal() + 1))


@given(st.integers(0, 50 * 365 * 24 * 3600))
def test_an_instant_lies_in_the_period_that_is_said(seconds: int) -> None:
    instant = datetime(2009, 1, 2, tzinfo=UTC) + timedelta(seconds=seconds)
    day, number = period_at(instant)
    assert day == day_of(instant)
    assert period_start(day, number) <= instant < period_start(day, number) + HALF_HOUR
