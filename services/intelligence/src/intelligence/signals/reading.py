"""Signals, levels and back-tests of the stored candles."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, ClassVar

from common.errors import Conflict
from intelligence.domain.backtest import Backtest, Performance, Trade, backtest
from intelligence.domain.candles import Series
from intelligence.domain.indicators import Bars, reasons
from intelligence.domain.levels import Level, Side, levels
from intelligence.domain.signals import score, trend
from intelligence.indicators.answers import at, bars_of, opinion, values
from intelligence.indicators.compute import WARM_UP, compute
from intelligence.signals.network import History, network_signals
from intelligence.signals.schemas import (
    LevelFound,
    Levels,
    MarketSignals,
    PerformanceFound,
    SignalBacktest,
    TradeFound,
    TrendFound,
)

LEAST_BARS = 30
_STALE_BARS = 3


class HistoryTooShort(Conflict):
    """There are too few candles behind the warm-up."""

    title: ClassVar[str] = "Too little history is stored"


def _stored(series: Series, now: datetime) -> dict[str, Any]:
    length = series.interval.length
    closed = at(float(series.time[-1])) + length if len(series) else None
    return {
        "interval": series.interval,
        "as_of": closed,
        "close_usd": float(series.close[-1]) if len(series) else None,
        "stale": closed is None or now - closed > _STALE_BARS * length,
        "simulated": series.simulated,
    }


def market_signals(series: Series, past: History, now: datetime) -> MarketSignals:
    """Return the signal at the last candle with all that stands beside it."""
    bars = bars_of(series)
    found = compute(bars)
    seen = trend(bars, found)
    stored = _stored(series, now) | {"simulated": series.simulated or past.simulated}
    return MarketSignals(
        **stored,
        **opinion(score(bars, found)),
        **_sides(bars),
        reasons=reasons(bars, found),
        trend=None if seen is None else TrendFound(**asdict(seen)),
        mining=network_signals(past, now),
    )


def market_levels(series: Series, now: datetime) -> Levels:
    """Return support and resistance."""
    return Levels(**_stored(series, now), **_sides(bars_of(series)))


def _sides(bars: Bars) -> dict[str, Any]:
    found = levels(bars)
    return {side.value: [_level(one) for one in found if one.side is side] for side in Side}


def _level(level: Level) -> LevelFound:
    return LevelFound(
        side=level.side,
        price_usd=level.usd,
        touches=level.touches,
        last_touched_at=at(level.last_touched_s),
        distance_percent=level.distance_percent,
    )


def tested(series: Series, cost_percent: float, now: datetime) -> SignalBacktest:
    """Follow the signal over the stored candles behind the warm-up.

    Raises:
        HistoryTooShort: fewer than 30 candles are left.
    """
    bars = bars_of(series)
    if len(bars) < WARM_UP + LEAST_BARS:
        raise HistoryTooShort(
            f"A back-test needs {WARM_UP + LEAST_BARS} candles of {series.interval}, the first "
            f"{WARM_UP} as a warm-up; {len(bars)} are stored."
        )
    scores = score(bars, compute(bars))
    shown = bars.take(slice(WARM_UP, None))
    found = backtest(
        shown.open,
        shown.close,
        scores.signal[WARM_UP:],
        cost_percent=cost_percent,
        bar_s=series.interval.length.total_seconds(),
    )
    return SignalBacktest(
        **_stored(series, now), **_outcome(found, shown, cost_percent=cost_percent)
    )


def _outcome(found: Backtest, bars: Bars, *, cost_percent: float) -> dict[str, Any]:
    times = [at(second) for second in bars.time_s.tolist()]
    return {
        "first_bar_at": times[0],
        "bars": len(bars),
        "cost_percent": cost_percent,
        "strategy": _performance(found.strategy),
        "buy_and_hold": _performance(found.buy_and_hold),
        "closed_trades": sum(trade.sold is not None for trade in found.trades),
        "win_rate_percent": found.win_rate_percent,
        "exposure_percent": found.exposure_percent,
        "trades": [_trade(trade, bars, times) for trade in found.trades],
        "time": times,
        "equity": values(found.equity),
        "held_equity": values(found.held),
    }


def _performance(found: Performance) -> PerformanceFound:
    return PerformanceFound(**asdict(found))


def _trade(trade: Trade, bars: Bars, times: list[datetime]) -> TradeFound:
    return TradeFound(
        bought_at=times[trade.bought],
        bought_usd=float(bars.open[trade.bought]),
        sold_at=None if trade.sold is None else times[trade.sold],
        sold_usd=None if trade.sold is None else float(bars.open[trade.sold]),
        return_percent=trade.return_percent,
    )
