"""The same seed is the same world: inventory, physics, history."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.history import history
from simulation.inventory import BadSpec, FleetSpec, inventory, units
from simulation.physics import Load, Machine

NOW = 1_800_000_000.0
SPEC = FleetSpec(miners=400)


def test_equal_specs_are_equal_fleets_and_a_prefix_is_a_prefix() -> None:
    assert units(SPEC) == units(FleetSpec(miners=400))
    assert units(SPEC)[:50] == units(replace(SPEC, miners=50))
    assert units(SPEC) != units(replace(SPEC, seed=8))


def test_the_mix_holds_and_serials_are_unique() -> None:
    families = Counter(unit.family for unit in units(SPEC))
    assert families == {"luxos": 200, "whatsminer": 120, "antminer": 80}
    rows = inventory(SPEC)
    assert len({row["serial_number"] for row in rows}) == len(rows)
    assert len({(row["rack"], row["position"]) for row in rows}) == len(rows)
    assert rows[255]["cgminer_ip"] == "127.64.1.0"


def test_units_keep_near_their_nameplates() -> None:
    for unit in units(SPEC):
        assert unit.power_w == pytest.approx(unit.model.power_w, rel=0.06)
        assert unit.hashrate_ths == pytest.approx(unit.model.hashrate_ths, rel=0.12)
        assert sum(unit.board_shares) == pytest.approx(1)


@pytest.mark.parametrize(
    "fields",
    [
        {"start": "127.0.0.1"},
        {"start": "127.127.255.250", "miners": 10},
        {"start": "10.0.0.1"},
        {"port": 80},
        {"miners": 0},
        {"mix": {}},
        {"mix": {"luxos": 0.0}},
        {"mix": {"luxos": -1.0}},
        {"mix": {"toaster": 1.0}},
        {"ramp_s": 0},
    ],
)
def test_impossible_fleets_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(BadSpec):
        FleetSpec(**fields)  # pyright: ignore[reportArgumentType]  # wrong on purpose


@given(
    start=st.floats(0, 1),
    end=st.floats(0, 1),
    delay_s=st.floats(0, 50),
    ramp_s=st.floats(0.1, 100),
    at_s=st.floats(0, 300),
)
def test_work_is_the_integral_of_the_load(
    start: float, end: float, delay_s: float, ramp_s: float, at_s: float
) -> None:
    load = Load(NOW, start, end, delay_s, ramp_s, 5.0)
    steps = 2000
    summed = sum(load.fraction(NOW + at_s * (n + 0.5) / steps) for n in range(steps))
    assert load.work_s(NOW + at_s) == pytest.approx(5 + summed * at_s / steps, abs=0.1)


def test_counters_never_fall_while_a_miner_runs() -> None:
    machine = Machine(units(SPEC)[0], NOW, ramp_s=30)
    machine.set_power_share(NOW + 10, 0.5)
    machine.sleep(NOW + 60)
    found = [machine.shares(NOW + second) for second in range(200)]
    assert all(later >= earlier for earlier, later in pairwise(found))
    machine.wake(NOW + 200)
    assert machine.shares(NOW + 200) == 0
    assert machine.elapsed_s(NOW + 230) == 30
    assert machine.state(NOW + 215) == "ramping"
    assert machine.state(NOW + 231) == "hashing"


def test_a_machine_cools_when_asleep_and_its_fans_stop() -> None:
    machine = Machine(units(SPEC)[0], NOW, ramp_s=30)
    warm_c, rpm = machine.board_c(NOW), machine.fan_rpm(NOW, 0)
    machine.sleep(NOW)
    assert machine.board_c(NOW) == pytest.approx(warm_c, abs=0.1)
    assert machine.board_c(NOW + 300) < warm_c - 20
    assert rpm > 2000
    assert machine.fan_rpm(NOW + 300, 0) == 0
    assert machine.average_ths(NOW + 300, 60) == 0


def test_many_changes_are_survived() -> None:
    machine = Machine(units(SPEC)[0], NOW, ramp_s=30)
    for second in range(50):
        machine.set_power_share(NOW + second, 1 - second % 2 / 2)
    assert 0 < machine.average_ths(NOW + 50, 86400) < machine.unit.hashrate_ths * 1.05


def test_history_is_the_same_from_whichever_day_it_is_told() -> None:
    miners = units(FleetSpec(miners=60))
    until = datetime(2026, 3, 1, tzinfo=UTC)
    month = list(history(miners, 20, until=until))
    assert len(month) == 20 * 48 * 60
    assert month[-2 * 48 * 60 :] == list(history(miners, 2, until=until))
    assert month[0].starts_at == until - timedelta(days=20)
    states = Counter(row.state for row in month)
    assert set(states) == {"hashing", "curtailed", "offline"}
    assert states["hashing"] > 0.9 * len(month)
    assert all((row.kwh is None) == (row.state == "offline") for row in month)
    assert all(row.th_h == 0 for row in month if row.state == "curtailed")
    hashing = next(row for row in month if row.state == "hashing")
    unit = next(unit for unit in miners if unit.serial_number == hashing.serial_number)
    assert hashing.kwh == pytest.approx(unit.power_w / 2000, rel=0.01)
