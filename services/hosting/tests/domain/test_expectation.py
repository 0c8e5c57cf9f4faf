from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from hosting.domain.expectation import age_s, earned, energy_kwh, is_stale

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_day_of_a_terahash_is_the_hashprice() -> None:
    assert earned(1.0, Decimal("0.00000040")) == Decimal("0.00000040")
    assert earned(234.5, Decimal("0.04")) == Decimal("9.38")
    assert earned(100, Decimal("0.04"), 90) == Decimal("0.25")
    assert earned(0.0, Decimal("0.04")) == 0


def test_a_float_is_taken_as_it_is_written() -> None:
    assert earned(0.1, Decimal(1)) == Decimal("0.1")


def test_a_steady_power_draws_by_the_minute() -> None:
    assert energy_kwh(3500) == 84
    assert energy_kwh(0.1, 60) == Decimal("0.0001")
    assert energy_kwh(3150, 90) == Decimal("4.725")


def test_a_whole_fleet_of_the_largest_machines_is_still_exact() -> None:
    assert earned(1e9, Decimal("0.00000043210987")) == Decimal("432.10987")


@pytest.mark.parametrize(("seconds", "shown"), [(0, 0), (59.9, 59), (3600, 3600), (-30, 0)])
def test_a_quote_of_the_future_has_no_age(seconds: float, shown: int) -> None:
    assert age_s(NOON - timedelta(seconds=seconds), NOON) == shown


def test_what_was_old_or_is_followed_by_silence_is_stale() -> None:
    quarter = timedelta(minutes=15)
    assert not is_stale(NOON - quarter, NOON, was_stale=False)
    assert is_stale(NOON - quarter - timedelta(seconds=1), NOON, was_stale=False)
    assert is_stale(NOON, NOON, was_stale=True)
