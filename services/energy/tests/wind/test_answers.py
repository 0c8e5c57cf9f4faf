"""What Elexon may answer and cannot be true: each reader says so, and the quick one no less."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.wind.answers import (
    Unit,
    packed,
    read_generation,
    read_metered,
    read_notified,
    read_prices,
    read_stack,
    read_units,
    stored_stack,
)
from energy.wind.fields import Nonsense

DAY = date(2025, 3, 4)
PLACE = {"settlementDate": "2025-03-04", "settlementPeriod": 1}
STACK_ROW: dict[str, Any] = {
    **PLACE, "sequenceNumber": 1, "id": "T_A-1", "acceptanceId": 7, "bidOfferPairId": -1,
    "volume": -3.5, "originalPrice": -70.25, "finalPrice": None, "soFlag": True,
}  # fmt: skip
GENERATION_ROW = {**PLACE, "psrType": "Wind Onshore", "quantity": 5}
PRICE_ROW = {**PLACE, "systemSellPrice": 80.5}
METERED_ROW = {**PLACE, "bmUnit": "T_A-1", "quantity": 3}
NOTIFIED_ROW = {
    **PLACE, "bmUnit": "T_A-1", "timeFrom": "2025-03-04T00:00:00Z",
    "timeTo": "2025-03-04T00:30:00Z", "levelFrom": 3, "levelTo": 5,
}  # fmt: skip

Read = Callable[[bytes], object]
READERS: dict[str, tuple[Read, dict[str, Any]]] = {
    "stack": (lambda body: read_stack(body, DAY, 1), STACK_ROW),
    "generation": (lambda body: read_generation(body, DAY, DAY), GENERATION_ROW),
    "prices": (lambda body: read_prices(body, DAY), PRICE_ROW),
    "metered": (lambda body: read_metered(body, DAY), METERED_ROW),
    "notified": (lambda body: read_notified(body, DAY), NOTIFIED_ROW),
}


def told(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"data": rows}).encode()


def with_text(row: dict[str, Any], name: str, text: str) -> bytes:
    """The row with one field written exactly so, as no encoder would."""
    return told({**row, name: "@"}).replace(b'"@"', text.encode())


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("told_day", ["9999-12-31", "0001-01-01", "2025-03-06", "2025-02-30", ""])
def test_another_day_is_nonsense(name: str, told_day: str) -> None:
    read, row = READERS[name]
    assert read(told(row))
    with pytest.raises(Nonsense):
        read(told({**row, "settlementDate": told_day}))


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "soon",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("stack", "createdDateTime"),
        ("generation", "publishTime"),
        ("prices", "createdDateTime"),
        ("notified", "timeFrom"),
    ],
)
def test_a_time_that_cannot_be(name: str, field: str, moment: str) -> None:
    read, row = READERS[name]
    with pytest.raises(Nonsense, match="is no time"):
        read(told({**row, field: moment}))


@pytest.mark.parametrize(
    "number",
    [
        "1e99999999999999999999", "-1e99999999999999999999", "1e-99999999999999999999",
        "1e9999999", "1e-9999999", "10000001", "9" * 5000, "NaN", "Infinity",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("stack", "finalPrice"),
        ("stack", "volume"),
        ("generation", "quantity"),
        ("prices", "systemSellPrice"),
        ("metered", "quantity"),
        ("notified", "levelTo"),
    ],
)
def test_a_number_that_cannot_be(name: str, field: str, number: str) -> None:
    read, row = READERS[name]
    with pytest.raises(Nonsense):
        read(with_text(row, field, number))


@pytest.mark.parametrize(
    "spans",
    [
        [("2025-10-26", 50), ("2025-10-27", 1), ("2025-10-27", 48), ("2025-10-28", 1)],
        [("2025-10-26", 50), ("2025-10-27", 1), ("2025-10-27", 48)],
        [("2025-10-27", 1), ("2025-10-27", 48), ("2025-10-28", 1)],
    ],
    ids=["both", "by its end", "by its start"],
)
def test_meters_of_the_neighbours_at_the_edges_are_left_out(spans: list[tuple[str, int]]) -> None:
    """Whether Elexon means a half-hour's start or its end when it is asked for a span."""
    rows = [
        {**METERED_ROW, "settlementDate": told_day, "settlementPeriod": period}
        for told_day, period in spans
    ]
    found = read_metered(told(*rows), date(2025, 10, 27))
    assert [(row.day.day, row.period) for row in found] == [(27, 1), (27, 48)]


