"""Indicators: every one of them over 10,000 candles, beside pandas in the same run.

    python bench/indicators.py [--json FILE] [--bars 10000] [--tries 30]

Ours is `compute` as the service calls it, all 24 arrays with what is undefined taken out. The peer
is pandas, written as it is usually written: rolling windows and `ewm(adjust=False)`, eight of the
indicators only. Times are medians. Beside them a calibration: sorting the same number of floats.
What pandas answers must agree behind the warm-up, or the comparison would be of two different
things. Finally one request of 10,000 candles, from the bytes of its body to those of the answer.
"""
# pandas is only partly typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import strict_json
from intelligence.domain.indicators import Bars, Column
from intelligence.indicators import answers, ta_lib
from intelligence.indicators.compute import compute
from intelligence.indicators.schemas import CandleSeries

MOST_MS = 5.0
TIMES_FASTER = 5
WARM_UP = 600
Peer = Callable[[Any, Any, Any], Any]


def candles(count: int) -> Bars:
    """Return a random walk of hourly candles."""
    random = np.random.default_rng(4)
    close = 60_000 * np.exp(np.cumsum(random.normal(0, 0.01, count)))
    opened = np.concatenate((close[:1], close[:-1]))
    spread = np.abs(random.normal(0, 0.004, (2, count)))
    return Bars(
        time_s=1_750_000_000.0 + 3600 * np.arange(count, dtype=np.float64),
        open=opened,
        high=np.maximum(opened, close) * (1 + spread[0]),
        low=np.minimum(opened, close) * (1 - spread[1]),
        close=close,
        volume=random.uniform(1, 9, count),
    )


def wilder(values: Any) -> Any:
    """Return Wilder's average, as pandas seeds it."""
    return values.ewm(alpha=1 / 14, adjust=False).mean()


def ema(values: Any, span: int) -> Any:
    """Return the exponential average, as pandas seeds it."""
    return values.ewm(span=span, adjust=False).mean()


def rsi(_high: Any, _low: Any, close: Any) -> Any:
    """RSI 14."""
    change = close.diff()
    gain, loss = wilder(change.clip(lower=0)), wilder(-change.clip(upper=0))
    return 100 * gain / (gain + loss)


def macd(_high: Any, _low: Any, close: Any) -> Any:
    """MACD histogram 12/26/9."""
    line = ema(close, 12) - ema(close, 26)
    return line - ema(line, 9)


def band(_high: Any, _low: Any, close: Any) -> Any:
    """Upper Bollinger band 20/2."""
    rolling = close.rolling(20)
    return rolling.mean() + 2 * rolling.std(ddof=0)


def stochastic(high: Any, low: Any, close: Any) -> Any:
    """%K 14/3."""
    least, most = low.rolling(14).min(), high.rolling(14).max()
    return (100 * (close - least) / (most - least)).rolling(3).mean()


def ranges(high: Any, low: Any, close: Any) -> Any:
    """Return the true range."""
    before = close.shift()
    return pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(axis=1)


def atr(high: Any, low: Any, close: Any) -> Any:
    """ATR 14."""
    return wilder(ranges(high, low, close))


def adx(high: Any, low: Any, close: Any) -> Any:
    """ADX 14."""
    up, down = high.diff(), -low.diff()
    average = wilder(ranges(high, low, close))
    plus = wilder(up.where((up > down) & (up > 0), 0.0)) / average
    minus = wilder(down.where((down > up) & (down > 0), 0.0)) / average
    return wilder(100 * (plus - minus).abs() / (plus + minus))


def ema_20(_high: Any, _low: Any, close: Any) -> Any:
    """EMA 20."""
    return ema(close, 20)


def sma_20(_high: Any, _low: Any, close: Any) -> Any:
    """SMA 20."""
    return close.rolling(20).mean()


