"""Bitcoin of curtailed energy, and which rows count. Known answers: energy.md §2, by number."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.domain.wind import (
    Side,
    StackRow,
    btc,
    btc_per_mwh,
    energy_of_levels,
    objection,
    payment,
    sort_stack,
)

D1, D2 = Decimal(110568428300952), Decimal(112149504190349)
FALLBACK = Decimal(108105433845147)
SUBSIDY = Decimal("3.125")
S19J_PRO = Decimal(100), Decimal(3050)
S19J_PRO_104 = Decimal(104), Decimal(3068)
M20S = Decimal(68), Decimal(3360)
S9 = Decimal("13.5"), Decimal(1323)
Spec = tuple[Decimal, Decimal]
FUELS = {"T_A-1": "WIND", "T_G-1": "CCGT", "V__N": None}


def mined(mwh: str, spec: Spec, difficulty: Decimal = D1, *, whole: bool = False) -> Decimal:
    return btc(Decimal(mwh), *spec, difficulty, SUBSIDY, whole_miners=whole).btc


def row(**changes: Any) -> StackRow:
    values: dict[str, Any] = {
        "sequence_number": 1,
        "unit": "T_A-1",
        "acceptance_id": 7,
        "pair_id": -1,
        "volume_mwh": Decimal(-20),
        "original_price": Decimal("-95.12"),
        "final_price": None,
        "so_flag": True,
        "cadl_flag": False,
        "stor_flag": False,
        "created_at": None,
    }
    return StackRow(**(values | changes))


@pytest.mark.parametrize(
    ("spec", "linear", "whole_miners", "whole"),
    [
        (S19J_PRO, "0.00077671498787", 655, "0.00077584118350"),
        (M20S, "0.00047943657287", 595, "0.00047924479824"),
        (S9, "0.00024173272582", 1511, "0.00024161826537"),
        (S19J_PRO_104, "0.00080304430949", 651, "0.00080194735096"),
    ],
)
def test_known_answers_1_and_2_one_mwh(
    spec: Spec, linear: str, whole_miners: int, whole: str
) -> None:
    places = Decimal("1e-14")
    assert mined("1", spec).quantize(places) == Decimal(linear)
    found = btc(Decimal(1), *spec, D1, SUBSIDY, whole_miners=True)
    assert found.miners == whole_miners
    assert found.btc.quantize(places) == Decimal(whole)
    assert found.hashrate_ths == whole_miners * spec[0]


@pytest.mark.parametrize(
    ("kwh", "spec", "miners"),
    [
        ("1", S19J_PRO, 0),
        ("1", M20S, 0),
        ("1", S9, 1),
        ("1.5249", S19J_PRO, 0),
        ("1.525", S19J_PRO, 1),
    ],
)
def test_known_answer_3_whole_miners_of_a_kwh(kwh: str, spec: Spec, miners: int) -> None:
    mwh = Decimal(kwh) / 1000
    assert btc(mwh, *spec, D1, SUBSIDY, whole_miners=True).miners == miners


def test_known_answer_3_linear_kwh() -> None:
    assert mined("0.001", S19J_PRO).quantize(Decimal("1e-14")) == Decimal("0.00000077671499")


@pytest.mark.parametrize(
    ("spec", "answer", "of_the_document"),
    [
        (S19J_PRO_104, "39.21755275", "39.21754996"),
        (M20S, "23.41381274", "23.41375966"),
        (S9, "11.80528373", "11.80551586"),
    ],
)
def test_known_answer_4_a_day_of_the_document(
    spec: Spec, answer: str, of_the_document: str
) -> None:
    found = mined("47748.24", spec, FALLBACK)
    assert found.quantize(Decimal("1e-8")) == Decimal(answer)
    assert abs(found / Decimal(of_the_document) - 1) < Decimal("3e-5")


@pytest.mark.parametrize(
    ("periods", "answer"), [(46, "0.357288894418"), (48, "0.372823194176"), (50, "0.388357493933")]
)
def test_known_answers_5_and_6_days_of_ten_mwh(periods: int, answer: str) -> None:
    total = sum((mined("10", S19J_PRO) for _ in range(periods)), Decimal())
    assert total.quantize(Decimal("1e-12")) == Decimal(answer)


@pytest.mark.parametrize(("spec", "answer"), [(M20S, "159.87284"), (S9, "80.60815")])
def test_the_month_of_document_002(spec: Spec, answer: str) -> None:
    assert mined("326031.768", spec, FALLBACK).quantize(Decimal("1e-5")) == Decimal(answer)


def test_the_share_of_the_work_gives_the_same() -> None:
    """Miners times TH/s, by the network's hashrate, times three blocks: document 002's form."""
    for spec in (S19J_PRO, M20S, S9):
        miners = Fraction(1000) / (Fraction(spec[1]) / 1000 * Fraction(1, 2))
        network_ths = Fraction(D1) * 2**32 / 600 / 10**12
        share = miners * Fraction(spec[0]) / network_ths * 3 * Fraction(SUBSIDY)
        assert abs(Fraction(mined("1", spec)) - share) < Fraction(1, 10**25)


@given(
    st.decimals("0.001", "5000", places=6),
    st.decimals("0.001", "5000", places=6),
    st.sampled_from([S19J_PRO, M20S, S9]),
)
def test_bitcoin_is_linear_in_energy(a: Decimal, b: Decimal, spec: Spec) -> None:
    parts = mined(str(a), spec) + mined(str(b), spec)
    assert abs(mined(str(a + b), spec) - parts) < Decimal("1e-24")
    per_mwh = btc_per_mwh(*spec, D1, SUBSIDY)
    assert abs(a * per_mwh - mined(str(a), spec)) < Decimal("1e-20")


@pytest.mark.parametrize(
    ("volume", "price", "paid"),
    [("-20", "-95.12", "1902.40"), ("-10", "5", "-50.00"), ("-1", "0", "0")],
)
def test_what_a_farm_is_paid(volume: str, price: str, paid: str) -> None:
    assert payment(Decimal(volume), Decimal(price)) == Decimal(paid)


def test_the_original_price_pays_and_not_the_final_one() -> None:
    assert row(final_price=Decimal(50)).payment_gbp == Decimal("1902.40")


@pytest.mark.parametrize(
    ("side", "changes", "reason"),
    [
        ("bid", {}, None),
        ("bid", {"so_flag": False}, None),
        ("bid", {"unit": None}, "no_unit"),
        ("bid", {"unit": "T_X-1"}, "unknown_unit"),
        ("bid", {"unit": "T_G-1"}, "not_wind"),
        ("bid", {"unit": "V__N"}, "no_fuel_type"),
        ("offer", {}, "offer_side"),
        ("bid", {"volume_mwh": None}, "no_volume"),
        ("bid", {"volume_mwh": Decimal(0)}, "zero_volume"),
        ("bid", {"volume_mwh": Decimal("0.001")}, "turned_up"),
        ("bid", {"original_price": None}, "no_price"),
        ("bid", {"cadl_flag": True, "so_flag": False}, "cadl_only"),
        ("bid", {"cadl_flag": True}, None),
    ],
)
def test_which_rows_count(side: Side, changes: dict[str, Any], reason: str | None) -> None:
    assert objection(side, row(**changes), FUELS) == reason


def test_what_is_left_out_is_counted_by_reason() -> None:
    rows = [
        row(),
        row(sequence_number=2),
        row(sequence_number=3, unit="T_G-1"),
        row(sequence_number=4, original_price=None),
        row(sequence_number=5, unit="T_G-1"),
    ]
    found = sort_stack("bid", rows, FUELS)
    # Several acceptances of a unit in one period all count: keeping one loses half of the energy.
    assert [one.sequence_number for one in found.kept] == [1, 2]
    assert found.excluded == {"not_wind": [3, 5], "no_price": [4]}
    assert found.counts == {"not_wind": 2, "no_price": 1}


def test_energy_under_a_notification() -> None:
    assert energy_of_levels(Decimal(100), Decimal(200), 1800) == Decimal(75)
    assert energy_of_levels(Decimal(90), Decimal(90), 600) == Decimal(15)