@pytest.mark.parametrize(
    ("told_day", "period"),
    [("2025-10-26", 48), ("2025-10-26", 1), ("2025-10-28", 2), ("2025-10-29", 1)],
)
def test_other_meters_of_the_neighbours_are_nonsense(told_day: str, period: int) -> None:
    row = {**METERED_ROW, "settlementDate": told_day, "settlementPeriod": period}
    with pytest.raises(Nonsense, match=f"about {told_day}"):
        read_metered(told(row), date(2025, 10, 27))


@pytest.mark.parametrize(("run", "known"), [("SF", "SF"), ("sf", None), (7, None), (None, None)])
def test_the_settlement_run_of_meters(run: Any, known: str | None) -> None:
    [output] = read_metered(told({**METERED_ROW, "settlementRunType": run}), DAY)
    assert output.run == known


@pytest.mark.parametrize("pair", [-7, 7, 40_000, -40_000, 2**40])
def test_a_pair_that_cannot_be(pair: int) -> None:
    with pytest.raises(Nonsense, match="no pair"):
        read_stack(told({**STACK_ROW, "bidOfferPairId": pair}), DAY, 1)


@pytest.mark.parametrize("pair", [-6, 0, 6, None])
def test_the_pairs_there_are(pair: int | None) -> None:
    [row] = read_stack(told({**STACK_ROW, "bidOfferPairId": pair}), DAY, 1)
    assert row.pair_id == pair


def test_rows_that_would_be_one_row_here_are_one_row_twice() -> None:
    """An acceptance that is not told is stored as 0, and so is a pair."""
    with pytest.raises(Nonsense, match="twice"):
        read_stack(
            told({**STACK_ROW, "acceptanceId": None}, {**STACK_ROW, "acceptanceId": 0}), DAY, 1
        )


def test_notifications_of_more_than_there_is() -> None:
    """Each line can be, all of them cannot: the sum would not fit."""
    lines = [
        {**NOTIFIED_ROW, "timeFrom": f"2025-03-04T00:00:00.{n:06}Z", "levelFrom": 9e6}
        for n in range(5)
    ]
    with pytest.raises(Nonsense, match="cannot be"):
        read_notified(told(*lines), DAY)


UNIT = Unit("T_A-1", None, "Alpha Unit 1", "Alpha Ltd", "ALPHA", "WIND", "T", Decimal(30))
FILLED = {
    "elexonBmUnit": "T_A-1", "bmUnitName": "Alpha Unit 1", "leadPartyName": "Alpha Ltd",
    "leadPartyId": "ALPHA", "fuelType": "WIND", "bmUnitType": "T", "generationCapacity": "30",
}  # fmt: skip
ALIAS = {"elexonBmUnit": "T_A-1", "fuelType": None, "bmUnitName": "", "eic": "48W-ALIAS"}


@pytest.mark.parametrize("rows", [(FILLED, ALIAS), (ALIAS, FILLED), (ALIAS, FILLED, ALIAS)])
def test_a_unit_told_twice_keeps_what_is_filled_in(rows: tuple[dict[str, Any], ...]) -> None:
    assert read_units(json.dumps(rows).encode()) == [UNIT]


def test_an_integer_of_thousands_of_digits_that_nobody_reads_harms_nothing() -> None:
    body = with_text(STACK_ROW, "tlmAdjustedCost", "9" * 5000)
    assert stored_stack(packed(body), DAY, 1) == read_stack(body, DAY, 1)


_odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-7, 7),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=5),
    st.sampled_from(
        ["\0", "\ud800", "T_A-1", "2025-03-04", "2025-03-04T10:00:00Z", "0001-01-01T00:00:00+23:59"]
    ),
    st.lists(st.integers(), max_size=2),
)
_written = st.sampled_from(["9" * 5000, "1e400", "1e9999999", "-0", "1.50", "-3.5e-3", "1E2", "@"])
_FIELDS = (*STACK_ROW, "createdDateTime", "cadlFlag", "storFlag", "tlmAdjustedCost", "unheardOf")


@given(
    st.lists(st.dictionaries(st.sampled_from(_FIELDS), _odd, max_size=2), max_size=3),
    st.sampled_from(_FIELDS),
    _written,
)
def test_the_quick_reader_reads_what_the_careful_one_does(
    changes: list[dict[str, Any]], field: str, number: str
) -> None:
    """Whatever is taken for good can be read from what is kept, and is the same."""
    rows = [
        {**STACK_ROW, "sequenceNumber": place, **change} for place, change in enumerate(changes)
    ]
    body = told(*rows, STACK_ROW | {"sequenceNumber": 9, field: "@"})
    body = body.replace(b'"@"', number.encode()) if number != "@" else body
    try:
        careful = read_stack(body, DAY, 1)
    except Nonsense:
        return
    assert stored_stack(packed(body), DAY, 1) == careful
