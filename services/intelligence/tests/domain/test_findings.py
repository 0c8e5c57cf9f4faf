from datetime import date, timedelta

import pytest

from intelligence.domain.findings import Daily, deviation, severity_of

TODAY = date(2026, 11, 21)


def days(*values: float) -> list[Daily]:
    """Whole days, the last of them yesterday."""
    return [
        Daily(TODAY - timedelta(days=len(values) - place), value)
        for place, value in enumerate(values)
    ]


WOBBLE = [20.0, 20.2, 19.8, 20.1, 19.9] * 6


def test_a_drift_beyond_three_deviations_is_found_with_its_numbers() -> None:
    found = deviation(days(*WOBBLE[:28], *[21.5] * 7), TODAY, least_change=0.02)
    assert found is not None
    assert (found.recent, found.usual) == (21.5, pytest.approx(20.0))
    # MAD 0.1, scaled 0.148, three times: 0.445.
    assert (found.low, found.high) == (
        pytest.approx(19.555, abs=1e-3),
        pytest.approx(20.445, abs=1e-3),
    )
    assert found.change == pytest.approx(0.075)
    assert found.severity == "warning"
    assert (found.first_day, found.last_day) == (date(2026, 11, 14), date(2026, 11, 20))
    assert found.compared_from == date(2026, 10, 17)


@pytest.mark.parametrize(
    "recent",
    [[20.4] * 7, [19.6] * 7, [30.0, *[20.0] * 6], [20.0] * 4 + [0.0] * 3],
    ids=["inside", "inside below", "one bad day", "a blackout of three days"],
)
def test_what_is_usual_or_short_is_no_finding(recent: list[float]) -> None:
    assert deviation(days(*WOBBLE[:28], *recent), TODAY, least_change=0.02) is None


def test_a_series_that_hardly_moves_does_not_cry_at_trifles() -> None:
    assert deviation(days(*[20.0] * 28, *[20.3] * 7), TODAY, least_change=0.02) is None
    assert deviation(days(*[20.0] * 28, *[20.5] * 7), TODAY, least_change=0.02) is not None


@pytest.mark.parametrize(("earlier", "recent"), [(9, 7), (28, 3), (0, 7), (0, 0)])
def test_too_few_days_say_nothing(earlier: int, recent: int) -> None:
    series = days(*[20.0] * earlier, *[25.0] * recent)
    if recent == 3:
        series = [
            one for one in days(*[20.0] * 28, *[25.0] * 7) if one.day.day not in range(14, 18)
        ]
    assert deviation(series, TODAY, least_change=0.02) is None


def test_a_site_that_stood_still_is_compared_with_nothing() -> None:
    assert deviation(days(*[0.0] * 28, *[25.0] * 7), TODAY, least_change=0.02) is None


def test_today_is_not_whole_and_not_looked_at() -> None:
    series = [*days(*[20.0] * 35), Daily(TODAY, 99.0)]
    assert deviation(series, TODAY, least_change=0.02) is None


def test_severity_follows_the_size() -> None:
    assert [severity_of(share) for share in (0.0, 0.049, 0.05, 0.0999, 0.1, 2.0)] == [
        "info", "info", "warning", "warning", "critical", "critical",
    ]  # fmt: skip
