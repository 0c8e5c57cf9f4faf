from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from intelligence.domain.forecast import Numbers
from intelligence.domain.forecast_load import (
    HALF_HOUR,
    NO_CHANGE,
    PER_DAY,
    WEEK_AGO,
    LoadForecast,
    forecast_load,
    local_places,
)

BERLIN = ZoneInfo("Europe/Berlin")
NAMES = ("model", "baseline")


def local(start: datetime, count: int, zone: ZoneInfo = BERLIN) -> list[datetime]:
    return [(start + place * HALF_HOUR).astimezone(zone) for place in range(count)]


def evening_off(start: datetime, count: int, *, noise: float, seed: int = 1) -> Numbers:
    """18 MW, and a third less on weekday evenings by the wall clock."""
    dice = np.random.default_rng(seed)
    flat = [
        12_000.0 if 17 <= at.hour < 20 and at.weekday() < 5 else 18_000.0
        for at in local(start, count)
    ]
    return np.array(flat) + dice.normal(0, noise, count)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Chicago", "Asia/Kathmandu", "UTC"])
@pytest.mark.parametrize("days", [1, 7])
def test_the_same_local_time_is_found_over_both_clock_changes(zone: str, days: int) -> None:
    start, count = datetime(2026, 1, 1, tzinfo=UTC), 365 * PER_DAY
    places: list[int] = local_places(start, count, ZoneInfo(zone), days).tolist()
    times = local(start, count, ZoneInfo(zone))
    wrong = 0
    for place in range(8 * PER_DAY, count):
        then, now = times[places[place]], times[place]
        same_day = then.date() == now.date() - timedelta(days=days)
        wrong += not (same_day and (then.hour, then.minute) == (now.hour, now.minute))
    # Only what the other day does not have: the hour that is left out, in spring.
    assert wrong <= (0 if zone in ("UTC", "Asia/Kathmandu") else 4)


def test_a_week_before_a_23_hour_day_is_167_hours_and_before_a_25_hour_day_169() -> None:
    spring = datetime(2026, 3, 20, tzinfo=UTC)
    noon = round((datetime(2026, 3, 29, 12, tzinfo=BERLIN).astimezone(UTC) - spring) / HALF_HOUR)
    assert noon - local_places(spring, noon + 1, BERLIN, 7)[noon] == 2 * 167
    autumn = datetime(2026, 10, 15, tzinfo=UTC)
    noon = round((datetime(2026, 10, 25, 12, tzinfo=BERLIN).astimezone(UTC) - autumn) / HALF_HOUR)
    assert noon - local_places(autumn, noon + 1, BERLIN, 7)[noon] == 2 * 169


@pytest.mark.parametrize(
    "changes_at", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
)
def test_the_evening_follows_the_wall_clock_over_a_clock_change(changes_at: datetime) -> None:
    start = changes_at - timedelta(days=21)
    count, horizon = 20 * PER_DAY, 3 * PER_DAY
    found = forecast_load(start, evening_off(start, count, noise=0), BERLIN, horizon, names=NAMES)
    assert found.band.method == WEEK_AGO
    wanted = evening_off(start + count * HALF_HOUR, horizon, noise=0)
    assert found.band.predicted == pytest.approx(wanted)


def measured(days: int, noise: float) -> LoadForecast:
    start = datetime(2026, 9, 1, tzinfo=UTC)
    series = evening_off(start, days * PER_DAY, noise=noise)
    return forecast_load(start, series, BERLIN, 2 * PER_DAY, names=NAMES)


def test_the_best_method_of_the_past_is_used_and_beats_no_change() -> None:
    found = measured(56, 200)
    assert found.band.method == WEEK_AGO
    assert found.baseline.method == NO_CHANGE
    for row in found.measured:
        assert row.scores["model"].mae < row.scores["baseline"].mae / 3


def test_measured_coverage_is_near_nominal() -> None:
    for row in measured(56, 200).measured:
        assert row.scores["model"].coverage_80 == pytest.approx(0.80, abs=0.04)
        assert row.scores["model"].coverage_95 == pytest.approx(0.95, abs=0.03)


def test_fourteen_days_are_enough_to_measure() -> None:
    found = measured(14, 200)
    assert [row.horizon for row in found.measured] == [48, 96]
    assert (found.band.within_95 >= found.band.within_80).all()
    assert (np.diff(found.band.within_80) >= 0).all()


def test_a_load_that_never_changes_has_no_width() -> None:
    start = datetime(2026, 9, 1, tzinfo=UTC)
    found = forecast_load(start, np.full(14 * PER_DAY, 18e3), BERLIN, 48, names=NAMES)
    assert not found.band.within_95.any()
    assert found.band.predicted == pytest.approx(np.full(48, 18e3))


def test_unknown_half_hours_do_not_spread() -> None:
    start = datetime(2026, 9, 1, tzinfo=UTC)
    series = evening_off(start, 30 * PER_DAY, noise=100)
    series[np.random.default_rng(3).random(len(series)) < 0.1] = np.nan
    series[-3:] = np.nan
    found = forecast_load(start, series, BERLIN, 288, names=NAMES)
    assert np.isfinite(found.band.predicted).all()
    assert np.isfinite(found.baseline.predicted).all()
    assert np.isfinite(found.band.within_95).all()


def test_a_site_that_stands_still_is_forecast_to_stand_still() -> None:
    start = datetime(2026, 9, 1, tzinfo=UTC)
    found = forecast_load(start, np.zeros(14 * PER_DAY), BERLIN, 96, names=NAMES)
    assert not found.band.predicted.any()
    assert found.measured == []  # a percentage of nothing is no number
