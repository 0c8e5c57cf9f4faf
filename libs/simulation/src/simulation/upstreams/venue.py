"""What all exchanges share: the day's ticker, steps of candles, and reading parameters."""

from dataclasses import dataclass

from simulation.upstreams.asking import Ask, Refusal
from simulation.upstreams.prices import DAY_S

LISTED_MS = 1_577_836_800_000  # 2020-01-01, the world's first day
EXPIRES_NEVER_MS = 4_133_404_800_000


@dataclass(frozen=True, slots=True)
class Day:
    """The rolling day of one venue, as it tells it."""

    at_ms: int
    last: float
    bid: float
    ask: float
    open: float
    high: float
    low: float
    volume_btc: float
    turnover_usd: float


def day(asked: Ask) -> Day:
    """Return the last 24 hours up to now."""
    bars = asked.bars(asked.now_s - DAY_S, asked.now_s + 60, 60)
    if len(bars) == 0:
        raise Refusal(503, {"error": "the simulated world begins in 2020"})
    volume = float(bars.volume.sum())
    last, tick = float(bars.close[-1]), asked.stall.tick_usd
    return Day(
        at_ms=asked.said_ms(asked.now_s),
        last=asked.told(last),
        bid=asked.told(last - tick),
        ask=asked.told(last + tick),
        open=asked.told(float(bars.open[0])),
        high=asked.told(float(bars.high.max())),
        low=asked.told(float(bars.low.min())),
        volume_btc=volume,
        turnover_usd=float((bars.volume * bars.close).sum()),
    )


def whole(written: str | None, default: int, refusal: Refusal) -> int:
    """Read a whole number of zero or more."""
    if written is None:
        return default
    if not written.isdecimal():
        raise refusal
    return int(written)
