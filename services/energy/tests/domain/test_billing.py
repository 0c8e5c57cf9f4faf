"""Each kind of charge by hand, and what a bill says beside its amounts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from energy.domain.billing import Bill, bill
from energy.domain.load import IndexPrices, Interval, Load, Unbillable
from energy.domain.tariff import Credit, Tariff, Tax, Tier, Window
from energy.domain.zone import seconds_of

D = Decimal
UTC_DAY = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FLAT = Tariff(name="f", rate_type="flat", timezone="UTC", flat_rate=D("0.10"))
STEPS = (Tier(D(100), D("0.10")), Tier(D(300), D("0.20")), Tier(None, D("0.40")))
TIERED = Tariff(name="s", rate_type="tiered", timezone="UTC", tiers=STEPS)


def loads(*kwh: str | int, start: datetime = UTC_DAY, each: timedelta = HOUR) -> Load:
    return Load.of_intervals(
        [
            Interval(start + row * each, start + (row + 1) * each, kwh=D(one))
            for row, one in enumerate(kwh)
        ]
    )


def total(tariff: Tariff, load: Load, **more: Any) -> Decimal:
    return bill(tariff, load, **more).total_cost


def amounts(found: Bill, kind: str) -> list[tuple[str, Decimal]]:
    return [(line.name, line.amount) for line in found.lines if line.kind == kind]


def test_steps_of_the_month() -> None:
    found = bill(TIERED, loads(50, 150, 250))
    assert [(line.quantity, line.rate, line.amount) for line in found.lines] == [
        (D(100), D("0.1"), D(10)),
        (D(200), D("0.2"), D(40)),
        (D(150), D("0.4"), D(60)),
    ]
    assert found.lines[0].note == "tier 1: up to 100 kWh a month"
    assert found.lines[2].note == "tier 3: above 300 kWh"
    assert found.avg_rate == found.avg_energy_rate == D("0.244444")


def test_a_new_month_begins_with_the_first_step() -> None:
    load = loads(100, 100, start=datetime(2026, 6, 30, 23, tzinfo=UTC))
    assert total(TIERED, load) == 20


def test_a_daily_limit_counts_for_each_day_of_the_month() -> None:
    """Two days of 150 and 50 kWh: together they stay within 200."""
    daily = replace(TIERED, tier_unit="kwh_per_day")
    load = loads(150, 50, each=timedelta(days=1))
    assert total(daily, load) == 20
    assert total(replace(daily, tier_rule="chronological"), load) == 10 + 10 + 5


def test_a_limit_per_kw_grows_with_the_peak() -> None:
    """Ten hours of 20 kW but one of 40: limits of 10 and 20 hours' use of 40 kW."""
    steps = (Tier(D(5), D("0.10")), Tier(None, D("0.30")))
    tariff = replace(TIERED, tiers=steps, tier_unit="kwh_per_kw", demand_interval_minutes=60)
    assert total(tariff, loads(*[20] * 9, 40)) == 200 * D("0.10") + 20 * D("0.30")


TWO_PERIODS = Tariff(
    name="t",
    rate_type="tou",
    timezone="UTC",
    windows=(
        Window(
            name="Day",
            rate=D(9),
            start_minute=0,
            end_minute=720,
            tiers=(Tier(D(100), D("0.1")), Tier(None, D("0.2"))),
        ),
        Window(
            name="Night",
            rate=D(9),
            start_minute=720,
            tiers=(Tier(D(100), D("0.3")), Tier(None, D("0.5"))),
        ),
    ),
)


def test_pro_rata_spreads_the_months_total_over_the_periods() -> None:
    """150 by day, then 50 by night: half of each below the limit."""
    load = loads(150, 50, each=timedelta(hours=12))
    found = bill(TWO_PERIODS, load)
    assert found.breakdown == {"Day": D("7.5") + 15, "Night": D("7.5") + D("12.5")}


def test_chronological_fills_the_steps_as_time_goes() -> None:
    load = loads(150, 50, each=timedelta(hours=12))
    found = bill(replace(TWO_PERIODS, tier_rule="chronological"), load)
    assert found.breakdown == {"Day": D(10) + 10, "Night": D(25)}


