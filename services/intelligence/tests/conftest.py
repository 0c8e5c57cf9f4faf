from collections.abc import AsyncGenerator, Awaitable, Callable
from decimal import Decimal
from itertools import product
from typing import TypeAlias

import numpy as np
import pytest
from sqlalchemy import text

from common.app import Service
from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.runtime import Runtime
from intelligence.domain.candles import Bar, Interval, opening
from intelligence.domain.indicators import Bars
from intelligence.domain.shedding import Fleet
from intelligence.main import SERVICE
from intelligence.market import candles

MakeFleet: TypeAlias = Callable[..., Fleet]
BestLoss: TypeAlias = Callable[[Fleet, float], float | None]
Walk: TypeAlias = Callable[..., Bars]
StoreCandles: TypeAlias = Callable[..., Awaitable[list[Bar]]]


_SHARED = ("candle", "ticker", "market_analytics", "calculator_quote", "network_epoch")


@pytest.fixture(autouse=True)
async def _empty_market(request: pytest.FixtureRequest) -> AsyncGenerator[None]:
    """The market belongs to everybody: no tenant's wall keeps two tests of it apart."""
    if "app" not in request.fixturenames:
        yield
        return
    runtime: Runtime = request.getfixturevalue("runtime")
    yield
    async with runtime.worker_session() as session:
        for table in _SHARED:
            await session.execute(text(f"DELETE FROM intelligence.{table}"))
        for table in ("forecast", "outbox"):
            await session.execute(
                text(f"DELETE FROM intelligence.{table} WHERE organisation_id = :platform"),
                {"platform": PLATFORM_ORGANISATION},
            )


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(scope="session")
def make_fleet() -> MakeFleet:
    """Columns from lists; `share` caps every group."""

    def make(
        power_w: list[float],
        loss: list[float],
        group: list[int] | None = None,
        share: float | None = None,
    ) -> Fleet:
        power, groups = np.array(power_w), np.array(group or [0] * len(power_w), dtype=np.int64)
        total = np.zeros(max(groups, default=0) + 1)
        np.add.at(total, groups, power)
        cap_w = np.full_like(total, np.inf) if share is None else total * share + 1e-6
        return Fleet(power, np.array(loss), groups, cap_w)

    return make


@pytest.fixture(scope="session")
def best_loss() -> BestLoss:
    """The least that shedding the target costs, by trying every choice."""

    def search(fleet: Fleet, target_w: float) -> float | None:
        costs = [
            float(fleet.loss[chosen].sum())
            for bits in product((False, True), repeat=len(fleet.power_w))
            if fleet.power_w[chosen := np.array(bits, dtype=np.bool_)].sum() >= target_w - 1e-6
            and (fleet.stopped_w(chosen) <= fleet.cap_w).all()
        ]
        return min(costs, default=None)

    return search


@pytest.fixture(scope="session")
def walk() -> Walk:
    """A random walk of hourly candles; the same seed is the same walk."""

    def make(bars: int, seed: int = 7) -> Bars:
        random = np.random.default_rng(seed)
        close = (60_000 * np.exp(np.cumsum(random.normal(0, 0.01, bars)))).round(2)
        opened = np.concatenate((close[:1], close[:-1]))[:bars]
        spread = np.abs(random.normal(0, 0.004, (2, bars)))
        return Bars(
            time_s=1_750_000_000.0 + 3600 * np.arange(bars, dtype=np.float64),
            open=opened,
            high=(np.maximum(opened, close) * (1 + spread[0])).round(2),
            low=(np.minimum(opened, close) * (1 - spread[1])).round(2),
            close=close,
            volume=random.uniform(1, 9, bars).round(4),
        )

    return make


@pytest.fixture
async def store_candles(runtime: Runtime) -> StoreCandles:
    """Store candles of one venue, the last one just closed."""

    async def store(
        bars: Bars, interval: Interval = Interval.HOUR, *, simulated: bool = False, ago: int = 0
    ) -> list[Bar]:
        first = opening(now(), interval) - (len(bars) + ago) * interval.length
        columns = [
            [Decimal(str(value)) for value in column.tolist()]
            for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)
        ]
        stored = [
            Bar(first + at * interval.length, *row, simulated=simulated)
            for at, row in enumerate(zip(*columns, strict=True))
        ]
        async with runtime.worker_session() as session:
            await candles.store(session, venue="binance", interval=interval, cleaned=stored)
        return stored

    return store
