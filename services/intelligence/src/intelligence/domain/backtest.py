"""What following the signal would have brought, with costs, beside holding.

A signal is known when its bar closes, and acted upon at the next bar's open: BUY puts all money
into bitcoin, SELL all into dollars, NEUTRAL changes nothing; there is no leverage and no short
sale. Every change pays fee and slippage on the amount changed. Both accounts are valued at each
close, as if sold free of cost.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intelligence.domain.indicators import Column

YEAR_S = 365.25 * 86_400


@dataclass(frozen=True, slots=True)
class Performance:
    """How an account did."""

    return_percent: float
    max_drawdown_percent: float
    """The deepest fall from a peak, as a positive number."""
    sharpe: float | None
    """Mean by deviation of the returns per bar, per year; null where nothing varies."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One time in the market: from which bar's open to which bar's; None while it is open."""

    bought: int
    sold: int | None
    return_percent: float
    """After costs; of an open trade, at the last close and before the cost of leaving."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """The strategy, and buying at the first open it could have bought at, and holding."""

    strategy: Performance
    buy_and_hold: Performance
    equity: Column
    """Value of the strategy's account at each close; 1 is what it began with."""
    held: Column
    trades: list[Trade]
    win_rate_percent: float | None
    """Share of the closed trades that gained after costs; null while there is none."""
    exposure_percent: float
    """Share of the bars spent in the market."""


def backtest(
    open_: Column,
    close: Column,
    signal: NDArray[np.int8],
    *,
    cost_percent: float,
    bar_s: float,
) -> Backtest:
    """Follow the signal over the bars; `cost_percent` is fee and slippage of one change."""
    keep = 1 - cost_percent / 100
    position = _positions(signal)
    equity = _equity(open_, close, position, keep)
    held = _equity(open_, close, np.minimum(np.arange(len(open_)), 1), keep)
    trades = _trades(open_, close, position, keep)
    won = [trade.return_percent > 0 for trade in trades if trade.sold is not None]
    return Backtest(
        strategy=_performance(equity, bar_s),
        buy_and_hold=_performance(held, bar_s),
        equity=equity,
        held=held,
        trades=trades,
        win_rate_percent=100 * sum(won) / len(won) if won else None,
        exposure_percent=100 * float(position.mean()) if len(position) else 0.0,
    )


def _positions(signal: NDArray[np.int8]) -> NDArray[np.intp]:
    """Return whether the account is in the market during each bar: what was said last before it."""
    said = np.flatnonzero(signal)
    latest = np.searchsorted(said, np.arange(len(signal)))  # how many said before this bar
    before = np.concatenate((np.array([-1], dtype=np.int8), signal[said]))[latest]
    return (before > 0).astype(np.intp)


def _equity(open_: Column, close: Column, position: NDArray[np.intp], keep: float) -> Column:
    """Value the account at each close: overnight as before, at the open a change, then the bar."""
    if not len(open_):
        return np.empty(0)
    before = np.concatenate(([0], position[:-1]))
    last_close = np.concatenate((open_[:1], close[:-1]))
    overnight = np.where(before == 1, open_ / last_close, 1.0)
    change = np.where(before != position, keep, 1.0)
    during = np.where(position == 1, close / open_, 1.0)
    return np.cumprod(overnight * change * during, dtype=np.float64)


def _trades(open_: Column, close: Column, position: NDArray[np.intp], keep: float) -> list[Trade]:
    steps = np.diff(position, prepend=0)
    bought, sold = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    trades = [
        Trade(int(b), int(s), 100 * (float(open_[s] / open_[b]) * keep * keep - 1))
        for b, s in zip(bought, sold, strict=False)
    ]
    if len(bought) > len(sold):
        last = bought[-1]
        gain = float(close[-1] / open_[last]) * keep
        trades.append(Trade(int(last), None, 100 * (gain - 1)))
    return trades


def _performance(equity: Column, bar_s: float) -> Performance:
    if not len(equity):
        return Performance(0.0, 0.0, None)
    account = np.concatenate(([1.0], equity))
    peaks = np.maximum.accumulate(account)
    returns = account[1:] / account[:-1] - 1
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    per_year = float(np.sqrt(YEAR_S / bar_s))
    return Performance(
        return_percent=100 * float(equity[-1] - 1),
        max_drawdown_percent=100 * float(1 - (account / peaks).min()),
        sharpe=float(returns.mean()) / spread * per_year if spread > 0 else None,
    )