PEERS: dict[str, tuple[Peer, Callable[[Bars], object]]] = {
    "rsi": (rsi, lambda b: ta_lib.rsi(b.close)),
    "macd_histogram": (macd, lambda b: ta_lib.macd(b.close)),
    "bb_upper": (band, lambda b: ta_lib.bollinger(b.close)),
    "stoch_k": (stochastic, lambda b: ta_lib.stochastic(b.high, b.low, b.close)),
    "adx": (adx, lambda b: ta_lib.adx(b.high, b.low, b.close)),
    "atr": (atr, lambda b: ta_lib.atr(b.high, b.low, b.close)),
    "ema_20": (ema_20, lambda b: ta_lib.ema(b.close, 20)),
    "sma_20": (sma_20, lambda b: ta_lib.sma(b.close, 20)),
}


def median_ms(call: Callable[[], object], tries: int) -> float:
    """Return the median time of a call."""
    call()  # warm
    taken: list[float] = []
    for _ in range(tries):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def agreement(name: str, theirs: Any, ours: Column) -> float:
    """Return the largest relative difference behind the warm-up."""
    other = theirs.to_numpy()[WARM_UP:]
    scale = np.abs(ours[WARM_UP:]).max()
    worst = float(np.max(np.abs(other - ours[WARM_UP:])) / scale)
    if not worst < 1e-6:
        message = f"{name}: pandas differs by {worst:.1e}"
        raise SystemExit(message)
    return worst


def through_a_request(bars: Bars) -> Callable[[], bytes]:
    """Return a request's work without HTTP: parse, check, compute, write."""
    names = ("open", "high", "low", "close", "volume")
    body = json.dumps(
        {
            "candles": [
                {"time": int(bars.time_s[row])}
                | {name: round(float(getattr(bars, name)[row]), 2) for name in names}
                for row in range(len(bars))
            ]
        }
    ).encode()

    def answer() -> bytes:
        asked = CandleSeries.model_validate(strict_json.loads(body))
        return answers.of_callers(asked).model_dump_json().encode()

    return answer


def main() -> None:
    """Measure, print, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--bars", type=int, default=10_000)
    parser.add_argument("--tries", type=int, default=30)
    chosen = parser.parse_args()
    bars = candles(chosen.bars)
    columns = [pd.Series(one) for one in (bars.high, bars.low, bars.close)]
    found = compute(bars).columns()
    print(f"{chosen.bars:,} bars      pandas      TA-Lib   times")
    rows: dict[str, dict[str, float]] = {}
    for name, (peer, own) in PEERS.items():
        worst = agreement(name, peer(*columns), found[name])
        theirs = median_ms(lambda peer=peer: peer(*columns), max(3, chosen.tries // 5))
        mine = median_ms(lambda own=own: own(bars), chosen.tries)
        rows[name] = {"pandas_ms": theirs, "ta_lib_ms": mine, "worst_difference": worst}
        print(f"{name:15} {theirs:8.3f} ms {mine:8.3f} ms {theirs / mine:6.1f} x")
    all_ms = median_ms(lambda: compute(bars), chosen.tries)
    pandas_ms = sum(row["pandas_ms"] for row in rows.values())
    sort_ms = median_ms(lambda: np.sort(bars.close), chosen.tries)
    request_ms = median_ms(through_a_request(bars), max(3, chosen.tries // 10))
    times = pandas_ms / sum(row["ta_lib_ms"] for row in rows.values())
    holds = all_ms <= MOST_MS and times >= TIMES_FASTER
    print(
        f"all {len(found)} arrays as the service computes them: {all_ms:.2f} ms "
        f"(at most {MOST_MS:g}); the {len(rows)} that pandas has here {pandas_ms:.1f} ms there, "
        f"{times:.0f} x as long (at least {TIMES_FASTER}): {'holds' if holds else 'FAILS'}\n"
        f"calibration: np.sort of {chosen.bars:,} floats {sort_ms:.3f} ms\n"
        f"a request of {chosen.bars:,} candles, body to answer: {request_ms:.0f} ms"
    )
    if chosen.json:
        document = {
            "all_ms": all_ms,
            "pandas_ms": pandas_ms,
            "times_faster": times,
            "sort_ms": sort_ms,
            "request_ms": request_ms,
            "holds": holds,
            "rows": rows,
        }
        chosen.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