def test_hours_without_a_window_may_have_steps_of_their_own() -> None:
    tariff = replace(
        TWO_PERIODS,
        windows=(Window(name="Peak", rate=D(1), start_minute=0, end_minute=60),),
        tiers=STEPS,
    )
    found = bill(tariff, loads(100, 100))
    assert found.breakdown == {"Peak": D(100), "Flat": D(5) + D(10)}


def test_an_index_may_be_negative_and_split_a_reading() -> None:
    tariff = Tariff(name="i", rate_type="index", timezone="UTC", adder_per_kwh=D("0.01"))
    half = timedelta(minutes=30)
    index = IndexPrices.of(
        [
            (UTC_DAY, UTC_DAY + half, D(-100)),
            (UTC_DAY + half, UTC_DAY + 2 * half, D(20)),
            (UTC_DAY + HOUR, UTC_DAY + 2 * HOUR, D(60)),
        ]
    )
    found = bill(tariff, loads(100, 10), index=index)
    assert found.breakdown == {"Index": D(-5) + D(1) + D("0.6") + D("1.1")}
    assert found.split_intervals == 1
    assert found.notes == (
        "The price changes inside a reading; its energy was taken to be uniform.",
    )


def test_an_index_with_windows_adds_their_rates() -> None:
    tariff = Tariff(
        name="i",
        rate_type="index",
        timezone="UTC",
        windows=(Window(name="Grid peak", rate=D("0.05"), start_minute=60, end_minute=120),),
    )
    index = IndexPrices.of([(UTC_DAY, UTC_DAY + 2 * HOUR, D(100))])
    found = bill(tariff, loads(10, 10), index=index)
    assert found.breakdown == {"Grid peak": D("1.5"), "Index": D(1)}


def test_where_nothing_was_used_no_price_is_missed() -> None:
    tariff = Tariff(name="i", rate_type="index", timezone="UTC")
    index = IndexPrices.of([(UTC_DAY, UTC_DAY + HOUR, D(100))])
    assert total(tariff, loads(10, 0), index=index) == 1
    for load, known in ((loads(10, 1), index), (loads(1), None)):
        with pytest.raises(Unbillable) as refused:
            bill(tariff, load, index=known)
        assert refused.value.code == "price_missing"


def test_services_by_shares_of_days_and_months() -> None:
    tariff = replace(
        FLAT,
        timezone="Europe/London",
        daily_service_charge=D(1),
        monthly_service_charge=D(31),
    )
    london = ZoneInfo("Europe/London")
    start = datetime(2026, 3, 29, tzinfo=london)  # 23 hours long
    load = Load.of_power(start, datetime(2026, 3, 30, 12, tzinfo=london), D(0))
    assert amounts(bill(tariff, load), "service") == [
        ("Daily service", D("1.5")),
        ("Monthly service", D("1.5")),
    ]


def test_a_share_of_a_day_of_23_hours() -> None:
    start = datetime(2026, 3, 29, tzinfo=UTC)
    tariff = replace(FLAT, timezone="Europe/London", daily_service_charge=D(23))
    assert total(tariff, Load.of_power(start, start + HOUR, D(0))) == 1


def test_the_minimum_is_topped_up_by_share_of_the_month() -> None:
    tariff = replace(FLAT, minimum_monthly_charge=D(300), taxes=(Tax("VAT", D(10)),))
    found = bill(tariff, loads(100, each=timedelta(days=3)))
    assert (found.minimum_top_up, found.taxes, found.total_cost) == (20, 3, 33)
    assert bill(tariff, loads(400, each=timedelta(days=3))).minimum_top_up == 0


def test_credits_come_off_before_taxes_and_after_the_minimum() -> None:
    tariff = replace(
        FLAT,
        minimum_monthly_charge=D(300),
        taxes=(Tax("VAT", D(10)), Tax("Levy", D(5))),
        credits=(Credit("Response", per_month=D(60), per_kwh=D("0.01")),),
    )
    found = bill(tariff, loads(100, each=timedelta(days=3)))
    assert amounts(found, "credit") == [("Response", D(-6)), ("Response", D(-1))]
    assert found.credits == 7
    assert amounts(found, "tax") == [("VAT", D("2.3")), ("Levy", D("1.15"))]
    assert found.total_cost == 30 - 7 + D("3.45")


