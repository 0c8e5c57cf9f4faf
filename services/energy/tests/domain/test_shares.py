"""Half-hours' cost, spread over the machines."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.domain.billing import bill, energy_cost_by_half_hour
from energy.domain.load import IndexPrices, IntArray, Load
from energy.domain.shares import amounts_nano, shares_nano
from energy.domain.tariff import Tariff, Tier, TierRule, TierUnit, Window
from energy.domain.zone import seconds_of

KATHMANDU_NOON = datetime(2026, 6, 30, 6, tzinfo=UTC)  # a month ends 12 hours and 15 minutes later


@given(st.integers(-(10**10), 10**11), st.integers(-(10**10), 10**12))
def test_energy_times_price_is_rounded_once(energy: int, price: int) -> None:
    [found] = amounts_nano(np.array([energy]), np.array([price]) // 10**4).tolist()
    exact = Fraction(energy * (price // 10**4), 10**6)
    assert abs(found - exact) <= Fraction(1, 2)


@given(
    st.lists(st.lists(st.integers(0, 5 * 10**6), min_size=3, max_size=3), min_size=1, max_size=40),
    st.lists(st.integers(-(10**12), 10**13), min_size=3, max_size=3),
)
def test_shares_add_up_to_the_cost(machines: list[list[int]], costs: list[int]) -> None:
    energy = np.array(machines, np.int64)
    cost = np.where(energy.sum(axis=0) > 0, np.array(costs, np.int64), 0)
    found = shares_nano(cost, energy)
    assert found.sum(axis=0).tolist() == cost.tolist()
    whole = energy.sum(axis=0).tolist()
    for row, shares in zip(machines, found.tolist(), strict=True):
        for used, share, total, of in zip(row, shares, whole, cost.tolist(), strict=True):
            assert abs(share - (Fraction(of * used, total) if total else 0)) < 1


def steps(*prices: str) -> tuple[Tier, ...]:
    first, second, third = (Decimal(one) for one in prices)
    return (Tier(Decimal("3.7123457"), first), Tier(Decimal("11.1"), second), Tier(None, third))


def half_hours(count: int) -> tuple[IntArray, IntArray]:
    starts = seconds_of(KATHMANDU_NOON) + 1800 * np.arange(count, dtype=np.int64)
    return starts, np.random.default_rng(count).integers(0, 9 * 10**6, count)


@pytest.mark.parametrize("unit", ["kwh_per_month", "kwh_per_day", "kwh_per_kw"])
@pytest.mark.parametrize("rule", ["pro_rata", "chronological"])
def test_half_hours_of_steps_add_up_to_the_bill(unit: TierUnit, rule: TierRule) -> None:
    """The zone is a quarter of an hour off, so each boundary falls inside a half-hour."""
    tariff = Tariff(
        name="t",
        rate_type="tou",
        timezone="Asia/Kathmandu",
        windows=(
            Window(name="A", rate=Decimal(0), end_minute=720, tiers=steps("0.1", "0.2", "0.35")),
            Window(name="B", rate=Decimal(0), start_minute=720, tiers=steps("0.3", "0.1", "0.7")),
        ),
        tier_unit=unit,
        tier_rule=rule,
    )
    starts, energy = half_hours(100)
    costs = energy_cost_by_half_hour(tariff, starts, energy).nano
    billed = bill(tariff, Load.of_half_hours(starts, energy))
    assert len({line.note for line in billed.lines}) == 3
    assert abs(int(costs.sum()) - billed.energy_cost * 10**9) <= 100 + 1000


def test_half_hours_of_an_index() -> None:
    tariff = Tariff(
        name="i", rate_type="index", timezone="Asia/Kathmandu", adder_per_kwh=Decimal("0.01")
    )
    prices = [Decimal(-40), Decimal("75.125")]
    quarter = timedelta(minutes=15)
    index = IndexPrices.of(
        (KATHMANDU_NOON + n * quarter, KATHMANDU_NOON + (n + 1) * quarter, prices[n % 2])
        for n in range(4)
    )
    starts, energy = half_hours(2)
    costs = energy_cost_by_half_hour(tariff, starts, energy, index=index).nano
    mean = (sum(prices, Decimal(0)) / 2 / 1000 + Decimal("0.01")) * 10**9
    assert costs.tolist() == [round(int(one) * mean / 10**6) for one in energy]


def test_half_hours_given_to_the_grid_cost_nothing() -> None:
    tariff = Tariff(name="f", rate_type="flat", timezone="UTC", flat_rate=Decimal("0.1"))
    starts, _ = half_hours(2)
    costs = energy_cost_by_half_hour(tariff, starts, np.array([-(10**6), 10**6])).nano
    assert costs.tolist() == [0, 10**8]


def test_no_half_hours_cost_nothing() -> None:
    tariff = Tariff(name="f", rate_type="flat", timezone="UTC", flat_rate=Decimal("0.1"))
    assert not len(energy_cost_by_half_hour(tariff, *half_hours(0)).nano)


def test_a_share_of_the_largest_site_is_exact() -> None:
    """Products beyond 64 bits, and costs beyond the 53 of a float."""
    energy = np.array([[1], [3_333_333_333_333], [1_666_666_666_666]], np.int64)
    cost = np.array([9_007_199_254_740_993], np.int64)
    reached = np.cumsum(energy[:, 0]).tolist()
    exact = [int(cost[0]) * one // reached[-1] for one in reached]
    assert shares_nano(cost, energy)[:, 0].tolist() == np.diff(exact, prepend=0).tolist()
