"""Document 003's own figures, and what the original answers wrongly, as it was measured."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from energy.domain.billing import Bill, bill
from energy.domain.load import Interval, Load, Unbillable
from energy.domain.tariff import Tariff, Tier, Window
from energy.domain.validation import defects

NEW_YORK = ZoneInfo("America/New_York")
NIGHT = Window(name="Off-Peak", rate=Decimal("0.08"), start_minute=21 * 60, end_minute=7 * 60)
DAY = Window(name="Peak", rate=Decimal("0.18"), start_minute=7 * 60, end_minute=21 * 60)
FLAT = Tariff(
    name="My Flat Rate",
    rate_type="flat",
    timezone="America/New_York",
    flat_rate=Decimal("0.12"),
    daily_service_charge=Decimal("0.50"),
)
TOU = Tariff(name="TOU Rate", rate_type="tou", timezone="America/New_York", windows=(NIGHT, DAY))
WORKDAYS, WEEKEND = frozenset(range(5)), frozenset({5, 6})
SUMMER = replace(
    TOU,
    name="TOU - Summer 2024",
    windows=(
        NIGHT,
        Window(
            name="Shoulder", rate=Decimal("0.12"), days=WORKDAYS, start_minute=420, end_minute=1020
        ),
        Window(
            name="Peak", rate=Decimal("0.22"), days=WORKDAYS, start_minute=1020, end_minute=1260
        ),
        Window(
            name="Weekend", rate=Decimal("0.09"), days=WEEKEND, start_minute=420, end_minute=1260
        ),
    ),
)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def cost(tariff: Tariff, start: datetime, end: datetime, power_w: int = 3000) -> Bill:
    assert not defects(tariff)
    return bill(tariff, Load.of_power(start, end, Decimal(power_w)))


def test_seventy_two_kwh_cost_nine_fourteen() -> None:
    found = cost(FLAT, local("2026-03-03"), local("2026-03-04"))
    assert found.total_kwh == 72
    assert (found.energy_cost, found.service_charge) == (Decimal("8.64"), Decimal("0.50"))
    assert found.total_cost == Decimal("9.14")


def test_time_of_use_costs_nine_ninety_six() -> None:
    found = cost(TOU, local("2026-03-03"), local("2026-03-04"))
    assert found.breakdown == {"Off-Peak": Decimal("2.40"), "Peak": Decimal("7.56")}
    assert found.total_cost == Decimal("9.96")


@pytest.mark.parametrize("first", ["2026-06-01", "2026-11-01", "2026-03-01"])
def test_thirty_days_of_service_are_fifteen(first: str) -> None:
    found = cost(FLAT, local(first), local(first) + timedelta(days=30), 0)
    assert found.service_charge == found.total_cost == Decimal("15.00")
    assert found.avg_rate is None


def test_half_a_day_of_service_is_half() -> None:
    found = cost(FLAT, local("2026-03-03T06:00"), local("2026-03-03T18:00"))
    assert found.service_charge == Decimal("0.25")


def test_five_times_a_hundred_kw_are_five_hundred() -> None:
    tariff = replace(FLAT, demand_charge_per_kw=Decimal("5.00"))
    intervals = [
        Interval(
            local("2026-03-03") + timedelta(minutes=15 * row),
            local("2026-03-03") + timedelta(minutes=15 * row + 15),
            power_w=Decimal(100_000 if row == 50 else 3000),
        )
        for row in range(96)
    ]
    found = bill(tariff, Load.of_intervals(intervals))
    assert found.demand_charge == Decimal("500.00")


def test_the_clock_of_the_site_counts() -> None:
    """20:00 to 21:00 in New York; the original read 00:00 from the instant: 0.24."""
    start = datetime(2026, 3, 4, 1, tzinfo=UTC)
    assert cost(TOU, start, start + timedelta(hours=1)).energy_cost == Decimal("0.54")


def test_an_hour_over_a_boundary_has_both_prices() -> None:
    """The original billed the price of its first minute: 0.24."""
    found = cost(TOU, local("2026-03-03T06:30"), local("2026-03-03T07:30"))
    assert found.breakdown == {"Off-Peak": Decimal("0.12"), "Peak": Decimal("0.27")}


def test_a_day_from_half_past_midnight() -> None:
    found = cost(TOU, local("2026-03-03T00:30"), local("2026-03-04T00:30"))
    assert found.energy_cost == Decimal("9.96")


def test_a_saturday_of_the_default_rate() -> None:
    found = cost(SUMMER, local("2026-03-07"), local("2026-03-08"))
    assert found.breakdown == {"Off-Peak": Decimal("2.40"), "Weekend": Decimal("3.78")}


@pytest.mark.parametrize(
    ("day", "kwh", "right"), [("2026-03-08", 69, "9.72"), ("2026-11-01", 75, "10.20")]
)
def test_days_of_23_and_25_hours(day: str, kwh: int, right: str) -> None:
    """The original: 72 kWh and 9.96 on both. A day of service is one day on both."""
    after = local(day) + timedelta(days=1)
    tariff = replace(TOU, daily_service_charge=Decimal("0.50"))
    found = cost(tariff, local(day), after)
    assert found.total_kwh == kwh
    assert found.energy_cost == Decimal(right)
    assert found.service_charge == Decimal("0.50")


def test_a_friday_night_belongs_to_friday_where_the_tariff_says_so() -> None:
    """Saturday 03:00 and Friday 03:00: the original had .30 and .05, the other way about."""
    window = Window(
        name="Friday night",
        rate=Decimal("0.05"),
        days=frozenset({4}),
        start_minute=22 * 60,
        end_minute=6 * 60,
    )
    by_start = replace(TOU, windows=(window,), flat_rate=Decimal("0.30"), wrap_day="start")
    by_instant = replace(by_start, wrap_day="instant")
    friday, saturday = local("2026-03-06T03:00"), local("2026-03-07T03:00")
    hour = timedelta(hours=1)
    prices = [
        cost(tariff, at, at + hour, 1000).energy_cost
        for tariff in (by_start, by_instant)
        for at in (friday, saturday)
    ]
    assert prices == [Decimal(one) for one in ("0.30", "0.05", "0.05", "0.30")]


def test_a_summer_tariff_does_not_hold_in_january() -> None:
    """18:00 on a workday: .12, the fallback; the original took its peak of .22."""
    tariff = replace(SUMMER, season_start_month=5, season_end_month=9, flat_rate=Decimal("0.12"))
    winter = cost(tariff, local("2026-01-14T18:00"), local("2026-01-14T19:00"), 1000)
    summer = cost(tariff, local("2026-07-14T18:00"), local("2026-07-14T19:00"), 1000)
    assert (winter.breakdown, summer.breakdown) == (
        {"Flat": Decimal("0.12")},
        {"Peak": Decimal("0.22")},
    )


def test_a_tiered_rate_is_not_free() -> None:
    """30,000 kWh: 500 + 975 + 2,100 = 3,575; the original: 0.0."""
    steps = ((5_000, "0.10"), (12_500, "0.13"), (None, "0.12"))
    tiers = tuple(Tier(None if top is None else Decimal(top), Decimal(r)) for top, r in steps)
    tariff = replace(FLAT, rate_type="tiered", flat_rate=None, tiers=tiers)
    start = local("2026-06-01")
    load = Load.of_intervals([Interval(start, start + timedelta(days=30), kwh=Decimal(30_000))])
    assert bill(tariff, load).energy_cost == Decimal(3575)


def test_a_reversed_interval_is_refused() -> None:
    """The original: -72 kWh for 0, and no error."""
    with pytest.raises(Unbillable) as refused:
        Load.of_power(local("2026-03-04"), local("2026-03-03"), Decimal(3000))
    assert (refused.value.code, refused.value.field) == ("end_before_start", "end")


def test_a_window_of_no_length_is_refused() -> None:
    found = defects(replace(TOU, windows=(replace(DAY, start_minute=0, end_minute=0),)))
    assert [one.code for one in found] == ["window_empty"]


def test_hours_without_a_price_are_refused_not_free() -> None:
    tariff = replace(TOU, windows=(DAY,))
    assert [one.code for one in defects(tariff)] == ["schedule_has_holes"]
    with pytest.raises(Unbillable, match="neither a period nor a fallback"):
        bill(tariff, Load.of_power(local("2026-03-03"), local("2026-03-04"), Decimal(3000)))


def test_the_last_minute_of_a_day_is_not_lost() -> None:
    """Another tool ends its days at 23:59; the minute after would have no price."""
    windows = (replace(NIGHT, end_minute=1439), replace(NIGHT, start_minute=0, end_minute=1260))
    [found] = defects(replace(TOU, windows=windows))
    assert "monday 23:59-24:00 in month 1" in found.message


def test_of_two_windows_neither_wins() -> None:
    """The original took the first."""
    [found] = defects(replace(TOU, windows=(NIGHT, replace(DAY, start_minute=6 * 60))))
    assert found.code == "schedule_overlaps"
    assert "monday 06:00-07:00 in month 1: Off-Peak, Peak" in found.message


def test_a_record_that_ends_at_midnight_belongs_to_its_day() -> None:
    found = cost(TOU, local("2026-03-31T23:30"), local("2026-04-01"))
    assert [str(month.month) for month in found.months] == ["2026-03"]


def test_a_leap_day_is_a_day() -> None:
    found = cost(FLAT, local("2028-02-01"), local("2028-03-01"), 1000)
    assert (found.total_kwh, found.service_charge) == (29 * 24, Decimal("14.50"))
    assert date(2028, 2, 29).weekday() == 1
