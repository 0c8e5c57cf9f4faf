from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelligence.domain.proposals import (
    OPEN,
    TRANSITIONS,
    ProposalStatus,
    UndeclaredTransition,
    after_fill,
    approvals_needed,
    moved,
    status_at,
)
from intelligence.domain.rules import (
    LadderStep,
    Rule,
    RuleKind,
    Situation,
    advise,
    floor_usd,
    margin_percent,
)

D = Decimal
NOW = datetime(2026, 11, 21, tzinfo=UTC)
HERE = Situation(
    at=NOW,
    price_usd=D(100_000),
    held_btc=D(10),
    average_cost_usd=D(80_000),
    break_even_usd=D(60_000),
    power_bill_usd_per_day=D(5_000),
    low_price_usd=D(75_000),
)
COVER = Rule(kind=RuleKind.COVER_OPEX, days=30, every_days=30)
DCA = Rule(kind=RuleKind.DCA, amount_usd=D(1000), every_days=7)
THRESHOLD = Rule(
    kind=RuleKind.THRESHOLD, cost_multiple=D("1.15"), share_percent=D(5), every_days=14
)
LAYERED = Rule(kind=RuleKind.LAYERED, cost_multiple=D("1.1"), share_percent=D(10), every_days=1)
LADDER = Rule(
    kind=RuleKind.LADDER,
    steps=(
        LadderStep(D(90_000), D(10)),
        LadderStep(D(100_000), D(20)),
        LadderStep(D(120_000), D(30)),
    ),
)
SELLING = [COVER, DCA, THRESHOLD, LAYERED, LADDER]


def test_hold_never_sells() -> None:
    assert advise(Rule(kind=RuleKind.HOLD), HERE).sell_btc == 0


def test_cover_opex_is_sized_at_the_five_percent_price() -> None:
    """30 days of 5,000 USD are 150,000 USD: 2 BTC at 75,000, not 1.5 at the market."""
    advice = advise(COVER, HERE)
    assert (advice.sell_btc, advice.sizing_price_usd) == (D(2), D(75_000))


def test_cover_opex_without_a_band_says_that_it_is_sized_at_the_market() -> None:
    advice = advise(COVER, replace(HERE, low_price_usd=None))
    assert advice.sell_btc == D("1.5")
    assert "no forecast band" in advice.reason


def test_the_bill_is_covered_to_the_last_satoshi() -> None:
    advice = advise(COVER, replace(HERE, low_price_usd=D(70_001)))
    assert advice.sell_btc * D(70_001) >= 150_000
    assert (advice.sell_btc - D("0.00000001")) * D(70_001) < 150_000


def test_cover_opex_without_a_bill_names_what_is_missing() -> None:
    advice = advise(COVER, replace(HERE, power_bill_usd_per_day=None))
    assert (advice.sell_btc, advice.missing) == (0, ("power_bill_usd_per_day",))


def test_dca_sells_the_same_money_at_intervals() -> None:
    assert advise(DCA, HERE).sell_btc == D("0.01")
    recent = replace(HERE, last_sale_at=NOW - timedelta(days=7) + timedelta(seconds=1))
    assert advise(DCA, recent).sell_btc == 0
    assert advise(DCA, replace(HERE, last_sale_at=NOW - timedelta(days=7))).sell_btc == D("0.01")


def test_threshold_by_cost_and_by_price() -> None:
    assert advise(THRESHOLD, HERE).sell_btc == D("0.5")
    assert advise(THRESHOLD, replace(HERE, price_usd=D("91999.99"))).sell_btc == 0
    assert advise(THRESHOLD, replace(HERE, price_usd=D(92_000))).sell_btc == D("0.5")
    by_price = replace(THRESHOLD, cost_multiple=None, price_usd=D(100_001))
    assert advise(by_price, HERE).sell_btc == 0
    assert advise(replace(by_price, price_usd=D(100_000)), HERE).sell_btc == D("0.5")


def test_layered_is_the_peers_formula() -> None:
    """min(10 %, (p / basis - 1.1) / 2): at 1.25 times the basis 7.5 %, far above it 10 %."""
    assert advise(LAYERED, HERE).sell_btc == D("0.75")
    assert advise(LAYERED, replace(HERE, price_usd=D(160_000))).sell_btc == 1
    assert advise(LAYERED, replace(HERE, price_usd=D(88_000))).sell_btc == 0


