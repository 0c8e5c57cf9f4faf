"""Which window holds when, and what a half-hour costs."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from energy.domain.load import IndexPrices, Unbillable
from energy.domain.schedule import coverage, half_hour_prices, period_at
from energy.domain.tariff import Tariff, Tier, Window
from energy.domain.validation import defects

PRAGUE = ZoneInfo("Europe/Prague")


def window(name: str, rate: str, start: int = 0, end: int = 24, **more: object) -> Window:
    return replace(
        Window(name=name, rate=Decimal(rate), start_minute=60 * start, end_minute=60 * end), **more
    )


def tou(*windows: Window, **more: object) -> Tariff:
    tariff = Tariff(name="t", rate_type="tou", timezone="Europe/Prague", windows=windows)
    return replace(tariff, **more)


NIGHT_DAY = tou(window("Night", "0.1", 22, 6), window("Day", "0.2", 6, 22))
TYPED = tou(
    window("Work", "0.2", day_type="weekday"),
    window("Weekend", "0.15", day_type="weekend"),
    window("Holiday", "0.05", day_type="holiday"),
    holidays=frozenset({date(2026, 5, 8), date(2026, 7, 5)}),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PRAGUE)


@pytest.mark.parametrize(
    ("instant", "name"),
    [
        ("2026-05-07T23:59:59", "Work"),
        ("2026-05-08T00:00", "Holiday"),
        ("2026-05-09T12:00", "Weekend"),
        ("2026-07-05T12:00", "Holiday"),
        ("2026-07-06T00:00", "Work"),
    ],
)
def test_kinds_of_days(instant: str, name: str) -> None:
    assert not defects(TYPED)
    assert period_at(TYPED, at(instant)).name == name


def test_a_holiday_wins_nothing_by_itself() -> None:
    """A row without a kind of day holds on holidays as well, so both claim them."""
    tariff = replace(TYPED, windows=(window("All", "0.2"), *TYPED.windows[2:]))
    [found] = coverage(tariff, 2026).overlaps[:1]
    assert (found.month, found.day, found.names) == (5, "holiday", ("All", "Holiday"))
    assert [one.code for one in defects(tariff)] == ["schedule_overlaps"]


def test_a_price_holds_between_its_boundaries() -> None:
    found = period_at(NIGHT_DAY, at("2026-03-29T01:30"))
    assert (found.name, found.rate) == ("Night", Decimal("0.1"))
    assert found.starts_at == at("2026-03-28T22:00")
    assert found.ends_at == at("2026-03-29T06:00")
    assert found.starts_at
    assert found.ends_at
    assert found.ends_at.astimezone(UTC) - found.starts_at.astimezone(UTC) == timedelta(hours=7)


def test_the_next_period_begins_with_its_boundary() -> None:
    assert period_at(NIGHT_DAY, at("2026-03-29T06:00")).name == "Day"
    assert period_at(NIGHT_DAY, at("2026-03-29T05:59:59.999999")).name == "Night"


def test_a_season_over_the_new_year() -> None:
    tariff = tou(
        window("Winter", "0.3"),
        season_start_month=10,
        season_end_month=3,
        flat_rate=Decimal("0.1"),
    )
    winter, summer = period_at(tariff, at("2026-01-15")), period_at(tariff, at("2026-04-01"))
    assert (winter.name, winter.starts_at, winter.ends_at) == (
        "Winter",
        at("2025-10-01"),
        at("2026-04-01"),
    )
    assert (summer.name, summer.ends_at) == ("Flat", at("2026-10-01"))


def test_a_flat_price_has_no_end() -> None:
    tariff = Tariff(name="f", rate_type="flat", timezone="UTC", flat_rate=Decimal("0.12"))
    found = period_at(tariff, at("2026-01-15"))
    assert (found.starts_at, found.ends_at, found.rate) == (None, None, Decimal("0.12"))


def test_windows_of_one_name_and_price_are_one_period() -> None:
    tariff = tou(window("Low", "0.1", 0, 6), window("Low", "0.1", 6, 24))
    assert period_at(tariff, at("2026-01-15")).ends_at is None


def test_a_tiered_price_shows_its_steps() -> None:
    tiers = (Tier(Decimal(100), Decimal("0.3")), Tier(None, Decimal("0.2")))
    tariff = Tariff(name="f", rate_type="tiered", timezone="UTC", tiers=tiers)
    found = period_at(tariff, at("2026-01-15"))
    assert (found.rate, found.tiers) == (Decimal("0.2"), tiers)


def test_an_index_has_the_price_of_its_interval() -> None:
    tariff = Tariff(name="i", rate_type="index", timezone="UTC", adder_per_kwh=Decimal("0.01"))
    start = at("2026-01-15T12:00")
    index = IndexPrices.of([(start, start + timedelta(hours=1), Decimal("-52.5"))])
    found = period_at(tariff, start + timedelta(minutes=59), index)
    assert (found.rate, found.starts_at, found.ends_at) == (
        Decimal("-0.0425"),
        start,
        start + timedelta(hours=1),
    )
    assert period_at(tariff, start + timedelta(hours=1), index).rate is None


def test_months_of_a_window() -> None:
    tariff = tou(
        window("Summer", "0.3", months=frozenset({6, 7, 8})),
        window("Else", "0.1", months=frozenset({1, 2, 3, 4, 5, 9, 10, 11, 12})),
    )
    assert not defects(tariff)
    assert period_at(tariff, at("2026-08-31T23:59")).name == "Summer"
    assert period_at(tariff, at("2026-09-01")).name == "Else"


def test_coverage_names_months_days_and_hours() -> None:
    tariff = tou(
        window("Day", "0.2", 6, 22, days=frozenset(range(5))),
        window("Night", "0.1", 20, 6, days=frozenset({0})),
    )
    found = coverage(tariff, 2026)
    assert str(found.overlaps[0]) == "monday 20:00-22:00 in month 1"
    assert found.overlaps[0].names == ("Day", "Night")
    assert str(found.holes[0]) == "tuesday 00:00-06:00 in month 1"
    assert {hole.month for hole in found.holes} == set(range(1, 13))
    assert [str(hole) for hole in found.holes if hole.month == 1][-1].startswith("sunday 00:00")


def test_touching_spans_are_told_as_one() -> None:
    tariff = tou(window("A", "0.2"), window("B", "0.1", 0, 6), window("B", "0.3", 6, 24))
    found = coverage(tariff, 2026).overlaps
    assert len(found) == 7 * 12
    assert (str(found[0]), found[0].names) == ("monday 00:00-24:00 in month 1", ("A", "B"))


def test_coverage_knows_when_a_wrapped_window_began() -> None:
    """Friday's night ends on Saturday; where the start counts, the month's first night is short."""
    windows = (window("All", "0.1", 6, 22), window("Night", "0.1", 22, 6, months=frozenset({1})))
    by_start = coverage(tou(*windows, wrap_day="start"), 2026).holes
    by_instant = coverage(tou(*windows), 2026).holes
    assert str(by_instant[0]) == "monday 00:00-06:00 in month 2"
    # Thursday, 1 January after a December without it; Sunday, 1 February after January with it.
    assert [str(one) for one in by_start[:2]] == [
        "thursday 00:00-06:00 in month 1",
        "monday 00:00-06:00 in month 2",
    ]


def test_half_hours_have_mean_prices_where_a_boundary_falls_inside() -> None:
    """Kathmandu is 5:45 ahead: its 22:00 is 16:15 UTC."""
    tariff = replace(NIGHT_DAY, timezone="Asia/Kathmandu")
    starts = [
        datetime(2026, 1, 15, 15, 30, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(3)
    ]
    found = half_hour_prices(tariff, starts)
    assert found.nano_per_kwh.tolist() == [200_000_000, 150_000_000, 100_000_000]
    assert found.split.tolist() == [False, True, False]


def test_half_hours_of_an_index() -> None:
    tariff = Tariff(name="i", rate_type="index", timezone="UTC", adder_per_kwh=Decimal("0.002"))
    start = datetime(2026, 1, 15, tzinfo=UTC)
    quarter = timedelta(minutes=15)
    prices = ["-10", "-10", "50", "50.001"]
    index = IndexPrices.of(
        [(start + n * quarter, start + (n + 1) * quarter, Decimal(p)) for n, p in enumerate(prices)]
    )
    found = half_hour_prices(tariff, [start, start + 2 * quarter], index)
    assert found.nano_per_kwh.tolist() == [-8_000_000, 52_000_500]
    assert found.split.tolist() == [False, True]
    with pytest.raises(Unbillable, match=r"no price at 2026-01-15T01:00:00Z"):
        half_hour_prices(tariff, [start + 4 * quarter], index)
    with pytest.raises(Unbillable, match="needs the index's prices"):
        half_hour_prices(tariff, [start])


def test_half_hours_of_a_currency_of_large_numbers() -> None:
    tariff = Tariff(name="f", rate_type="flat", timezone="UTC", flat_rate=Decimal(2_345_678))
    starts = np.arange(3, dtype=np.int64) * 1800
    assert half_hour_prices(tariff, starts).nano_per_kwh.tolist() == [2_345_678 * 10**9] * 3


def test_no_half_hours() -> None:
    assert not len(half_hour_prices(NIGHT_DAY, []).nano_per_kwh)


def test_of_steps_a_half_hour_takes_the_last() -> None:
    tiers = (Tier(Decimal(100), Decimal("0.3")), Tier(None, Decimal("0.2")))
    tariff = Tariff(name="f", rate_type="tiered", timezone="UTC", tiers=tiers)
    assert half_hour_prices(tariff, [at("2026-01-15")]).nano_per_kwh.tolist() == [200_000_000]
