"""What every provider's handler gets to know, and what it may answer."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import orjson

from simulation.upstreams.chain import Chain
from simulation.upstreams.faults import AHEAD_S, SPOILED, Fault, mangled, told
from simulation.upstreams.prices import (
    HOUR_S,
    MINUTE_S,
    VOLUME_BTC_PER_DAY,
    Bars,
    Floats,
    PricePath,
)


class Refusal(Exception):
    """The provider says no: an HTTP status and the body it says it with."""

    def __init__(self, status: int, document: object) -> None:
        super().__init__(str(document))
        self.status = status
        self.document = document


@dataclass(frozen=True, slots=True)
class World:
    """What all providers agree on."""

    seed: int
    prices: PricePath
    chain: Chain


@dataclass(frozen=True, slots=True)
class Stall:
    """How one provider's price strays from the world's, and its part of the trade."""

    offset_bps: float
    period_hours: float
    volume_btc_per_day: float = VOLUME_BTC_PER_DAY
    tick_usd: float = 0.01

    def factor(self, hour: Any, seed: int) -> Any:
        """Return what the world's price is multiplied by, hour by hour."""
        phase = seed * self.period_hours
        wave = np.sin(hour / self.period_hours * 2.0 * math.pi + phase)
        return 1.0 + 1e-4 * (self.offset_bps + 2.0 * wave)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to one provider."""

    world: World
    stall: Stall
    fault: Fault | None
    now_s: float
    query: Mapping[str, str]
    path: Mapping[str, str]
    body: object = None

    @property
    def chain(self) -> Chain:
        return self.world.chain

    @property
    def height(self) -> int:
        return self.chain.height_at(self.now_s)

    def said_s(self, at_s: float) -> float:
        """Return a moment as this provider's clock tells it."""
        return at_s + AHEAD_S if self.fault is Fault.FUTURE_CLOCK else at_s

    def said_ms(self, at_s: float) -> int:
        return int(self.said_s(at_s) * 1000)

    def told(self, value: float) -> float:
        """Return a price or difficulty as this provider tells it."""
        return told(value, self.fault)

    def mangled(self, rows: list[Any]) -> list[Any]:
        return mangled(rows, self.fault)

    def price_usd(self, at_s: float | None = None) -> float:
        """Return this provider's true price, before any fault."""
        moment_s = self.now_s if at_s is None else at_s
        factor = self.stall.factor(moment_s // HOUR_S, self.world.seed)
        tick = self.stall.tick_usd
        return round(round(self.world.prices.price_usd(moment_s) * factor / tick) * tick, 2)

    def bars(self, start_s: float, end_s: float, step_s: int, offset_s: int = 0) -> Bars:
        """Return this provider's candles that open in [start, end); the last may be open still."""
        first_s = -((offset_s - start_s) // step_s) * step_s + offset_s
        beyond_s = -((offset_s - end_s) // step_s) * step_s + offset_s
        unit_s = HOUR_S if step_s % HOUR_S == 0 else MINUTE_S
        found = self.world.prices.bars(first_s, beyond_s, self.now_s, unit_s=unit_s)
        factor = self.stall.factor(found.time_s // HOUR_S, self.world.seed)
        share = self.stall.volume_btc_per_day / VOLUME_BTC_PER_DAY
        return self._ticked(found.priced(factor).traded(share).grouped(step_s, offset_s))

    def spoiled(self, bars: Bars) -> Bars:
        """Return candles as this provider tells them: a false clock, or one bad row in three."""
        if self.fault is Fault.OFF_BY_HALF:
            return bars.priced(0.5)
        if self.fault is Fault.FUTURE_CLOCK:
            return Bars(
                bars.time_s + AHEAD_S, bars.open, bars.high, bars.low, bars.close, bars.volume
            )
        if self.fault is None or self.fault not in SPOILED:
            return bars
        bad = np.arange(len(bars)) % 3 == 0
        return bars.priced(np.where(bad, SPOILED[self.fault], 1.0))

    def _ticked(self, bars: Bars) -> Bars:
        columns = (self._rounded(bars.open), self._rounded(bars.high), self._rounded(bars.low))
        return Bars(bars.time_s, *columns, self._rounded(bars.close), bars.volume)

    def _rounded(self, prices: Floats) -> Floats:
        tick = self.stall.tick_usd
        return np.round(np.round(prices / tick) * tick, 2)


Handler = Callable[[Ask], object]


def text(value: float, places: int = 2) -> str:
    """Write a number as venues do, in a string; what is not finite as a broken one would."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "1e400"
    return f"{value:.{places}f}"


def dump(document: object) -> bytes:
    """Write JSON, with the numbers no JSON should hold when the fault asks for them."""
    if _is_broken(document):
        return json.dumps(document).replace("Infinity", "1e400").encode()
    return orjson.dumps(document)


def _is_broken(document: object) -> bool:
    if isinstance(document, float):
        return not math.isfinite(document)
    if isinstance(document, dict):
        return any(map(_is_broken, cast("dict[str, object]", document).values()))
    if isinstance(document, list | tuple):
        return any(map(_is_broken, cast("list[object]", document)))
    return False
