"""Two bills compared: causes add up to the difference, whatever the lines are."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.reconciliation.comparing import KINDS, BillLine, compare, sums
from energy.reconciliation.sheet import BillUnreadable, read

MONEY = st.decimals(-(10**6), 10**6, places=2)
LINES = st.lists(
    st.builds(
        BillLine,
        kind=st.sampled_from(KINDS),
        name=st.sampled_from(["Peak", "peak ", "Off-Peak", "Meter", ""]),
        quantity=st.none() | st.decimals(0, 10**6, places=3),
        rate=st.none(),
        amount=MONEY,
    ),
    max_size=12,
)


@given(LINES, LINES)
def test_the_causes_add_up_to_the_difference(theirs: list[BillLine], ours: list[BillLine]) -> None:
    found = compare(theirs, ours)
    whole = sum((line.amount for line in theirs), Decimal(0))
    whole -= sum((line.amount for line in ours), Decimal(0))
    assert sum(sums(found).values()) == whole == sum((one.difference for one in found), Decimal(0))
    for one in found:
        assert sum(one.causes.values()) == one.difference


def line(kind: Any, name: str, quantity: str | None, amount: str) -> BillLine:
    number = None if quantity is None else Decimal(quantity)
    return BillLine(kind, name, number, None, Decimal(amount))


def test_more_energy_at_another_rate_is_split_in_two() -> None:
    theirs, ours = [line("energy", "Usage", "110", "13.20")], [line("energy", "Flat", "100", "10")]
    [one] = compare(theirs, ours)
    assert one.causes == {"energy_kwh": Decimal(1), "energy_rate": Decimal("2.2")}
    assert (one.their_rate, one.our_rate) == (Decimal("0.12"), Decimal("0.1"))


def test_periods_of_one_name_are_compared_by_themselves() -> None:
    theirs = [line("energy", "PEAK", "10", "3"), line("energy", "Off-Peak", "90", "9")]
    ours = [line("energy", "Peak", "10", "3"), line("energy", "Off-Peak", "80", "8")]
    found = {one.name: one for one in compare(theirs, ours)}
    assert found["Peak"].difference == 0
    assert found["Off-Peak"].causes == {"energy_kwh": Decimal(1), "energy_rate": Decimal(0)}


def test_a_charge_that_our_bill_lacks_is_a_cause_of_its_own() -> None:
    [one] = compare([line("unknown", "Late fee", None, "25")], [])
    assert one.causes == {"unknown_lines": Decimal(25)}
    [demand] = compare([line("demand", "Peak", "40", "200")], [])
    assert demand.causes == {"without_quantity": Decimal(200)} or demand.our_quantity == 0


FULL = "item,quantity,unit,amount\n"
SHORT = "item,amount\n"


@pytest.mark.parametrize(
    ("content", "kind", "quantity", "amount"),
    [
        (FULL + 'Energy charge,"1,234.5",kWh,$148.14', "energy", "1234.5", "148.14"),
        ("item;quantity;unit;amount\nUse;1,2345;MWh;148,14 EUR", "energy", "1234.5", "148.14"),
        (FULL + "Distribution,100,kW,500", "demand", "100", "500"),
        (SHORT + "Monthly service charge,15.00", "fixed", None, "15"),
        (FULL + "State energy tax,72,kWh,1.10", "tax", None, "1.1"),
        (SHORT + "Solar rebate,12.00", "credit", None, "-12"),
        (SHORT + "Solar rebate,(12.00)", "credit", None, "-12"),
        (SHORT + "Transition adder,3", "unknown", None, "3"),
        ("kind,item,amount\nfixed,Transition adder,3", "fixed", None, "3"),
        (FULL + "Demand,50,kVA,250", "demand", None, "250"),
    ],
)
def test_lines_are_read_in_the_words_of_utilities(
    content: str, kind: str, quantity: str | None, amount: str
) -> None:
    comma = "comma" if ";" in content else "point"
    [found] = read(content.encode(), comma).lines
    assert (found.kind, found.amount) == (kind, Decimal(amount))
    assert found.quantity == (None if quantity is None else Decimal(quantity))


def test_a_total_is_checked_and_not_counted() -> None:
    sheet = read(b"item,amount\nEnergy,10\nTax,1\nTotal,11\n", "point")
    assert [one.amount for one in sheet.lines] == [10, 1]
    assert sheet.stated_total == 11


@pytest.mark.parametrize(
    "content",
    [
        b"item,amount\n",
        b"item,amount\nEnergy,\n",
        b"item,amount\nEnergy,ten\n",
        b"item;amount\nEnergy;12,5\n",
        b"item,amount\nEnergy,1e9\n",
        b"item,amount\nEnergy,9999999999999\n",
        b"item,amount\nEnergy,1.0000001\n",
        b"item,amount\nTotal,12\n",
        b"kind,amount\nlight,12\n",
        b"item,amount\n" + b"Energy,1\n" * 1001,
    ],
)
def test_what_is_not_clear_is_refused(content: bytes) -> None:
    with pytest.raises(BillUnreadable):
        read(content, "point")
