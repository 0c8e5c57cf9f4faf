"""From columns to answers."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from intelligence.domain import signals
from intelligence.domain.candles import Interval, Series
from intelligence.domain.indicators import Bars, Column, Indicators, Rows, in_order, reasons
from intelligence.domain.signals import Scores, Signal, score
from intelligence.indicators.compute import WARM_UP, compute
from intelligence.indicators.schemas import (
    CandleSeries,
    ComputedIndicators,
    Part,
    StoredIndicators,
    Values,
)
from intelligence.market import candles


def bars_of(series: Series) -> Bars:
    """Return stored candles as what the indicators are computed from."""
    return Bars(series.time, series.open, series.high, series.low, series.close, series.volume)


def values(column: Column) -> Values:
    """Return an array for JSON: null where there is no value."""
    members = column.astype(object)
    members[~np.isfinite(column)] = None
    return members.tolist()


def at(second: float) -> datetime:
    """Return a time from seconds since 1970."""
    return datetime.fromtimestamp(second, UTC)


def opinion(scores: Scores, bar: int = -1) -> dict[str, Any]:
    """Return the members of an `Opinion` for one bar; without bars there is no opinion."""
    if not len(scores.total):
        return {"signal": Signal.NEUTRAL, "score": 0.0, "parts": []}
    parts = [_part(name, part, bar) for name, part in scores.parts.items()]
    return {"signal": scores.said(bar), "score": float(scores.total[bar]), "parts": parts}


def _part(name: str, part: signals.Part, bar: int) -> Part:
    lean, weight, points = (
        values(column[[bar]])[0] for column in (part.lean, part.weight, part.points)
    )
    return Part(name=name, lean=lean, weight=weight, points=points)


def of_callers(body: CandleSeries) -> ComputedIndicators:
    """Compute on the caller's candles, in the order of time; repeated ones share their values."""
    sent = body.bars()
    bars, place = in_order(sent)
    found = compute(bars)
    return ComputedIndicators(
        **_arrays(bars, found, place),
        **opinion(score(bars, found)),
        warnings=_warnings(sent, bars),
    )


def _arrays(bars: Bars, found: Indicators, rows: Rows | slice) -> dict[str, Any]:
    times = [at(second) for second in bars.time_s[rows].tolist()]
    columns = {name: values(column) for name, column in found.take(rows).columns().items()}
    return columns | {"time": times, "reasons": reasons(bars, found)}


def _warnings(sent: Bars, kept: Bars) -> list[str]:
    found: list[str] = []
    steps = np.diff(sent.time_s)
    if (steps < 0).any():
        found.append("The candles were not in the order of time; the answer is.")
    if len(sent) > len(kept):
        found.append(
            f"{len(sent) - len(kept)} candles repeat a time; the last one sent of each counts."
        )
    return found + _holes(kept) + _oddities(kept)


def _holes(bars: Bars) -> list[str]:
    if len(bars) < 3:  # noqa: PLR2004  (one step is no rule)
        return []
    steps = np.diff(bars.time_s)
    usual = float(np.median(steps))
    missing = int(np.maximum(0, np.rint(steps / usual) - 1).sum())
    if not missing:
        return []
    return [f"{missing} candles are missing, at one every {usual:g} s; none were invented."]


def _oddities(bars: Bars) -> list[str]:
    found: list[str] = []
    absent = int((~np.isfinite(bars.close)).sum())
    if absent:
        found.append(f"{absent} candles have no close and were left out.")
    outside = int(((bars.close > bars.high) | (bars.close < bars.low)).sum())
    if outside:
        found.append(f"{outside} candles close outside of their high and low.")
    return found


def of_series(series: Series, shown: int) -> StoredIndicators:
    """Compute on a stored series and answer its last candles."""
    bars = bars_of(series)
    found = compute(bars)
    rows = slice(max(0, len(bars) - shown), None)
    return StoredIndicators(
        **_arrays(bars, found, rows),
        **opinion(score(bars, found)),
        interval=series.interval,
        close=values(bars.close[rows]),
        simulated=series.simulated,
    )


async def with_warm_up(session: AsyncSession, interval: Interval, shown: int) -> Series:
    """Return the stored candles that the last `shown` are computed from."""
    return await candles.stored(session, interval=interval, limit=shown + WARM_UP)
