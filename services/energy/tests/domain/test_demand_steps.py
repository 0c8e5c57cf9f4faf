"""Demand charges by month and by step, and minimums: by hand, in fractions, and by the referee."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from energy.domain.billing import bill, bill_exact
from energy.domain.load import Load
from energy.domain.tariff import DemandStep, MonthlyDemand, Tariff, Window
from energy.domain.validation import defects
from energy.domain.zone import seconds_of

Referee = Callable[[Mapping[str, object], NDArray[np.float64]], list[float]]
YEAR = seconds_of(datetime(2018, 1, 1, tzinfo=UTC))  # a Monday, and no leap year
SUMMER = frozenset({6, 7, 8, 9})
FLAT = Tariff(name="any", rate_type="flat", timezone="UTC", flat_rate=Decimal(0))


def hours(kw: NDArray[np.float64], start_s: int = YEAR) -> Load:
    starts = start_s + 3600 * np.arange(len(kw), dtype=np.int64)
    return Load(starts, starts + 3600, np.rint(kw * 1e6).astype(np.int64))


def steps(*rows: tuple[object, object]) -> tuple[DemandStep, ...]:
    return tuple(
        DemandStep(None if top is None else Decimal(str(top)), Decimal(str(per_kw)))
        for top, per_kw in rows
    )


def random_tops(random: Random) -> list[int]:
    return sorted(random.sample(range(5, 60), random.choice([0, 1, 2])))


def random_steps(random: Random, tops: list[int]) -> tuple[DemandStep, ...]:
    return steps(*((top, random.randrange(900) / 100) for top in [*tops, None]))


def matrix(found: tuple[DemandStep, ...], first: int) -> list[list[float]]:
    return [
        [first, number, 1e38 if one.up_to_kw is None else float(one.up_to_kw), float(one.per_kw)]
        for number, one in enumerate(found, start=1)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_steps_and_minimums_cost_what_the_referee_says(seed: int, referee: Referee) -> None:
    random = Random(seed)
    dice = np.random.default_rng(seed)
    load_kw = np.asarray(dice.integers(0, 25_000, 8760) * 0.004 * dice.random(), np.float64)
    load_kw = np.round(load_kw, 3)
    seasons = [random_steps(random, random_tops(random)) for _ in range(2)]
    tops = random_tops(random)  # it knows no limits that differ between periods
    by_hours = [random_steps(random, tops) for _ in range(2)]
    schedule = [[1 if hour < 9 or month < 3 else 2 for hour in range(24)] for month in range(12)]
    minimum = Decimal(random.choice([0, 400, 40_000]))
    windows = tuple(
        Window(
            name=f"P{period}",
            rate=Decimal("0.03"),
            start_minute=start,
            end_minute=end,
            months=months,
            demand_steps=by_hours[period - 1],
        )
        for period, start, end, months in (
            (1, 0, 1440, frozenset({1, 2, 3})),
            (1, 0, 540, frozenset(range(4, 13))),
            (2, 540, 1440, frozenset(range(4, 13))),
        )
    )
    tariff = replace(
        FLAT,
        rate_type="tou",
        flat_rate=None,
        windows=windows,
        monthly_demands=(
            MonthlyDemand("Summer", SUMMER, seasons[1]),
            MonthlyDemand("Winter", frozenset(range(1, 13)) - SUMMER, seasons[0]),
        ),
        minimum_monthly_charge=minimum,
        demand_interval_minutes=60,
    )
    assert not defects(tariff)
    sam: dict[str, object] = {
        "ur_ec_tou_mat": [[1, 1, 1e38, 0, 0.03, 0.0]],
        "ur_dc_tou_mat": matrix(by_hours[0], 1) + matrix(by_hours[1], 2),
        "ur_dc_sched_weekday": schedule,
        "ur_dc_sched_weekend": schedule,
        "ur_dc_flat_mat": [
            row for month in range(12) for row in matrix(seasons[month + 1 in SUMMER], month)
        ],
        "ur_monthly_min_charge": float(minimum),
    }
    ours = [month.total_cost for month in bill(tariff, hours(load_kw)).months]
    theirs = referee(sam, load_kw)
    apart = [abs(float(a) - b) for a, b in zip(ours, theirs, strict=True)]
    assert max(apart) < 0.005, list(zip(ours, theirs, strict=True))


@pytest.mark.parametrize("least", [100, 40_000])
def test_a_years_minimum_is_what_the_referee_says(least: int, referee: Referee) -> None:
    dice = np.random.default_rng(least)
    load_kw = np.round(np.asarray(dice.integers(0, 5_000, 8760) * 0.004, np.float64), 3)
    tariff = replace(FLAT, flat_rate=Decimal("0.1"), minimum_yearly_charge=Decimal(least))
    sam: dict[str, object] = {
        "ur_ec_tou_mat": [[1, 1, 1e38, 0, 0.1, 0.0]],
        "ur_annual_min_charge": float(least),
    }
    ours = float(bill(tariff, hours(load_kw)).total_cost)
    assert abs(ours - sum(referee(sam, load_kw))) < 0.005
    assert (ours == least) is (least == 40_000)


limits = st.lists(st.integers(1, 400), max_size=3, unique=True).map(sorted)


@st.composite
def stepped(draw: st.DrawFn) -> tuple[DemandStep, ...]:
    tops = [Decimal(one) / 10 for one in draw(limits)]
    return tuple(DemandStep(top, draw(st.decimals(0, 9, places=3))) for top in [*tops, None])


@given(stepped(), stepped(), st.lists(st.integers(0, 90_000), min_size=30, max_size=60), st.data())
def test_the_fast_bill_is_the_exact_one(
    monthly: tuple[DemandStep, ...],
    by_hours: tuple[DemandStep, ...],
    watts: list[int],
    data: st.DataObject,
) -> None:
    start = seconds_of(datetime(2026, 5, 31, 4, tzinfo=UTC))
    money = st.decimals(0, 3000, places=2)
    tariff = replace(
        FLAT,
        rate_type="tou",
        timezone="America/New_York",
        flat_rate=Decimal("0.1"),
        windows=(Window(name="Day", rate=Decimal("0.2"), start_minute=390, demand_steps=by_hours),),
        monthly_demands=(MonthlyDemand("Summer", SUMMER, monthly),),
        minimum_daily_charge=data.draw(money),
        minimum_monthly_charge=data.draw(money),
        minimum_yearly_charge=data.draw(money),
        demand_ratchet_percent=Decimal("82.5"),
        demand_ratchet_months=2,
    )
    load = hours(np.array(watts) / 1000, start)
    fast = bill(tariff, load)
    assert fast == bill_exact(tariff, load)
    assert sum(line.amount for line in fast.lines) == fast.total_cost
    assert sum(month.total_cost for month in fast.months) == fast.total_cost


def test_the_minimum_of_a_day_is_by_share_of_it() -> None:
    tariff = replace(FLAT, minimum_daily_charge=Decimal(6))
    billed = bill(tariff, hours(np.zeros(36)))
    assert billed.total_cost == Decimal(9)
    assert billed.lines[-1].note == "the minimum is 6 a day"


def test_two_years_have_two_minimums() -> None:
    tariff = replace(FLAT, minimum_yearly_charge=Decimal(365))
    start = seconds_of(datetime(2025, 12, 31, tzinfo=UTC))
    billed = bill(tariff, hours(np.zeros(72), start))
    found = [(str(line.month), line.amount) for line in billed.lines]
    assert found == [("2025-12", Decimal(1)), ("2026-01", Decimal(2))]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"monthly_demands": (MonthlyDemand("a", SUMMER, steps((5, 1))),)},
         "last_step_bounded", "demand_charges[0].tiers"),
        ({"monthly_demands": (MonthlyDemand("a", SUMMER, steps((5, 1), (4, 1), (None, 1))),)},
         "steps_not_ascending", "demand_charges[0].tiers[1]"),
        ({"monthly_demands": (MonthlyDemand("a", SUMMER, steps((None, 1), (None, 1))),)},
         "step_unbounded", "demand_charges[0].tiers[0]"),
        ({"monthly_demands": (MonthlyDemand("a", SUMMER, ()),)},
         "charge_missing", "demand_charges[0].usd_per_kw"),
        ({"monthly_demands": (MonthlyDemand("a", frozenset({13}), steps((None, 1))),)},
         "months_invalid", "demand_charges[0].months"),
        ({"minimum_daily_charge": Decimal(-1)}, "negative", "minimum_daily_charge_usd"),
        ({"minimum_yearly_charge": Decimal("NaN")}, "not_a_number", "minimum_yearly_charge_usd"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change: dict[str, Any], code: str, field: str) -> None:
    [found] = defects(replace(FLAT, **change))
    assert (found.code, found.field) == (code, field)


def test_a_window_has_one_demand_charge() -> None:
    both = Window(
        name="Day",
        rate=Decimal(1),
        demand_charge_per_kw=Decimal(1),
        demand_steps=steps((None, 2)),
    )
    [found] = defects(replace(FLAT, rate_type="tou", windows=(both,)))
    assert found.code == "demand_charged_twice"
