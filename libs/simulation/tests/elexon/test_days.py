"""The generated Britain: its calendar, its units, its days."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from simulation.elexon.days import Britain, Kind
from simulation.elexon.settlement import (
    Run,
    created_at,
    first_instant,
    periods_in,
    run_at,
    settlement_of,
    start_of,
)
from simulation.elexon.stack import Side, stack

BUSY_DAY = date(2025, 3, 4)


@pytest.fixture(scope="module")
def britain() -> Britain:
    return Britain(7)


@pytest.mark.parametrize(
    ("day", "periods"),
    [("2025-03-04", 48), ("2025-03-30", 46), ("2025-10-26", 50), ("2026-03-29", 46)],
)
def test_days_have_48_periods_but_when_the_clocks_change(day: str, periods: int) -> None:
    assert periods_in(date.fromisoformat(day)) == periods


def test_periods_begin_where_london_says() -> None:
    spring, autumn = date(2025, 3, 30), date(2025, 10, 26)
    assert start_of(spring, 3) == datetime(2025, 3, 30, 1, tzinfo=UTC)  # 02:00 BST
    assert start_of(spring, 46) == datetime(2025, 3, 30, 22, 30, tzinfo=UTC)
    assert start_of(autumn, 1) == datetime(2025, 10, 25, 23, tzinfo=UTC)
    assert start_of(autumn, 50) == datetime(2025, 10, 26, 23, 30, tzinfo=UTC)
    assert settlement_of(datetime(2025, 10, 26, 1, tzinfo=UTC)) == (autumn, 5)
    assert settlement_of(datetime(2025, 7, 1, 23, 29, tzinfo=UTC)) == (date(2025, 7, 2), 1)


def test_runs_follow_each_other_by_age() -> None:
    day = date(2026, 1, 10)
    first = first_instant(day)
    ages = {0: Run.INDICATIVE, 4: Run.INDICATIVE, 5: Run.II, 22: Run.SF, 57: Run.R1, 500: Run.RF}
    assert {age: run_at(day, first + timedelta(days=age)) for age in ages} == ages
    issued = [created_at(day, 7, run) for run in Run]
    assert issued == sorted(issued)
    assert len(set(issued)) == len(issued)


def test_the_registry_has_200_wind_units_of_some_21_gw(britain: Britain) -> None:
    rows = britain.registry.rows()
    wind = [row for row in rows if row["fuelType"] == "WIND" and row["elexonBmUnit"]]
    ids = Counter(row["elexonBmUnit"] for row in wind)
    assert len(ids) == 200
    assert sorted(ids.values())[-2:] == [1, 2]  # one of them is told twice
    assert {name[0] for name in ids} == {"T", "E", "2"}
    assert 19_000 < sum(float(row["generationCapacity"]) for row in wind) < 24_000
    assert len({row["leadPartyName"] for row in wind}) > 50
    assert all("simulated" in row["leadPartyName"] for row in rows)
    assert any(row["bmUnitName"] is None for row in wind)
    assert any(row["elexonBmUnit"] is None for row in rows)
    assert any(row["fuelType"] is None for row in rows)
    assert all(isinstance(row["generationCapacity"], str) for row in rows)


def test_a_busy_day_has_4_300_rows_and_keeps_2_200(britain: Britain) -> None:
    wind = {unit.elexon_id for unit in britain.registry.wind}
    rows = [
        (side, row)
        for side in Side
        for period in range(1, 49)
        for row in stack(britain, BUSY_DAY, period, side, Run.RF)
    ]
    kept = [
        row
        for side, row in rows
        if side is Side.BID and row["id"] in wind and row["soFlag"] and row["volume"] < 0
    ]
    assert 4_000 < len(rows) < 4_700
    assert 2_000 < len(kept) < 2_400
    assert 42_000 < -sum(row["volume"] for row in kept) < 53_000
    per_unit = Counter((row["settlementPeriod"], row["id"]) for row in kept)
    assert max(per_unit.values()) >= 4
    keys = Counter(
        (side, row["settlementPeriod"], row["id"], row["acceptanceId"], row["bidOfferPairId"])
        for side, row in rows
        if row["acceptanceId"] is not None
    )
    assert max(keys.values()) == 1


def test_a_day_holds_every_sort_of_row(britain: Britain) -> None:
    wind = {unit.elexon_id for unit in britain.registry.wind}
    known = {row["elexonBmUnit"] for row in britain.registry.rows()}
    day = [
        (side, row)
        for side in Side
        for period in range(1, 49)
        for row in stack(britain, BUSY_DAY, period, side, Run.RF)
    ]
    bids = [row for side, row in day if side is Side.BID]
    offers = [row for side, row in day if side is Side.OFFER]
    windy = [row for row in bids if row["id"] in wind]
    assert any(not row["soFlag"] for row in windy)
    assert any(not row["soFlag"] and row["cadlFlag"] for row in windy)
    assert {row["cadlFlag"] for row in windy} == {None, True, False}
    assert any(row["originalPrice"] and row["originalPrice"] > 0 for row in windy)
    assert any(row["volume"] == 0 for row in windy)
    assert any(row["volume"] > 0 for row in windy)
    assert any(row["originalPrice"] is None for row in windy)
    assert any(row["id"] is None and row["acceptanceId"] is None for row in bids)
    assert any(isinstance(row["id"], int) for row in bids)
    assert any(isinstance(row["id"], str) and row["id"].isdecimal() for row in bids)
    assert any(isinstance(row["id"], str) and row["id"] not in known for row in windy + bids)
    assert any(row["id"] in wind and row["volume"] < 0 for row in offers)
    assert any(row["id"] not in wind and row["soFlag"] for row in bids)
    assert all(row["sequenceNumber"] for row in bids)


def test_a_unit_is_never_turned_down_by_more_than_it_would_give(britain: Britain) -> None:
    plan = britain.day(BUSY_DAY)
    assert (plan.down_mw <= plan.output_mw.clip(1)).all()
    taken: Counter[tuple[int, str]] = Counter()
    for period in range(1, 49):
        for row in stack(britain, BUSY_DAY, period, Side.BID, Run.INDICATIVE):
            if row["acceptanceId"] and row["acceptanceId"] % 100 < 40:
                taken[period, row["id"]] -= row["volume"]
    for index, unit in enumerate(britain.registry.wind):
        for period in range(1, 49):
            most = float(plan.down_mw[index, period - 1]) / 2
            assert taken[period, unit.elexon_id or ""] == pytest.approx(most)


def test_days_are_the_same_each_time_and_differ_by_seed(britain: Britain) -> None:
    again, other = Britain(7), Britain(8)
    asked = (BUSY_DAY, 9, Side.BID, Run.SF)
    assert stack(britain, *asked) == stack(again, *asked)
    assert stack(britain, *asked) != stack(other, *asked)


def test_every_kind_of_day_comes_and_calm_ones_have_no_wind_rows(britain: Britain) -> None:
    year = [date(2025, 1, 1) + timedelta(days=number) for number in range(365)]
    kinds = Counter(britain.kind(day) for day in year)
    assert set(kinds) == set(Kind)
    assert 60 < kinds[Kind.BUSY] < 140
    calm = britain.next_of_kind(date(2025, 4, 1), Kind.CALM)
    wind = {unit.elexon_id for unit in britain.registry.wind}
    rows = [
        row for period in range(1, 49) for row in stack(britain, calm, period, Side.BID, Run.RF)
    ]
    assert rows
    assert not [row for row in rows if row["id"] in wind]


def test_runs_correct_volumes_and_take_and_give_rows(britain: Britain) -> None:
    def told(run: Run) -> dict[tuple[object, ...], float]:
        return {
            (period, row["id"], row["acceptanceId"], row["bidOfferPairId"]): row["volume"]
            for period in range(1, 49)
            for row in stack(britain, BUSY_DAY, period, Side.BID, run)
            if row["acceptanceId"] is not None
        }

    before, after = told(Run.II), told(Run.R1)
    assert before.keys() - after.keys()
    assert after.keys() - before.keys()
    both = before.keys() & after.keys()
    changed = [key for key in both if before[key] != after[key]]
    assert 0 < len(changed) < len(both) / 4
    total = sum(before.values())
    assert sum(after.values()) == pytest.approx(total, rel=0.01)
    assert sum(after.values()) != total
