import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelligence.domain.price_band import five_percent_price, historical_five_percent_price
from intelligence.domain.rules import DEFAULT_RULES, LadderStep, Rule, RuleKind
from intelligence.domain.treasury_backtest import Assumptions, Close, backtest

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
HOLD = Rule(kind=RuleKind.HOLD)
DCA = Rule(kind=RuleKind.DCA, amount_usd=D(1000), every_days=7)
ONE = Assumptions(initial_btc=D(1))


def closes(*prices: float | str) -> list[Close]:
    return [Close(START + timedelta(days=n), D(str(price))) for n, price in enumerate(prices)]


def wave(days: int, seed: int = 7) -> list[Close]:
    dice = np.random.default_rng(seed)
    path = 90_000 * np.exp(np.cumsum(dice.normal(0, 0.03, days)))
    return closes(*[f"{price:.2f}" for price in path])


def test_hold_is_the_price_by_hand() -> None:
    """100 → 120 → 90 → 108: +8 %, worst fall 25 %."""
    outcome = backtest(HOLD, closes(100, 120, 90, 108), ONE)
    assert outcome.total_return_percent == pytest.approx(8)
    assert outcome.max_drawdown_percent == pytest.approx(25)
    returns = np.array([0.2, -0.25, 0.2])
    sharpe = returns.mean() / returns.std(ddof=1) * math.sqrt(365)
    assert outcome.sharpe == pytest.approx(sharpe)
    assert (outcome.trades, outcome.win_rate_percent) == ((), None)


def test_a_sale_is_made_at_the_close_after_its_decision() -> None:
    rule = Rule(kind=RuleKind.THRESHOLD, price_usd=D(110), share_percent=D(50))
    outcome = backtest(rule, closes(100, 110, 130, 80), ONE)
    [trade] = outcome.trades
    assert (trade.at, trade.price_usd, trade.btc) == (START + timedelta(days=2), D(130), D("0.5"))
    assert outcome.points[-1].cash_usd == 65


def test_fees_and_wins_by_hand() -> None:
    """Half sold at 130 with 1 % fee: 65 - 0.65 - 50 = 14.35 USD of profit."""
    rule = Rule(kind=RuleKind.LADDER, steps=(LadderStep(D(110), D(50)),))
    given_ = Assumptions(initial_btc=D(1), fee_percent=D(1))
    outcome = backtest(rule, closes(100, 110, 130, 80), given_)
    assert (outcome.fees_usd, outcome.realised_usd) == (D("0.65"), D("14.35"))
    assert outcome.win_rate_percent == 100
    worse = Assumptions(initial_btc=D(1), fee_percent=D(1), cost_usd_per_btc=D(200))
    assert backtest(rule, closes(100, 110, 130, 80), worse).win_rate_percent == 0


@pytest.mark.parametrize("rule", DEFAULT_RULES, ids=lambda rule: rule.kind.value)
def test_no_rule_looks_ahead(rule: Rule) -> None:
    """Whatever comes after a day, all that was done up to it stays as it is."""
    past, future = wave(200), wave(200, seed=8)
    assumed = Assumptions(
        initial_btc=D(5), power_bill_usd_per_day=D(500), btc_mined_per_day=D("0.01")
    )
    whole = backtest(rule, past, assumed)
    for day in (20, 70, 150):
        other = backtest(rule, past[: day + 1] + future[day + 1 :], assumed)
        assert other.points[: day + 1] == whole.points[: day + 1]
        alone = backtest(rule, past[: day + 1], assumed)
        assert alone.points == whole.points[: day + 1]


@pytest.mark.parametrize("rule", DEFAULT_RULES, ids=lambda rule: rule.kind.value)
def test_money_and_bitcoin_are_conserved(rule: Rule) -> None:
    assumed = Assumptions(
        initial_btc=D(5), initial_cash_usd=D(100), power_bill_usd_per_day=D(500),
        btc_mined_per_day=D("0.01"), fee_percent=D("0.1"),
    )  # fmt: skip
    series = wave(120)
    outcome = backtest(rule, series, assumed)
    sold = sum((trade.btc for trade in outcome.trades), D(0))
    earned = sum((trade.btc * trade.price_usd for trade in outcome.trades), D(0))
    days = len(series) - 1
    assert outcome.points[-1].btc == 5 + days * D("0.01") - sold
    expected = 100 + earned - outcome.fees_usd - days * 500
    assert abs(outcome.points[-1].cash_usd - expected) <= D("0.000001") * (len(outcome.trades) + 1)