def test_no_tax_is_paid_back() -> None:
    tariff = replace(FLAT, taxes=(Tax("VAT", D(10)),), credits=(Credit("c", per_kwh=D(1)),))
    found = bill(tariff, loads(10))
    assert (found.taxes, found.total_cost) == (0, -9)


def test_energy_given_is_paid_and_not_netted() -> None:
    tariff = replace(FLAT, export_per_kwh=D("0.04"), taxes=(Tax("VAT", D(10)),))
    found = bill(tariff, loads(10, -5))
    assert (found.total_kwh, found.exported_kwh) == (10, 5)
    assert (found.energy_cost, found.taxes, found.export_credit) == (1, D("0.1"), D("0.2"))
    assert found.total_cost == D("0.9")
    unpaid = bill(FLAT, loads(10, -5))
    assert unpaid.export_credit == 0
    assert unpaid.lines[-1].note == "nothing is paid for it"


def test_no_use_has_no_average() -> None:
    found = bill(FLAT, loads(0))
    assert (found.total_cost, found.total_kwh, found.avg_rate, found.lines) == (0, 0, None, [])
    assert found.months[0].peak_kw == 0


def test_no_readings_cost_nothing_unless_a_span_is_billed() -> None:
    nothing = Load.of_intervals([])
    tariff = replace(FLAT, daily_service_charge=D(2))
    assert bill(tariff, nothing).total_cost == 0
    start = seconds_of(UTC_DAY)
    assert total(tariff, nothing, span_s=(start, start + 3 * 86_400)) == 6


def test_a_span_may_be_longer_than_its_readings_not_shorter() -> None:
    tariff = replace(FLAT, daily_service_charge=D(2))
    start = seconds_of(UTC_DAY)
    assert total(tariff, loads(10), span_s=(start - 86_400, start + 86_400)) == 5
    with pytest.raises(Unbillable) as refused:
        bill(tariff, loads(10), span_s=(start, start + 60))
    assert refused.value.code == "outside_span"


def test_gaps_cost_no_energy_but_the_service() -> None:
    tariff = replace(FLAT, daily_service_charge=D(1))
    readings = [
        Interval(UTC_DAY + n * 23 * HOUR, UTC_DAY + (n * 23 + 1) * HOUR, kwh=D(5)) for n in (0, 1)
    ]
    found = bill(tariff, Load.of_intervals(readings))
    assert (found.energy_cost, found.service_charge) == (1, 1)


def test_lines_add_up_although_each_is_rounded() -> None:
    """Three thirds of a millionth each: the millionth goes to one of them."""
    third = Tariff(
        name="t",
        rate_type="tou",
        timezone="UTC",
        windows=tuple(
            Window(name=name, rate=D("0.000001"), start_minute=start, end_minute=end)
            for name, start, end in (("A", 0, 20), ("B", 20, 40), ("C", 40, 1440))
        ),
    )
    found = bill(third, loads(1))
    assert sorted(line.amount for line in found.lines) == [0, 0, D("0.000001")]
    assert found.total_cost == D("0.000001")
    assert found.split_intervals == 1
    assert found.months[0].total_cost == found.total_cost


def test_months_are_those_of_the_site() -> None:
    tariff = replace(FLAT, timezone="America/New_York", demand_charge_per_kw=D(1))
    load = loads(10, 20, start=datetime(2026, 6, 1, 3, tzinfo=UTC))  # 23:00 on 31 May
    found = bill(tariff, load)
    assert [(str(one.month), one.kwh, one.peak_kw) for one in found.months] == [
        ("2026-05", 10, 10),
        ("2026-06", 20, 20),
    ]
    assert list(found.peaks_kw.values()) == [10, 20]


def test_a_bill_is_in_the_tariffs_currency() -> None:
    assert bill(replace(FLAT, currency="GBP"), loads(1)).currency == "GBP"
