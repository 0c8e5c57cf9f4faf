"""The arithmetic of a day: pure, whatever the order."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from energy.costs.ledger import ABSENT, Part, assemble, owner_days, shares, site_load
from energy.costs.packing import UNKNOWN, UNRATED, energies_e6, ints, pack

MINERS = [UUID(int=number) for number in range(1, 5)]
CLIENTS = [None, UUID(int=100), UUID(int=200)]
Told = tuple[int, int, int, int, int | None]
"""Half-hour, revision, machine, client, energy."""


@given(
    st.lists(st.lists(st.integers(0, 2_000_000_000), min_size=1, max_size=7), min_size=1),
    st.integers(-(10**12), 10**15),
)
def test_shares_add_up_exactly_and_none_is_off_by_more_than_a_billionth(
    rows: list[list[int]], cost: int
) -> None:
    width = min(map(len, rows))
    energy = np.array([row[:width] for row in rows], np.int64)
    costs = np.full(len(rows), cost, np.int64)
    costs[0] = UNRATED
    found = shares(energy, costs)
    assert found[0].tolist() == [0] * width
    for row in range(1, len(rows)):
        total = int(energy[row].sum())
        assert int(found[row].sum()) == (cost if total else 0)
        for kwh, share in zip(energy[row].tolist(), found[row].tolist(), strict=True):
            assert not total or abs(share - Fraction(cost * kwh, total)) <= 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(1, 3), st.integers(0, 3), st.integers(0, 2),
            st.none() | st.integers(0, 5_000_000),
        ),
        max_size=25,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_newest_word_on_each_machine_counts_in_whatever_order_it_comes(
    told: list[Told], random: Any
) -> None:
    # One event says one thing of a machine and revision.
    said = list({(row[0], row[1], row[2]): row for row in told}.values())
    newest: dict[tuple[int, int], Told] = {}
    for row in sorted(said, key=lambda one: one[1]):
        newest[row[0], row[2]] = row
    random.shuffle(said)
    table = assemble(_parts(said), _rosters(said), 3)
    load = site_load(table)
    cost = np.array([1_000_000_007, UNRATED, 5], np.int64)
    days = owner_days(table, cost)
    for half_hour in range(3):
        words = [row for (place, _), row in newest.items() if place == half_hour]
        assert load.machines[half_hour] == len(words)
        assert load.unknown[half_hour] == sum(row[4] is None for row in words)
        assert load.kwh_e6[half_hour] == sum(row[4] or 0 for row in words)
    for day in days:
        mine = [row for row in newest.values() if CLIENTS[row[3]] == day.client_id]
        assert int(day.half_hour_kwh_e6.sum()) == sum(row[4] or 0 for row in mine)
        assert int(day.machine_kwh_e6.sum()) == sum(row[4] or 0 for row in mine)
        assert int(day.machine_told.sum()) == len(mine)
        rated = day.half_hour_cost_nano[[0, 2]]
        assert int(day.machine_cost_nano.sum()) == int(rated.sum())
    for half_hour in (0, 2):
        whole = sum(int(day.half_hour_cost_nano[half_hour]) for day in days)
        assert whole == (int(cost[half_hour]) if load.kwh_e6[half_hour] else 0)


def _parts(said: Sequence[Told]) -> list[Part]:
    """Return the parts in the order in which the tables give them: by revision."""
    return [
        Part(
            row=half_hour,
            roster=(machine, client),
            kwh_e6=np.array([UNKNOWN if kwh is None else kwh], np.int32),
            th_h=np.array([1.0], np.float32),
        )
        for half_hour, _, machine, client, kwh in sorted(said, key=lambda one: one[1])
    ]


def _rosters(said: Sequence[Told]) -> dict[Any, Any]:
    return {(row[2], row[3]): [(CLIENTS[row[3]], MINERS[row[2]])] for row in said}


def test_an_empty_day_has_nothing() -> None:
    table = assemble([], {}, 48)
    assert site_load(table).kwh_e6.tolist() == [0] * 48
    assert owner_days(table, np.full(48, UNRATED, np.int64)) == []
    assert not table.told().any()
    assert ABSENT < UNKNOWN < 0


def test_numbers_come_out_of_their_bytes_as_they_went_in() -> None:
    values = np.array([0, 1, 2**62, UNRATED], np.int64)
    assert ints(pack(values, "<i8")).tolist() == values.tolist()
    energy = energies_e6(np.array([1.5, np.nan, 0.0000005, 0.1 + 0.2]))
    assert energy.tolist() == [1_500_000, UNKNOWN, 0, 300_000]
