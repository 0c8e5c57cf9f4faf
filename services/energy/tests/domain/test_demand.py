"""Demand: over its interval, by period, with a memory, and at the system's peaks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from energy.domain.billing import Bill, bill, bill_exact
from energy.domain.load import Interval, Load
from energy.domain.tariff import Tariff, Window
from energy.domain.zone import YearMonth

D = Decimal
UTC_DAY = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FLAT = Tariff(name="f", rate_type="flat", timezone="UTC", flat_rate=D("0.10"))


def loads(*kwh: str | int, start: datetime = UTC_DAY, each: timedelta = HOUR) -> Load:
    return Load.of_intervals(
        [
            Interval(start + row * each, start + (row + 1) * each, kwh=D(one))
            for row, one in enumerate(kwh)
        ]
    )


def amounts(found: Bill, kind: str) -> list[tuple[str, Decimal]]:
    return [(line.name, line.amount) for line in found.lines if line.kind == kind]


TWO_PERIODS = Tariff(
    name="t",
    rate_type="tou",
    timezone="UTC",
    windows=(
        Window(name="Day", rate=D(9), start_minute=0, end_minute=720),
        Window(name="Night", rate=D(9), start_minute=720),
    ),
)


def test_demand_is_measured_over_its_interval() -> None:
    """Quarters of 1, 9, 9 and 1 kWh: 36 kW; over half hours 20 kW, but 36 where they slide."""
    load = loads(1, 9, 9, 1, each=timedelta(minutes=15))
    by_15 = replace(FLAT, demand_charge_per_kw=D(10))
    by_30 = replace(by_15, demand_interval_minutes=30)
    sliding = replace(by_30, demand_window="sliding")
    assert [bill(one, load).demand_charge for one in (by_15, by_30, sliding)] == [360, 200, 360]
    assert bill(sliding, load).peaks_kw == {YearMonth(2026, 6): D(36)}


def test_a_sliding_hour_need_not_begin_on_the_hour() -> None:
    """Twenty minutes each at 9, 27, 27 and 9 kW: the best hour has both of 27."""
    load = loads(3, 9, 9, 3, each=timedelta(minutes=20))
    tariff = replace(
        FLAT, demand_charge_per_kw=D(1), demand_interval_minutes=60, demand_window="sliding"
    )
    assert bill(tariff, load).demand_charge == 21


def test_a_sliding_peak_of_readings_of_odd_lengths() -> None:
    """Cut at midnight, at prime numbers of seconds: the units outgrow int64 and stay exact."""
    start = UTC_DAY + timedelta(seconds=5)
    ends = [start + timedelta(seconds=one) for one in (86_399, 86_399 + 86_381)]
    load = Load.of_intervals(
        [
            Interval(start, ends[0], kwh=D("86399000.000001")),
            Interval(ends[0], ends[1], kwh=D("0.000001")),
        ]
    )
    tariff = replace(FLAT, demand_charge_per_kw=D(1), demand_window="sliding")
    assert bill(tariff, load).lines[1].quantity == 3_600_000
    assert bill(tariff, load) == bill_exact(tariff, load)


def test_energy_outside_the_span_is_no_demand() -> None:
    """Ten minutes of 90 kW are 15 kWh, which is 60 kW over a quarter of an hour."""
    load = loads(15, each=timedelta(minutes=10))
    assert bill(replace(FLAT, demand_charge_per_kw=D(1)), load).demand_charge == 60


def test_readings_coarser_than_the_interval_are_said() -> None:
    tariff = replace(FLAT, demand_charge_per_kw=D(10))
    [line] = [one for one in bill(tariff, loads(10)).lines if one.kind == "demand"]
    assert (line.quantity, line.amount) == (10, 100)
    assert line.note is not None
    assert line.note.startswith("readings of up to 60 minutes: a higher demand over 15 minutes")
    constant = Load.of_power(UTC_DAY, UTC_DAY + HOUR, D(10_000))
    assert [one.note for one in bill(tariff, constant).lines] == [None, None]


def test_demand_is_charged_once_a_month() -> None:
    load = loads(10, 20, start=datetime(2026, 6, 30, 23, tzinfo=UTC))
    tariff = replace(FLAT, demand_charge_per_kw=D(1))
    assert amounts(bill(tariff, load), "demand") == [("Demand", D(10)), ("Demand", D(20))]


def test_demand_of_periods() -> None:
    tariff = replace(
        TWO_PERIODS,
        demand_charge_per_kw=D(1),
        windows=tuple(
            replace(one, rate=D(0), demand_charge_per_kw=D(charge))
            for one, charge in zip(TWO_PERIODS.windows, (5, 2), strict=True)
        ),
    )
    load = loads(10, 20, start=UTC_DAY + 11 * HOUR)
    assert amounts(bill(tariff, load), "demand") == [
        ("Demand", D(20)),
        ("Demand Day", D(50)),
        ("Demand Night", D(40)),
    ]
    shared = replace(
        tariff,
        windows=tuple(
            replace(one, demand_period="All day", demand_charge_per_kw=D(2))
            for one in tariff.windows
        ),
    )
    assert amounts(bill(shared, load), "demand") == [
        ("Demand", D(20)),
        ("Demand All day", D(40)),
    ]


def test_a_ratchet_remembers_the_months_before() -> None:
    tariff = replace(
        FLAT,
        demand_charge_per_kw=D(1),
        demand_ratchet_percent=D(80),
        demand_ratchet_months=2,
        demand_interval_minutes=60,
    )
    peaks = {YearMonth(2026, 4): D(200), YearMonth(2026, 3): D(900)}
    found = bill(tariff, loads(50), earlier_peaks_kw=peaks)
    [line] = [one for one in found.lines if one.kind == "demand"]
    assert (line.quantity, line.note) == (160, "80 % of the peak of 2026-04")
    assert found.peaks_kw == {YearMonth(2026, 6): D(50)}


def test_a_ratchet_within_one_bill() -> None:
    """Months of 100, 10, 10 and 10 kW: 90, 90, then forgotten."""
    load = Load.of_intervals(
        [
            Interval(
                datetime(2026, month, 5, tzinfo=UTC),
                datetime(2026, month, 5, 1, tzinfo=UTC),
                kwh=D(100 if month == 1 else 10),
            )
            for month in range(1, 5)
        ]
    )
    tariff = replace(
        FLAT,
        demand_charge_per_kw=D(1),
        demand_ratchet_percent=D(90),
        demand_ratchet_months=2,
    )
    assert [one for _, one in amounts(bill(tariff, load), "demand")] == [100, 90, 90, 10]


def test_coincident_peaks_count_the_systems_hours() -> None:
    hours = tuple((UTC_DAY + n * HOUR, UTC_DAY + (n + 1) * HOUR) for n in (1, 3, 99))
    tariff = replace(FLAT, coincident_peak_per_kw=D(4), coincident_hours=hours)
    found = bill(tariff, loads(1, 20, 1, 40, 1))
    assert (found.coincident_charge, found.demand_charge) == (120, 0)
    assert bill(tariff, loads(5)).coincident_charge == 0


def test_a_coincident_hour_over_a_months_end_is_of_both_months() -> None:
    start, end = datetime(2026, 6, 30, 23, 30, tzinfo=UTC), datetime(2026, 7, 1, 0, 30, tzinfo=UTC)
    tariff = replace(FLAT, coincident_peak_per_kw=D(10), coincident_hours=((start, end),))
    load = Load.of_intervals(
        [
            Interval(start - 8 * HOUR, end - HOUR / 2, power_w=D(100_000)),
            Interval(end - HOUR / 2, end + 8 * HOUR, power_w=D(40_000)),
        ]
    )
    found = bill(tariff, load)
    lines = [(str(one.month), one.amount) for one in found.lines if one.kind == "coincident"]
    assert lines == [("2026-06", 1000), ("2026-07", 400)]
    assert bill_exact(tariff, load) == found
    alone = Load.of_power(end - HOUR / 2, end + 8 * HOUR, D(40_000))
    assert bill(tariff, alone).coincident_charge == 400