@pytest.mark.parametrize("rule", [THRESHOLD, LAYERED])
def test_an_unknown_cost_is_named(rule: Rule) -> None:
    assert advise(rule, replace(HERE, average_cost_usd=None)).missing == ("average_cost_usd",)


def test_a_ladder_sells_each_step_once() -> None:
    first = advise(LADDER, HERE)
    assert (first.sell_btc, first.steps) == (3, (0, 1))
    assert advise(LADDER, replace(HERE, steps_done=frozenset({0, 1}))).sell_btc == 0
    higher = replace(HERE, price_usd=D(120_000), steps_done=frozenset({0, 1}))
    assert advise(LADDER, higher).steps == (2,)


def test_break_even_times_k_is_the_floor() -> None:
    rule = replace(DCA, break_even_multiple=D("1.5"))
    assert floor_usd(rule, D(60_000)) == 90_000
    assert advise(rule, HERE).min_price_usd == 90_000
    assert advise(rule, replace(HERE, price_usd=D(90_000))).sell_btc > 0
    assert advise(rule, replace(HERE, price_usd=D("89999.99"))).sell_btc == 0


@pytest.mark.parametrize("rule", SELLING)
def test_a_floor_without_a_break_even_sells_nothing_and_says_why(rule: Rule) -> None:
    advice = advise(replace(rule, break_even_multiple=D(1)), replace(HERE, break_even_usd=None))
    assert (advice.sell_btc, advice.missing) == (0, ("break_even_usd",))


@pytest.mark.parametrize("rule", SELLING)
def test_what_is_kept_is_never_sold(rule: Rule) -> None:
    assert advise(replace(rule, keep_btc=D(10)), HERE).sell_btc == 0
    assert advise(replace(rule, keep_btc=D("9.999")), HERE).sell_btc <= D("0.001")
    assert advise(rule, replace(HERE, held_btc=D(0))).sell_btc == 0


@given(
    st.sampled_from(SELLING),
    st.decimals("0.01", "10000000", places=2),
    st.decimals("0", "21000000", places=8),
    st.decimals("0", "100", places=8),
    st.decimals("0.01", "10", places=2),
)
def test_no_rule_sells_more_than_is_free_or_under_its_floor(
    rule: Rule, price: Decimal, held: Decimal, kept: Decimal, multiple: Decimal
) -> None:
    rule = replace(rule, keep_btc=kept, break_even_multiple=multiple)
    advice = advise(rule, replace(HERE, price_usd=price, held_btc=held))
    assert 0 <= advice.sell_btc <= max(D(0), held - kept)
    assert advice.sell_btc == advice.sell_btc.quantize(D("0.00000001"))
    if advice.sell_btc:
        assert advice.min_price_usd is not None
        assert price >= advice.min_price_usd


def test_margin_is_of_the_price() -> None:
    assert margin_percent(D(100_000), D(60_000)) == 40
    assert margin_percent(D(50_000), D(60_000)) == -20
    assert margin_percent(D(100_000), None) is None


@pytest.mark.parametrize("status", TRANSITIONS)
@pytest.mark.parametrize("wanted", TRANSITIONS)
def test_every_undeclared_transition_is_refused(
    status: ProposalStatus, wanted: ProposalStatus
) -> None:
    if wanted in TRANSITIONS[status]:
        assert moved(status, wanted) == wanted
    else:
        with pytest.raises(UndeclaredTransition):
            moved(status, wanted)


def test_what_is_closed_stays_closed() -> None:
    assert all(bool(TRANSITIONS[status]) is (status in OPEN) for status in TRANSITIONS)


def test_open_proposals_lapse() -> None:
    assert status_at("approved", NOW, NOW) == "expired"
    assert status_at("approved", NOW + timedelta(seconds=1), NOW) == "approved"
    assert status_at("filled", NOW, NOW) == "filled"


@pytest.mark.parametrize(
    ("value", "limit", "given", "needed"),
    [
        ("10", None, False, 1),
        ("10", None, True, 1),
        ("10000", "10000", False, 1),
        ("10000.000001", "10000", False, 2),
        ("1", "10000", True, 2),
        ("0.01", "0", False, 2),
    ],
)
def test_over_the_limit_two_persons(
    value: str, limit: str | None, given: bool, needed: int
) -> None:
    cap = None if limit is None else D(limit)
    assert approvals_needed(D(value), cap, price_is_callers=given) == needed


def test_a_fill_of_all_closes() -> None:
    assert after_fill(D("1.0"), D("1.00000000")) == "filled"
    assert after_fill(D("0.99999999"), D(1)) == "partially_filled"
