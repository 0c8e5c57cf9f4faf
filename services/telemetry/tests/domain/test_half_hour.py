"""Closing a half-hour: what is known counts, what is not known is absent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.domain.half_hour import HalfHour, Interval, SlotReading, close_half_hour


def _close(readings: list[SlotReading], intervals: list[Interval] | None = None) -> HalfHour:
    return close_half_hour(readings, intervals or [], slots=30, slot_hours=1 / 60, hold_slots=3)


def _run(first: int, last: int, **values: Any) -> list[SlotReading]:
    known: dict[str, Any] = {"up": True, "power_w": 3000.0, "hashrate_ths": 100.0} | values
    return [SlotReading(slot, **known) for slot in range(first, last)]


def test_a_whole_half_hour() -> None:
    row = _close(_run(0, 30))
    assert row.kwh == pytest.approx(1.5)
    assert row.th_h == pytest.approx(50)
    assert (row.state, row.cause, row.coverage) == ("hashing", None, 1.0)


def test_three_missing_slots_are_held_and_no_more() -> None:
    assert _close(_run(0, 10) + _run(13, 30)).coverage == 1.0
    row = _close(_run(0, 10) + _run(20, 30))
    assert row.coverage == pytest.approx(23 / 30)
    assert row.kwh == pytest.approx(23 * 0.05)


def test_a_reading_before_the_start_is_held_over_it() -> None:
    assert _close(_run(-3, -2)).coverage == pytest.approx(1 / 30)
    assert _close(_run(-1, 0)).coverage == pytest.approx(3 / 30)


def test_silence_is_absent_not_zero() -> None:
    row = _close(_run(0, 30, up=False, power_w=None, hashrate_ths=None))
    assert (row.kwh, row.th_h, row.state, row.coverage) == (None, None, "offline", 0.0)
    assert _close([]).state == "unknown"


def test_a_machine_that_reports_no_watts_has_work_and_no_energy() -> None:
    row = _close(_run(0, 30, power_w=None))
    assert row.kwh is None
    assert row.th_h == pytest.approx(50)
    assert (row.state, row.coverage) == ("hashing", 0.0)


def test_curtailed_time_has_its_cause() -> None:
    readings = _run(0, 10) + _run(10, 30, power_w=20.0, hashrate_ths=0.0)
    row = _close(readings, [Interval(10, 30, "economic", curtailed=True)])
    assert (row.state, row.cause) == ("curtailed", "economic")
    assert row.kwh == pytest.approx(0.5 + 20 * 20 / 60 / 1000)
    assert _close(readings).state == "idle"


def test_the_cause_is_the_one_that_covers_most_of_the_standstill() -> None:
    readings = _run(0, 30, up=False, power_w=None, hashrate_ths=None)
    intervals = [Interval(-5, 10, "maintenance"), Interval(5, 40, "grid")]
    assert _close(readings, intervals).cause == "grid"
    assert _close(_run(0, 30), intervals).cause is None


@given(
    st.lists(st.tuples(st.integers(-3, 29), st.none() | st.floats(0, 1e5)), max_size=40),
    st.integers(0, 5),
)
def test_never_more_than_the_highest_power_and_never_uncovered(
    values: list[tuple[int, float | None]], hold: int
) -> None:
    latest = dict(values)
    readings = [SlotReading(slot, up=True, power_w=p, hashrate_ths=p) for slot, p in latest.items()]
    row = close_half_hour(readings, [], slots=30, slot_hours=1 / 60, hold_slots=hold)
    assert 0 <= row.coverage <= 1
    assert (row.kwh is None) == (row.coverage == 0)
    if row.kwh is not None:
        highest = max(p for p in latest.values() if p is not None)
        assert row.kwh <= highest * row.coverage * 0.5 / 1000 + 1e-9
