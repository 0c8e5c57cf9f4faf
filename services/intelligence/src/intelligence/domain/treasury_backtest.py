"""What a rule would have done over a series of daily closes.

The rule sees the closes up to and including a day and decides; its sale happens at the *next*
day's close, so that nothing is known before it happened. Each day the mined bitcoin comes in at
that day's close, then the power bill leaves in cash (which may go below zero: the days on which
that is so are counted, not hidden).

Returns are time-weighted: what comes in or leaves on a day is taken out of that day's return, so
that mining much or paying much changes no rule's figure. Sharpe is the mean of the daily returns
over their standard deviation (n - 1), times the root of 365, with no risk-free rate.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from intelligence.domain.lots import ZERO, bitcoin, money, worth
from intelligence.domain.price_band import historical_five_percent_price
from intelligence.domain.rules import HUNDRED, Rule, RuleKind, Situation, advise

_YEAR_DAYS = 365
_TRAILING_DAYS = 90
LAST_POINTS = 30


@dataclass(frozen=True, slots=True)
class Close:
    """One day's close."""

    at: datetime
    price_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """With what, and at what cost, the rule is tried."""

    initial_btc: Decimal
    initial_cash_usd: Decimal = ZERO
    cost_usd_per_btc: Decimal | None = None
    """Of the initial bitcoin; the first close where it is not given."""
    power_bill_usd_per_day: Decimal | None = None
    btc_mined_per_day: Decimal = ZERO
    break_even_usd: Decimal | None = None
    fee_percent: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Trade:
    """One sale."""

    at: datetime
    btc: Decimal
    price_usd: Decimal
    fee_usd: Decimal
    realised_usd: Decimal


