"""The network's arithmetic against the chain's own figures."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculator.domain import network
from calculator.domain.network import BadBits

BLOCK_840000 = 0x17034219


@pytest.mark.parametrize(
    ("height", "satoshi"),
    [
        (0, 5_000_000_000),
        (209_999, 5_000_000_000),
        (210_000, 2_500_000_000),
        (839_999, 625_000_000),
        (840_000, 312_500_000),
        (1_050_000, 156_250_000),
        (6_929_999, 1),
        (6_930_000, 0),
        (10**9, 0),
    ],
)
def test_subsidy_by_height(height: int, satoshi: int) -> None:
    assert network.subsidy_sat(height) == satoshi


def test_all_subsidies_together_are_the_known_supply() -> None:
    eras = range(0, 6_930_000, network.HALVING_BLOCKS)
    assert (
        sum(network.subsidy_sat(h) * network.HALVING_BLOCKS for h in eras) == 2_099_999_997_690_000
    )


@pytest.mark.parametrize(
    ("bits", "difficulty"),
    [
        (0x1D00FFFF, "1.000000"),
        (0x1B0404CB, "16307.420939"),  # the developer guide's example
        (BLOCK_840000, "86388558925171.011713"),
        (0x17028BB1, "110568428300952.694970"),
        (0x17028281, "112149504190349.286301"),
    ],
)
def test_compact_form_is_difficulty_exactly(bits: int, difficulty: str) -> None:
    assert f"{network.difficulty_of(bits):.6f}" == difficulty
    assert network.bits_of(Decimal(difficulty)) == bits


@pytest.mark.parametrize(
    "known",
    [
        "108105433845147", "110568428300952", "112149504190349", "113757508810853",
        "72006146478567", "73197634206448", "70343519904867", "75502165623894", "81725299822043",
    ],
)  # fmt: skip
def test_difficulties_known_to_whole_numbers_find_their_compact_form(known: str) -> None:
    bits = network.bits_of(Decimal(known))
    assert bits is not None
    assert abs(network.difficulty_of(bits) - int(known)) < 1


@pytest.mark.parametrize("never", ["123456789012345", "0.5", "1.00001"])
def test_a_difficulty_the_network_cannot_have_has_no_compact_form(never: str) -> None:
    assert network.bits_of(Decimal(never)) is None


@given(st.integers(0x008000, 0x7FFFFF), st.integers(0x10, 0x1C))
def test_compact_forms_come_back(mantissa: int, size: int) -> None:
    bits = size << 24 | mantissa
    assert network.bits_of(network.difficulty_of(bits)) == bits


@pytest.mark.parametrize(
    ("bits", "why"),
    [
        (0x00000000, "zero"),
        (0x17000000, "zero"),
        (0x01003456, "zero"),
        (0x17834219, "negative"),
        (0x23123456, "256 bits"),
        (0x1D010000, "easier"),
        (0x207FFFFF, "easier"),
    ],
)
def test_bad_compact_forms_say_why(bits: int, why: str) -> None:
    with pytest.raises(BadBits, match=why):
        network.target_of(bits)


@pytest.mark.parametrize("text", ["0x17034219", "17034219", "0X17034219", "386089497"])
def test_compact_forms_as_nodes_and_explorers_write_them(text: str) -> None:
    assert network.bits_of_text(text) == BLOCK_840000


@pytest.mark.parametrize(
    "text", ["", "0x", "zz", "-1", "1e9", "0x1703421900", "99999999999", "1703 219", "٣٨٦٠٨٩٤٩٧"]
)
def test_what_is_no_compact_form(text: str) -> None:
    with pytest.raises(BadBits):
        network.bits_of_text(text)


@pytest.mark.parametrize(
    ("timespan_s", "held", "factor"),
    [
        (1_209_600, 1_209_600, "1"),
        (604_800, 604_800, "2"),
        (2_419_200, 2_419_200, "0.5"),
        (302_400, 302_400, "4"),
        (302_399, 302_400, "4"),
        (1, 302_400, "4"),
        (4_838_400, 4_838_400, "0.25"),
        (10**9, 4_838_400, "0.25"),
    ],
)
def test_retarget_is_held_between_a_quarter_and_four(
    timespan_s: int, held: int, factor: str
) -> None:
    difficulty = Decimal(110568428300952)
    after = network.retarget(difficulty, timespan_s)
    assert (after.timespan_s, after.difficulty) == (held, difficulty * Decimal(factor))
    assert after.change_percent == (Decimal(factor) - 1) * 100


def test_retarget_never_falls_below_the_easiest() -> None:
    assert network.retarget(Decimal(1), 4_838_400).difficulty == 1


def test_hashprice_is_the_income_of_the_published_example() -> None:
    """1 MWh through 100 TH/s at 3,050 W and D1 without fees earns 0.00077671498787 BTC."""
    hours = Decimal(1_000_000) / 3050
    daily = network.hashprice_btc_per_ths_day(Decimal(110_568_428_300_952), Decimal("3.125"))
    assert f"{daily * 100 * hours / 24:.14f}" == "0.00077671498787"


def test_implied_hashrate_and_hashprice_are_two_views_of_one_rule() -> None:
    difficulty = Decimal(86388558925171)
    ehs = network.implied_hashrate_ehs(difficulty)
    assert f"{ehs:.2f}" == "618.39"
    daily = network.hashprice_btc_per_ths_day(difficulty, Decimal("3.125"))
    assert abs(daily * ehs * 10**6 - 144 * Decimal("3.125")) < Decimal("1e-18")


def test_epochs_begin_where_difficulty_or_subsidy_changes() -> None:
    assert network.epoch_of(839_999) == 838_656
    assert network.epoch_of(840_000) == 840_000
    assert network.epoch_of(840_672) == 840_672
    assert network.epoch_after(838_656) == 840_000
    assert network.epoch_after(840_000) == 840_672
    assert network.next_halving(839_999) == 840_000
    assert network.next_halving(840_000) == 1_050_000
    assert network.next_retarget(840_000) == 840_672


def test_blocks_are_due_every_ten_minutes() -> None:
    now = datetime(2024, 4, 20, tzinfo=UTC)
    assert network.expected_at(840_144, 840_000, now) == datetime(2024, 4, 21, tzinfo=UTC)
