"""Counters start again, and say so; a delta is never negative."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.domain.counters import Counters, Deltas, counters_of, deltas
from telemetry.domain.reading import Flag, Outcome, Reading

BEFORE = Counters(accepted=100, rejected=5, stale=0, hardware_errors=7, mining_uptime_s=3600)


def test_the_first_reading_tells_nothing() -> None:
    assert deltas(None, BEFORE) == Deltas()


def test_counters_that_grew_give_their_difference() -> None:
    now = Counters(112, 5, 1, 9, 3660)
    assert deltas(BEFORE, now) == Deltas(12, 0, 1, 2)


def test_after_a_restart_all_counters_count_from_zero() -> None:
    now = Counters(3, 0, 0, 8, 40)  # the errors are already more than before
    assert deltas(BEFORE, now) == Deltas(3, 0, 0, 8, restarted=True)


def test_a_restart_that_keeps_the_counters_gives_their_difference() -> None:
    assert deltas(BEFORE, Counters(101, 5, 0, 7, 0)) == Deltas(1, 0, 0, 0, restarted=True)


def test_a_counter_that_went_back_while_the_uptime_grew_is_null_and_flagged() -> None:
    now = Counters(90, 6, 0, 7, 3660)
    assert deltas(BEFORE, now) == Deltas(None, 1, 0, 0, flags=(Flag.COUNTER_WENT_BACK,))


def test_a_counter_the_miner_does_not_say_has_no_delta() -> None:
    assert deltas(BEFORE, Counters(mining_uptime_s=3660)) == Deltas()
    assert deltas(Counters(), Counters(accepted=4)) == Deltas()


def test_the_counters_of_a_reading_are_taken() -> None:
    reading = Reading(Outcome.OK, accepted=1, rejected=2, stale=3, hardware_errors=4)
    assert counters_of(reading) == Counters(1, 2, 3, 4, None)


counts = st.none() | st.integers(0, 1000)


@pytest.mark.parametrize("name", ["accepted", "rejected", "stale", "hardware_errors"])
@given(st.builds(Counters, *[counts] * 5), st.builds(Counters, *[counts] * 5))
def test_no_delta_is_negative(name: str, before: Counters, now: Counters) -> None:
    found = getattr(deltas(before, now), name)
    assert found is None or 0 <= found <= getattr(now, name)
