"""Epochs in force at a moment, and histories that cannot be this network's."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from calculator.domain.epochs import (
    Epoch,
    epoch_from,
    in_force,
    objection,
    pace_of,
    reckoned_height,
)
from calculator.domain.snapshot import shipped_epochs

START = datetime(2025, 2, 23, 20, tzinfo=UTC)
D1, D2 = Decimal("110568428300952.69"), Decimal("112149504190349.29")
NOW = START + timedelta(days=60)


def epochs() -> list[Epoch]:
    return [
        epoch_from(885_024, START, D1, "mempool", simulated=False),
        epoch_from(887_040, START + timedelta(days=14), D2, "mempool", simulated=False),
    ]


def test_a_retarget_falls_at_an_instant() -> None:
    at = START + timedelta(days=14)
    before = in_force(epochs(), at - timedelta(seconds=1), NOW)
    after = in_force(epochs(), at, NOW)
    assert before is not None
    assert after is not None
    assert (before.height, after.height) == (885_024, 887_040)
    assert (before.bits, after.bits) == (0x17028BB1, 0x17028281)


def test_nothing_is_guessed_in_a_gap() -> None:
    gap = [*shipped_epochs(), *epochs()]
    assert in_force(gap, datetime(2024, 12, 1, tzinfo=UTC), NOW) is None
    assert in_force(gap, datetime(2009, 1, 3, 18, tzinfo=UTC), NOW) is None
    assert in_force([], START, NOW) is None


def test_the_last_epoch_counts_while_it_cannot_be_over() -> None:
    last = START + timedelta(days=14)
    assert in_force(epochs(), last + timedelta(days=3), NOW) is not None
    assert in_force(epochs(), last + timedelta(days=4), NOW) is None
    assert in_force(epochs(), NOW + timedelta(seconds=1), NOW) is None


def test_the_shipped_epochs_are_the_halvings() -> None:
    shipped = shipped_epochs()
    assert [one.height for one in shipped] == [0, 210_000, 420_000, 630_000, 840_000]
    assert [str(one.subsidy_btc.normalize()) for one in shipped] == [
        "5E+1", "25", "12.5", "6.25", "3.125",
    ]  # fmt: skip
    assert shipped[-1].started_at == datetime(2024, 4, 20, 0, 9, 27, tzinfo=UTC)
    assert f"{shipped[-1].difficulty:.6f}" == "86388558925171.011713"
    assert shipped[0].difficulty == 1


def rows(*changes: tuple[int, float, str]) -> list[tuple[int, datetime, Decimal]]:
    return [(h, START + timedelta(days=days), Decimal(d)) for h, days, d in changes]


@pytest.mark.parametrize(
    ("history", "why"),
    [
        (rows((885_025, 0, "100")), "no difficulty begins"),
        (rows((889_056, 0, "100")), "no difficulty begins"),
        (rows((885_024, 0, "100"), (887_040, 0, "100")), "not later"),
        (rows((885_024, 0, "100"), (885_024, 1, "100")), "not later"),
        (rows((885_024, 0, "100"), (887_040, 9, "401")), "cannot change"),
        (rows((885_024, 0, "100"), (887_040, 9, "24.9")), "cannot change"),
    ],
)
def test_impossible_histories(history: list[tuple[int, datetime, Decimal]], why: str) -> None:
    assert why in (objection(history, 887_050) or "")


def test_possible_histories() -> None:
    assert objection(rows((885_024, 0, "100"), (887_040, 14, "400")), 887_050) is None
    assert objection(rows((883_008, 0, "100"), (887_040, 14, "1600")), 887_050) is None
    assert objection([], 887_050) is None


def test_the_pace_foretells_the_next_retarget() -> None:
    assert pace_of(35, 1000) is None
    assert pace_of(100, 0) is None
    fast = pace_of(1000, 540_000)
    assert fast is not None
    assert (fast.seconds_per_block, round(fast.change_percent, 6)) == (540, 11.111111)
    slow = pace_of(100, 10**7)
    assert slow is not None
    assert slow.change_percent == -75


@pytest.mark.parametrize(
    ("days", "expected"), [(0, 840_000), (100, 854_400), (940, 975_360), (1_350, None), (-1, None)]
)
def test_the_height_by_the_clock_is_never_guessed_near_a_halving(
    days: int, expected: int | None
) -> None:
    at = datetime(2024, 4, 20, tzinfo=UTC)
    assert reckoned_height(840_000, at, at + timedelta(days=days)) == expected
