from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from httpx import AsyncClient
from sqlalchemy import text

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.runtime import Runtime
from common.testing import ALL_SCOPES, ClientFor
from intelligence.domain.candles import Bar, Interval
from intelligence.forecasts.fitting import FittingProcess, fitting_process
from intelligence.market import candles
from intelligence.market.models import NetworkEpoch

StoreCloses = Callable[..., Awaitable[None]]
StoreEpochs = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
async def process() -> AsyncGenerator[FittingProcess]:
    """A fitting process for all tests: it takes seconds to start."""
    async with fitting_process(60) as made:
        yield made


@pytest.fixture
def reader(client_as: ClientFor) -> AsyncClient:
    return client_as(scopes=ALL_SCOPES | {"forecasts:read", "insights:read"})


@pytest.fixture
async def no_market(runtime: Runtime) -> None:
    """Forget what the platform knows: all tests share its rows."""
    async with runtime.worker_session() as session:
        for table in ("candle", "network_epoch"):
            await session.execute(text(f"DELETE FROM intelligence.{table}"))
        for table in ("forecast", "outbox"):
            await session.execute(
                text(f"DELETE FROM intelligence.{table} WHERE organisation_id = :platform"),
                {"platform": PLATFORM_ORGANISATION},
            )


@pytest.fixture
def closes() -> Callable[..., list[float]]:
    """A seeded random walk in price."""

    def make(count: int, seed: int = 1) -> list[float]:
        steps = np.random.default_rng(seed).normal(0, 0.025, count)
        return [round(float(price), 2) for price in 60_000 * np.exp(np.cumsum(steps))]

    return make


@pytest.fixture
def store_closes(runtime: Runtime, no_market: None) -> StoreCloses:
    """Store daily closes, the last of which is yesterday's."""

    async def store(
        prices: list[float],
        *,
        last_days_ago: int = 1,
        left_out: tuple[int, ...] = (),
        simulated: bool = False,
    ) -> None:
        today = datetime.combine(now().date(), time.min, UTC)
        bars: list[Bar] = []
        for place, price in enumerate(prices):
            days_ago = last_days_ago + len(prices) - 1 - place
            if days_ago in left_out:
                continue
            value = Decimal(str(price))
            fields: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close"), value)
            opened = today - timedelta(days=days_ago)
            bars.append(
                Bar(
                    opened_at=opened, **fields, volume=Decimal(1), simulated=simulated,
                    venues=1, disputed=False,
                )
            )  # fmt: skip
        async with runtime.worker_session() as session:
            await candles.store(session, venue="binance", interval=Interval.DAY, cleaned=bars)

    return store


@pytest.fixture
def store_epochs(runtime: Runtime, no_market: None) -> StoreEpochs:
    """Store difficulty epochs, two weeks each."""

    async def store(difficulties: list[float], *, first_height: int = 0) -> None:
        start = now() - timedelta(days=14 * len(difficulties))
        rows = [
            NetworkEpoch(
                height=first_height + 2016 * place,
                started_at=start + timedelta(days=14 * place),
                difficulty=Decimal(f"{value:.6f}"),
                bits=None,
                subsidy_btc=Decimal("3.125"),
                simulated=True,
                version=1,
            )
            for place, value in enumerate(difficulties)
        ]
        async with runtime.worker_session() as session:
            session.add_all(rows)

    return store
