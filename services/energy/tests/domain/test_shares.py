"""Half-hours' cost, spread over the machines."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from energy.domain.shares import amounts_nano, shares_nano


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
            assert abs(share - (Fraction(of * used, total) if total else 0)) <= 1 + 1e-2
