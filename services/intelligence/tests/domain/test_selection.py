from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelligence.domain.fill import fullest
from intelligence.domain.selection import (
    Infeasible,
    maximum_w,
    select_greedily,
    shed_w,
    worst_first,
)
from intelligence.domain.shedding import Fleet, relax
from intelligence.recommendations.milp import select_by_milp

Machine: TypeAlias = tuple[float, float, int]
MakeFleet: TypeAlias = Callable[..., Fleet]
BestLoss: TypeAlias = Callable[[Fleet, float], float | None]

WATTS = st.floats(500, 7000, allow_nan=False).map(lambda watts: round(watts, 3))
LOSSES = st.floats(-20, 300, allow_nan=False).map(lambda loss: round(loss, 3))
MACHINES = st.lists(st.tuples(WATTS, LOSSES, st.integers(0, 2)), min_size=1, max_size=9)
SHARES = st.one_of(st.none(), st.floats(0, 1))


def fleet_of(make_fleet: MakeFleet, machines: list[Machine], share: float | None) -> Fleet:
    return make_fleet(
        [power_w for power_w, _, _ in machines],
        [loss for _, loss, _ in machines],
        [group for _, _, group in machines],
        share,
    )


def test_the_worst_earner_per_watt_goes_first(make_fleet: MakeFleet) -> None:
    fleet = make_fleet([3250.0, 3500.0, 3400.0], [95.0, 200.0, 112.0])
    chosen, _ = select_greedily(fleet, 6000.0)
    assert worst_first(fleet, chosen.stopped) == [0, 2]
    assert chosen.loss == 207.0


def test_the_bound_is_the_relaxation_in_closed_form(make_fleet: MakeFleet) -> None:
    fleet = make_fleet([3000.0, 3000.0], [90.0, 120.0])
    assert relax(fleet, 4500.0).bound == pytest.approx(90 + 120 / 2)


def test_a_cap_sends_the_rest_to_the_next_group(make_fleet: MakeFleet) -> None:
    fleet = make_fleet([1000.0] * 4, [10.0, 11.0, 50.0, 60.0], [0, 0, 1, 1], 0.5)
    chosen, _ = select_greedily(fleet, 2000.0)
    assert worst_first(fleet, chosen.stopped) == [0, 2]
    with pytest.raises(Infeasible) as refused:
        select_greedily(fleet, 2001.0)
    assert refused.value.maximum_power_w == 2000.0


def test_machines_that_lose_money_are_stopped_beyond_the_target(make_fleet: MakeFleet) -> None:
    fleet = make_fleet([3000.0] * 3, [-1.0, -2.0, 5.0])
    chosen, _ = select_greedily(fleet, 1000.0)
    assert (chosen.loss, chosen.bound, chosen.gap) == (-3.0, -3.0, 0.0)


def test_no_machine_sheds_nothing(make_fleet: MakeFleet) -> None:
    with pytest.raises(Infeasible) as refused:
        select_greedily(make_fleet([], []), 1.0)
    assert refused.value.maximum_power_w == 0.0


@given(machines=MACHINES, share=SHARES, part=st.floats(0.01, 1.2))
def test_never_short_within_caps_and_above_the_bound(
    make_fleet: MakeFleet,
    best_loss: BestLoss,
    machines: list[Machine],
    share: float | None,
    part: float,
) -> None:
    fleet = fleet_of(make_fleet, machines, share)
    target_w = float(fleet.power_w.sum()) * part
    best = best_loss(fleet, target_w)
    if best is None:
        with pytest.raises(Infeasible) as refused:
            select_greedily(fleet, target_w)
        assert refused.value.maximum_power_w < target_w
        return
    chosen, relaxation = select_greedily(fleet, target_w)
    assert shed_w(fleet, chosen.stopped) >= target_w - 1e-6
    assert (fleet.stopped_w(chosen.stopped) <= fleet.cap_w + 1e-6).all()
    assert relaxation.bound <= best + 1e-9
    assert best <= chosen.loss + 1e-6


@given(machines=MACHINES, share=SHARES, part=st.floats(0.01, 1))
def test_the_programme_finds_the_optimum_of_a_small_fleet(
    make_fleet: MakeFleet,
    best_loss: BestLoss,
    machines: list[Machine],
    share: float | None,
    part: float,
) -> None:
    fleet = fleet_of(make_fleet, machines, share)
    target_w = maximum_w(fleet) * part
    if target_w <= 0:
        return
    best = best_loss(fleet, target_w)
    assert best is not None
    greedy, _ = select_greedily(fleet, target_w)
    stopped = select_by_milp(fleet, target_w, 5.0)
    found = min(greedy.loss, np.inf if stopped is None else float(fleet.loss[stopped].sum()))
    assert best - 1e-6 <= found <= best + 1e-4 * abs(best) + 1e-3


@given(machines=MACHINES, share=SHARES)
def test_exactly_the_maximum_may_be_asked_for(
    make_fleet: MakeFleet, machines: list[Machine], share: float | None
) -> None:
    fleet = fleet_of(make_fleet, machines, share)
    maximum = maximum_w(fleet)
    if maximum > 0:
        chosen, _ = select_greedily(fleet, maximum)
        assert shed_w(fleet, chosen.stopped) >= maximum - 1e-6
    with pytest.raises(Infeasible):
        select_greedily(fleet, maximum + 0.01)


@given(machines=MACHINES, share=st.floats(0, 0.99))
def test_the_maximum_is_the_best_subset(
    make_fleet: MakeFleet, best_loss: BestLoss, machines: list[Machine], share: float | None
) -> None:
    fleet = fleet_of(make_fleet, machines, share)
    assert best_loss(fleet, maximum_w(fleet) + 0.002) is None


def test_a_large_group_is_filled_to_the_last_watt(make_fleet: MakeFleet) -> None:
    random = np.random.default_rng(4)
    fleet = make_fleet(random.normal(3300, 120, 400).tolist(), [100.0] * 400, None, 0.5)
    assert shed_w(fleet, fullest(fleet)) == pytest.approx(float(fleet.cap_w[0]), abs=5)
