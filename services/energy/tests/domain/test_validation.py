"""What makes a tariff refusable."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from energy.domain.tariff import Credit, Tariff, Tax, Tier, Window
from energy.domain.validation import defects

D = Decimal
ALL_DAY = Window(name="All", rate=D("0.1"))
FLAT = Tariff(name="f", rate_type="flat", timezone="Europe/London", flat_rate=D("0.1"))
TOU = Tariff(name="t", rate_type="tou", timezone="Europe/London", windows=(ALL_DAY,))
STEPS = (Tier(D(100), D("0.1")), Tier(D(200), D("0.2")), Tier(None, D("0.3")))
TIERED = Tariff(name="s", rate_type="tiered", timezone="Europe/London", tiers=STEPS)
INDEX = Tariff(name="i", rate_type="index", timezone="Europe/London")


HOUR = timedelta(hours=1)
HOURS = ((datetime(2026, 6, 1, 16, tzinfo=UTC), datetime(2026, 6, 1, 17, tzinfo=UTC)),)


@pytest.mark.parametrize(
    "good",
    [
        FLAT,
        TOU,
        TIERED,
        INDEX,
        replace(TOU, flat_rate=D("0.3")),
        replace(FLAT, coincident_peak_per_kw=D(5), coincident_hours=HOURS),
        replace(
            FLAT,
            coincident_hours=tuple(
                (a + n * HOUR, b + n * HOUR) for n in (1, 0, 2) for a, b in HOURS
            ),
        ),
        replace(TOU, windows=(replace(ALL_DAY, end_minute=60),), tiers=STEPS),
        replace(FLAT, demand_ratchet_percent=D(80), demand_ratchet_months=11),
    ],
)
def test_nothing_is_wrong_with_these(good: Tariff) -> None:
    assert defects(good) == []


@pytest.mark.parametrize(
    ("tariff", "change", "code", "field"),
    [
        (FLAT, {"timezone": "Mars/Olympus"}, "unknown_timezone", "timezone"),
        (FLAT, {"timezone": "../etc/passwd"}, "unknown_timezone", "timezone"),
        (FLAT, {"timezone": ""}, "unknown_timezone", "timezone"),
        (FLAT, {"flat_rate": None}, "flat_rate_missing", "flat_rate_usd_per_kwh"),
        (FLAT, {"flat_rate": D("NaN")}, "not_a_number", "flat_rate_usd_per_kwh"),
        (FLAT, {"flat_rate": D("sNaN")}, "not_a_number", "flat_rate_usd_per_kwh"),
        (FLAT, {"flat_rate": D("Infinity")}, "not_a_number", "flat_rate_usd_per_kwh"),
        (FLAT, {"flat_rate": D("1e10")}, "not_a_number", "flat_rate_usd_per_kwh"),
        (FLAT, {"flat_rate": D("-0.1")}, "negative", "flat_rate_usd_per_kwh"),
        (FLAT, {"flat_rate": D("0.1234567891")}, "too_precise", "flat_rate_usd_per_kwh"),
        (FLAT, {"daily_service_charge": D(-1)}, "negative", "daily_service_charge_usd"),
        (FLAT, {"monthly_service_charge": D(-1)}, "negative", "monthly_service_charge_usd"),
        (FLAT, {"minimum_monthly_charge": D(-1)}, "negative", "minimum_monthly_charge_usd"),
        (FLAT, {"demand_charge_per_kw": D(-1)}, "negative", "demand_charge_usd_per_kw"),
        (FLAT, {"coincident_peak_per_kw": D(-1)}, "negative", "coincident_peak_usd_per_kw"),
        (FLAT, {"taxes": (Tax("VAT", D(-1)),)}, "negative", "taxes[0].percent"),
        (
            FLAT,
            {"credits": (Credit("c", per_kwh=D("NaN")),)},
            "not_a_number",
            "credits[0].per_kwh",
        ),
        (FLAT, {"windows": (ALL_DAY,)}, "schedule_unused", "tou_schedule"),
        (FLAT, {"tiers": STEPS}, "tiers_unused", "tiered_rates"),
        (INDEX, {"tiers": STEPS}, "tiers_unused", "tiered_rates"),
        (TOU, {"tiers": STEPS, "flat_rate": D(1)}, "tiers_unused", "tiered_rates"),
        (TOU, {"windows": ()}, "schedule_missing", "tou_schedule"),
        (TIERED, {"tiers": ()}, "tiers_missing", "tiered_rates"),
        (TIERED, {"tiers": STEPS[:2]}, "last_tier_bounded", "tiered_rates"),
        (TIERED, {"tiers": STEPS[::-1]}, "last_tier_bounded", "tiered_rates"),
        (TIERED, {"tiers": (STEPS[2], *STEPS)}, "tier_unbounded", "tiered_rates[0]"),
        (TIERED, {"tiers": (STEPS[1], *STEPS)}, "tiers_not_ascending", "tiered_rates[1]"),
        (TIERED, {"tiers": (STEPS[0], *STEPS)}, "tiers_not_ascending", "tiered_rates[1]"),
        (
            TIERED,
            {"tiers": (Tier(D(0), D(1)), STEPS[2])},
            "tiers_not_ascending",
            "tiered_rates[0]",
        ),
        (
            TIERED,
            {"tiers": (Tier(D("NaN"), D(1)), STEPS[2])},
            "not_a_number",
            "tiered_rates[0].up_to_kwh",
        ),
        (FLAT, {"season_start_month": 5}, "season_incomplete", "season_end_month"),
        (
            FLAT,
            {"season_start_month": 5, "season_end_month": 13},
            "month_invalid",
            "season_end_month",
        ),
        (FLAT, {"demand_interval_minutes": 20}, "interval_invalid", "demand_interval_minutes"),
        (
            FLAT,
            {"demand_ratchet_percent": D(101), "demand_ratchet_months": 3},
            "percent_invalid",
            "demand_ratchet_percent",
        ),
        (
            FLAT,
            {"demand_ratchet_percent": D(80)},
            "ratchet_incomplete",
            "demand_ratchet_months",
        ),
        (FLAT, {"demand_ratchet_months": 3}, "ratchet_incomplete", "demand_ratchet_months"),
        (
            FLAT,
            {"demand_ratchet_percent": D(80), "demand_ratchet_months": 61},
            "months_invalid",
            "demand_ratchet_months",
        ),
        (
            FLAT,
            {"coincident_hours": ((datetime(2026, 1, 1), datetime(2026, 1, 2)),)},  # noqa: DTZ001
            "naive_time",
            "coincident_hours[0]",
        ),
        (
            FLAT,
            {"coincident_hours": ((datetime(2026, 1, 1, tzinfo=UTC),) * 2,)},
            "end_before_start",
            "coincident_hours[0].end",
        ),
        (FLAT, {"coincident_hours": HOURS * 2}, "hours_overlap", "coincident_hours[1]"),
        (
            FLAT,
            {"coincident_hours": (HOURS[0], (HOURS[0][0] - HOUR, HOURS[0][1] - HOUR / 2))},
            "hours_overlap",
            "coincident_hours[0]",
        ),
        (FLAT, {"export_per_kwh": D("-0.1")}, "negative", "export_usd_per_kwh"),
        (INDEX, {"export_per_kwh": D("-0.1")}, "negative", "export_usd_per_kwh"),
    ],
)
def test_what_is_wrong_is_named(
    tariff: Tariff, change: dict[str, Any], code: str, field: str
) -> None:
    assert (code, field) in [(one.code, one.field) for one in defects(replace(tariff, **change))]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"name": " "}, "name_missing", "name"),
        ({"days": frozenset[int]()}, "days_invalid", "days"),
        ({"days": frozenset({7})}, "days_invalid", "days"),
        ({"months": frozenset[int]()}, "months_invalid", "months"),
        ({"months": frozenset({0})}, "months_invalid", "months"),
        ({"start_minute": -60}, "start_invalid", "start"),
        ({"start_minute": 1440}, "start_invalid", "start"),
        ({"end_minute": 1441}, "end_invalid", "end"),
        ({"end_minute": -1}, "end_invalid", "end"),
        ({"start_minute": 420, "end_minute": 420}, "window_empty", ""),
        ({"end_minute": 0}, "window_empty", ""),
        ({"rate": D("NaN")}, "not_a_number", "rate"),
        ({"rate": D(-1)}, "negative", "rate"),
        ({"demand_charge_per_kw": D(-1)}, "negative", "demand_charge_usd_per_kw"),
        ({"tiers": STEPS[:1]}, "last_tier_bounded", "tiers"),
    ],
)
def test_what_is_wrong_with_a_window_is_named(
    change: dict[str, Any], code: str, field: str
) -> None:
    tariff = replace(TOU, windows=(ALL_DAY, replace(ALL_DAY, **change)))
    where = f"tou_schedule[1].{field}".rstrip(".")
    assert (code, where) in [(one.code, one.field) for one in defects(tariff)]


def test_an_end_at_nought_is_midnight() -> None:
    late, early = (
        replace(ALL_DAY, start_minute=1260, end_minute=0),
        replace(ALL_DAY, end_minute=1260),
    )
    assert defects(replace(TOU, windows=(early, late))) == []


def test_only_an_index_and_credits_may_be_negative() -> None:
    below = replace(
        INDEX,
        adder_per_kwh=D("-0.01"),
        credits=(Credit("c", per_month=D(-5)),),
    )
    assert defects(below) == []


def test_windows_of_one_peak_have_one_charge() -> None:
    first = replace(ALL_DAY, end_minute=720, demand_charge_per_kw=D(3), demand_period="On")
    second = replace(ALL_DAY, start_minute=720, demand_charge_per_kw=D(4), demand_period="On")
    [found] = defects(replace(TOU, windows=(first, second)))
    assert (found.code, found.field) == (
        "demand_charges_differ",
        "tou_schedule[1].demand_charge_usd_per_kw",
    )
    apart = (
        replace(first, months=frozenset({1}), end_minute=1440),
        replace(second, months=frozenset(range(2, 13)), start_minute=0),
    )
    assert defects(replace(TOU, windows=apart)) == []


def test_an_index_with_windows_has_no_steps_but_may_have_holes() -> None:
    window = replace(ALL_DAY, start_minute=420)
    assert defects(replace(INDEX, windows=(window,))) == []
    [found] = defects(replace(INDEX, windows=(replace(window, tiers=STEPS),)))
    assert (found.code, found.field) == ("tiers_unused", "tou_schedule[0].tiers")


def test_a_season_leaves_holes_without_a_fallback() -> None:
    seasonal = replace(TOU, season_start_month=5, season_end_month=9)
    [found] = defects(seasonal)
    assert found.code == "schedule_has_holes"
    assert "monday 00:00-24:00 in month 1" in found.message
    assert defects(replace(seasonal, flat_rate=D("0.1"))) == []
    assert defects(replace(seasonal, tiers=STEPS)) == []
