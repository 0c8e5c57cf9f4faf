"""Closed forms: geometric series, halvings counted by hand, annuities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculator.domain.profitability import Column
from calculator.domain.projection import (
    Course,
    Months,
    Operation,
    days_of,
    difficulty_by_day,
    month_starts,
    months_of,
    payback_month,
    present_value,
    project,
    rates_of_return,
    sensitivity,
    subsidy_by_day,
)

DIFFICULTY_OF_600_EH = 600e18 * 600 / 2**32
A_DAY_BTC = 144 * 3.125e-6
"""What 600 TH/s of 600 EH/s earn."""


def flat(days: int, value: float = 60_000) -> Column:
    return np.full(days, value, dtype=np.float64)


def projected(days: int, growth: float = 0, height: int | None = None, **changes: float) -> Months:
    machine = {
        "hashrate_ths": 600.0,
        "net_share": 1.0,
        "electricity_usd_per_day": 10.0,
        "other_opex_usd_per_day": 1.0,
    }
    course = Course(
        days=days,
        difficulty=DIFFICULTY_OF_600_EH,
        growth_per_epoch=growth,
        subsidy_btc=3.125,
        start_height=height,
        fees_btc_per_block=0,
        btc_price_usd=flat(days),
    )
    return project(Operation(**(machine | changes)), course)


def test_twelve_months_are_a_year() -> None:
    assert days_of(12) == 365
    assert days_of(36) == 3 * 365
    assert month_starts(3).tolist() == [0, 30, 61, 91]


def test_months_are_cut_where_the_days_end() -> None:
    assert months_of(365).tolist()[-1] == 335
    assert months_of(31).tolist() == [0, 30]
    assert months_of(30).tolist() == [0]
    assert months_of(1).tolist() == [0]
    assert len(months_of(3_650)) == 120


def test_without_growth_every_day_earns_the_same() -> None:
    months = projected(365)
    assert months.btc.sum() == pytest.approx(365 * A_DAY_BTC, rel=1e-12)
    assert months.days.sum() == 365
    assert months.cost_usd.sum() == pytest.approx(365 * 11)


def test_difficulty_grows_first_after_14_days() -> None:
    difficulty = difficulty_by_day(29, 100, 0.03)
    assert set(difficulty[:14]) == {100}
    assert difficulty[14] == pytest.approx(103)
    assert difficulty[27] == pytest.approx(103)
    assert difficulty[28] == pytest.approx(106.09)


def test_growth_is_a_geometric_series() -> None:
    """26 epochs of 14 days: 14 * a * (1 - q^26) / (1 - q) with q = 1 / 1.02."""
    months = projected(364, growth=0.02)
    q = 1 / 1.02
    assert months.btc.sum() == pytest.approx(14 * A_DAY_BTC * (1 - q**26) / (1 - q), rel=1e-12)


def test_the_subsidy_halves_where_its_height_is() -> None:
    """1,049,856 is a day before 1,050,000: one day at 3.125, then 1.5625."""
    subsidy = subsidy_by_day(3, 3.125, 1_050_000 - 144)
    assert subsidy.tolist() == [3.125, 1.5625, 1.5625]


def test_a_halving_in_the_middle_of_a_day_counts_its_blocks() -> None:
    subsidy = subsidy_by_day(1, 3.125, 1_050_000 - 36)
    assert subsidy[0] == pytest.approx((36 * 3.125 + 108 * 1.5625) / 144)


def test_two_halvings_lie_1458_and_a_third_days_apart() -> None:
    subsidy = subsidy_by_day(2_918, 1.5625, 1_050_000)
    assert set(subsidy[:1_458]) == {1.5625}
    assert subsidy[1_458] == pytest.approx((1.5625 + 2 * 0.78125) / 3)
    assert set(subsidy[1_459:2_916]) == {0.78125}
    assert subsidy[2_917] == 0.390625


def test_without_a_height_nothing_halves() -> None:
    assert set(subsidy_by_day(5_000, 3.125, None)) == {3.125}


def test_a_subsidy_of_the_callers_own_halves_too() -> None:
    subsidy = subsidy_by_day(2, 2.0, 1_050_000 - 144)
    assert subsidy.tolist() == [2.0, 1.0]


def test_the_present_value_of_an_annuity() -> None:
    """100 a month for 12 months at 1 %: 100 * (1 - 1.01^-12) / 0.01 = 1,125.51."""
    assert present_value(flat(12, 100), 0.01) == pytest.approx(1_125.5077, abs=1e-4)
    assert present_value(flat(12, 100), 0) == 1_200


def test_the_rate_of_return_of_an_annuity() -> None:
    """1,125.51 for 100 a month over 12 months is 1 % a month."""
    [rate] = rates_of_return(1_125.5077474, flat(12, 100))
    assert rate == pytest.approx(0.01, abs=1e-9)


def test_a_loss_has_a_negative_rate() -> None:
    [rate] = rates_of_return(2_000, flat(12, 100))
    assert rate < 0
    assert present_value(flat(12, 100), rate) == pytest.approx(2_000)


def test_there_may_be_no_rate_or_two() -> None:
    assert rates_of_return(1_000, flat(12, -1)) == []
    assert rates_of_return(1_000, flat(12, 0)) == []
    late_loss = np.array([2_300.0, -1_320.0])  # 1,000 back at 10 % and at 20 %
    assert rates_of_return(1_000, late_loss) == [pytest.approx(0.1), pytest.approx(0.2)]


def test_payback_is_the_first_month_that_has_it_all() -> None:
    assert payback_month(300, flat(12, 100)) == 3
    assert payback_month(301, flat(12, 100)) == 4
    assert payback_month(1_201, flat(12, 100)) is None
    assert payback_month(0, flat(12, -100)) == 0


def test_the_grid_is_what_projecting_anew_would_give() -> None:
    months = projected(365, growth=0.01)
    grid = sensitivity(
        months,
        capex_usd=5_000,
        rate_per_month=0.01,
        price=np.array([1.0, 1.2]),
        power=np.array([1.0, 0.5]),
        difficulty=np.array([1.0, 1.1]),
    )
    assert grid.npv_usd.shape == (2, 2, 2)
    assert grid.npv_usd[0, 0, 0] == pytest.approx(present_value(months.cash_flow_usd, 0.01) - 5_000)
    anew = months.revenue_usd * 1.2 / 1.1 - months.electricity_usd * 0.5 - months.other_opex_usd
    assert grid.npv_usd[1, 1, 1] == pytest.approx(present_value(anew, 0.01) - 5_000)
    assert grid.cash_flow_usd[1, 1, 1] == pytest.approx(anew.sum())


@given(
    days=st.integers(1, 3_650),
    growth=st.floats(-0.5, 0.5),
    height=st.one_of(st.none(), st.integers(0, 2_000_000)),
)
def test_months_add_up_to_days(days: int, growth: float, height: int | None) -> None:
    months = projected(days, growth, height)
    assert months.days.sum() == days
    assert months.days.min() >= 1
    assert months.days[:-1].tolist() == [d for d in months.days[:-1] if 30 <= d <= 31]
    assert np.isfinite(months.cash_flow_usd).all()