@dataclass(frozen=True, slots=True)
class Point:
    """The holding at one close."""

    at: datetime
    price_usd: Decimal
    btc: Decimal
    cash_usd: Decimal
    equity_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the rule has done. A figure that is not defined is None, never 0."""

    total_return_percent: float | None
    max_drawdown_percent: float | None
    """How far, at worst, the time-weighted value fell below its highest: 0 or more."""
    sharpe: float | None
    win_rate_percent: float | None
    """Sales that made a profit, of all sales."""
    realised_usd: Decimal
    fees_usd: Decimal
    unfunded_days: int
    """Days that ended with less than no cash."""
    trades: tuple[Trade, ...]
    points: tuple[Point, ...]
    missing: tuple[str, ...]
    """What the rule asked for and was not given."""


@dataclass(slots=True)
class _Book:
    """The holding while the days pass; cost at the average."""

    btc: Decimal
    cost_usd: Decimal
    cash_usd: Decimal
    last_sale_at: datetime | None = None
    steps_done: frozenset[int] = frozenset()
    trades: list[Trade] = field(default_factory=list[Trade])
    points: list[Point] = field(default_factory=list[Point])
    returns: list[float] = field(default_factory=list[float])
    missing: set[str] = field(default_factory=set[str])

    def equity_usd(self, price_usd: Decimal) -> Decimal:
        return self.cash_usd + worth(self.btc, price_usd)


def backtest(rule: Rule, closes: Sequence[Close], given: Assumptions) -> Outcome:
    """Return what the rule would have done. The closes are in order of time, a day apart."""
    first = closes[0].price_usd
    book = _Book(
        btc=given.initial_btc,
        cost_usd=worth(given.initial_btc, given.cost_usd_per_btc or first),
        cash_usd=given.initial_cash_usd,
    )
    book.points.append(_point(book, closes[0]))
    order = _decide(rule, closes, 0, book, given)
    for day in range(1, len(closes)):
        before = book.points[-1].equity_usd
        close = closes[day]
        if order > 0:
            _sell(book, close, order, given.fee_percent)
        flow = _flow(book, close.price_usd, given)
        book.points.append(_point(book, close))
        _note_return(book, before, book.points[-1].equity_usd - flow)
        order = _decide(rule, closes, day, book, given)
    return _outcome(book)


def _decide(
    rule: Rule, closes: Sequence[Close], day: int, book: _Book, given: Assumptions
) -> Decimal:
    known = closes[max(0, day + 1 - _TRAILING_DAYS) : day + 1]
    now = known[-1]
    advice = advise(
        rule,
        Situation(
            at=now.at,
            price_usd=now.price_usd,
            held_btc=book.btc,
            average_cost_usd=money(book.cost_usd / book.btc) if book.btc else None,
            break_even_usd=given.break_even_usd,
            power_bill_usd_per_day=given.power_bill_usd_per_day,
            low_price_usd=_low_price_usd(rule, known),
            last_sale_at=book.last_sale_at,
            steps_done=book.steps_done,
        ),
    )
    book.missing.update(advice.missing)
    if advice.sell_btc > 0:
        book.last_sale_at = now.at
        book.steps_done |= set(advice.steps)
    return advice.sell_btc


def _low_price_usd(rule: Rule, known: Sequence[Close]) -> Decimal | None:
    if rule.kind is not RuleKind.COVER_OPEX:
        return None  # nobody else asks for it
    return historical_five_percent_price([one.price_usd for one in known], rule.days)


def _sell(book: _Book, close: Close, btc: Decimal, fee_percent: Decimal) -> None:
    proceeds = worth(btc, close.price_usd)
    fee = money(proceeds * fee_percent / HUNDRED)
    cost = book.cost_usd if btc == book.btc else money(book.cost_usd * btc / book.btc)
    book.btc -= btc
    book.cost_usd -= cost
    book.cash_usd += proceeds - fee
    book.trades.append(Trade(close.at, btc, close.price_usd, fee, proceeds - fee - cost))


def _flow(book: _Book, price_usd: Decimal, given: Assumptions) -> Decimal:
    """Let the day's bitcoin in and the day's bill out; return what that changed."""
    mined = worth(given.btc_mined_per_day, price_usd)
    bill = given.power_bill_usd_per_day or ZERO
    book.btc = bitcoin(book.btc + given.btc_mined_per_day)
    book.cost_usd += mined
    book.cash_usd -= bill
    return mined - bill


def _point(book: _Book, close: Close) -> Point:
    equity = book.equity_usd(close.price_usd)
    return Point(close.at, close.price_usd, book.btc, book.cash_usd, equity)


def _note_return(book: _Book, before: Decimal, after: Decimal) -> None:
    # Of nothing, or of debts, there is no return; the figures end where that begins.
    defined = before > 0 and after >= 0 and not any(map(math.isnan, book.returns[-1:]))
    book.returns.append(float(after / before) - 1 if defined else math.nan)


def _outcome(book: _Book) -> Outcome:
    whole = bool(book.returns) and not math.isnan(book.returns[-1])
    total, drawdown = _growth(book.returns) if whole else (None, None)
    wins = sum(trade.realised_usd > 0 for trade in book.trades)
    return Outcome(
        total_return_percent=total,
        max_drawdown_percent=drawdown,
        sharpe=_sharpe(book.returns) if whole else None,
        win_rate_percent=100 * wins / len(book.trades) if book.trades else None,
        realised_usd=sum((trade.realised_usd for trade in book.trades), ZERO),
        fees_usd=sum((trade.fee_usd for trade in book.trades), ZERO),
        unfunded_days=sum(point.cash_usd < 0 for point in book.points),
        trades=tuple(book.trades),
        points=tuple(book.points),
        missing=tuple(sorted(book.missing)),
    )


def _growth(returns: Sequence[float]) -> tuple[float, float]:
    value = highest = 1.0
    worst = 0.0
    for one in returns:
        value *= 1 + one
        highest = max(highest, value)
        worst = max(worst, 1 - value / highest)
    return 100 * (value - 1), 100 * worst


def _sharpe(returns: Sequence[float]) -> float | None:
    if len(returns) < 2:  # noqa: PLR2004  (a deviation needs two)
        return None
    spread = statistics.stdev(returns)
    # A flat series: no risk, and no ratio to it. Rounding noise is not risk either.
    return None if spread < 1e-12 else statistics.mean(returns) / spread * math.sqrt(_YEAR_DAYS)  # noqa: PLR2004  (noise)