def test_what_comes_in_and_leaves_is_no_return() -> None:
    """A flat price returns nothing, however much is mined and paid."""
    assumed = Assumptions(
        initial_btc=D(1), initial_cash_usd=D(50), power_bill_usd_per_day=D(10),
        btc_mined_per_day=D("0.01"),
    )  # fmt: skip
    outcome = backtest(HOLD, closes(*[100] * 10), assumed)
    assert outcome.total_return_percent == pytest.approx(0)
    assert outcome.max_drawdown_percent == pytest.approx(0)
    assert outcome.sharpe is None  # no risk, no ratio; the peer divided by zero
    assert outcome.unfunded_days == 4


def test_ruin_has_no_return() -> None:
    assumed = Assumptions(initial_btc=D(1), power_bill_usd_per_day=D(60))
    outcome = backtest(HOLD, closes(*[100] * 6), assumed)
    assert outcome.total_return_percent is None
    assert outcome.sharpe is None
    assert outcome.unfunded_days == 5


def test_cover_opex_pays_the_bills() -> None:
    rule = Rule(kind=RuleKind.COVER_OPEX, days=30, every_days=30)
    assumed = Assumptions(initial_btc=D(20), power_bill_usd_per_day=D(1000))
    outcome = backtest(rule, wave(365), assumed)
    assert outcome.unfunded_days < 365 * 0.1
    assert len(outcome.trades) == 13
    assert backtest(rule, wave(365), ONE).missing == ("power_bill_usd_per_day",)


def test_two_closes_are_enough_to_answer() -> None:
    outcome = backtest(DCA, closes(100, 100), ONE)
    assert (outcome.sharpe, outcome.total_return_percent) == (None, 0)


@given(st.lists(st.decimals("0.01", "1000000", places=2), min_size=2, max_size=30))
def test_figures_stay_within_their_bounds(prices: list[Decimal]) -> None:
    outcome = backtest(DCA, closes(*map(str, prices)), ONE)
    assert outcome.total_return_percent is not None
    assert outcome.total_return_percent >= -100.0000001
    assert outcome.max_drawdown_percent is not None
    assert 0 <= outcome.max_drawdown_percent <= 100
    assert all(point.btc >= 0 for point in outcome.points)
    assert all(after.at > before.at for before, after in pairwise(outcome.points))


def test_the_band_gives_back_the_quantile_it_was_made_of() -> None:
    mu, sigma = math.log(95_000), 0.2
    low = five_percent_price(
        math.exp(mu - 1.2815515655 * sigma), math.exp(mu + 1.2815515655 * sigma),
        math.exp(mu - 1.9599639845 * sigma), math.exp(mu + 1.9599639845 * sigma),
    )  # fmt: skip
    assert low is not None
    assert float(low) == pytest.approx(math.exp(mu - 1.6448536270 * sigma), rel=1e-9)


def test_the_more_careful_of_two_bands_counts() -> None:
    narrow = five_percent_price(90, 110, 85, 118)
    wide = five_percent_price(80, 125, 85, 118)
    assert narrow is not None
    assert wide is not None
    assert wide < narrow


@pytest.mark.parametrize(
    "band",
    [(0, 1, 0, 1), (-1, 2, -1, 2), (2, 1, 2, 1), (math.nan, 1, math.nan, 1), (1, math.inf, 0, 2)],
)
def test_a_senseless_band_gives_no_price(band: tuple[float, float, float, float]) -> None:
    assert five_percent_price(*band) is None


def test_a_band_of_no_width_is_its_price() -> None:
    assert five_percent_price(100, 100, 100, 100) == 100


def test_the_past_gives_a_price_only_when_it_is_long_enough() -> None:
    series = [close.price_usd for close in wave(60)]
    low = historical_five_percent_price(series, 30)
    assert low is not None
    assert low < series[-1]
    assert historical_five_percent_price(series[:59], 30) is None
    assert historical_five_percent_price([D(100)] * 60, 30) == 100
