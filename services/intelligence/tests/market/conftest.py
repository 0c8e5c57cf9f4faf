from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from intelligence.domain.candles import Bar, Interval, opening
from intelligence.market.models import Ticker
from simulation.upstreams import Upstreams, serve

ClientFor: TypeAlias = Callable[..., httpx.AsyncClient]
Sessions: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncSession]]
MakeBars: TypeAlias = Callable[..., list[Bar]]
MakeTicker: TypeAlias = Callable[..., Ticker]


@pytest.fixture
def reader(client_as: ClientFor) -> httpx.AsyncClient:
    return client_as(scopes=frozenset({"market:read"}))


@pytest.fixture
def admin(client_as: ClientFor) -> httpx.AsyncClient:
    """The installation's Admin."""
    scopes = frozenset({"market:read", "market:write"})
    return client_as(role="Admin", organisation_id=PLATFORM_ORGANISATION, scopes=scopes)


@pytest.fixture(scope="session")
def make_bars() -> MakeBars:
    """Bars at given places, counted back from the last that has closed (0)."""

    def make(
        *places: int, interval: Interval = Interval.HOUR, close: str = "100000", **changes: object
    ) -> list[Bar]:
        last = opening(now(), interval) - interval.length
        price = Decimal(close)
        values: dict[str, object] = {
            "open": price - 50,
            "high": price + 100,
            "low": price - 100,
            "close": price,
            "volume": Decimal(10),
        }
        return [
            Bar(opened_at=last - back * interval.length, **(values | changes))  # pyright: ignore[reportArgumentType]  (a test's kwargs)
            for back in places
        ]

    return make


@pytest.fixture(scope="session")
def ticker() -> MakeTicker:
    def make(venue: str, price: str | None, *, age_s: float = 5, **changes: object) -> Ticker:
        at: datetime = now() - timedelta(seconds=age_s)
        values: dict[str, object] = {
            "organisation_id": PLATFORM_ORGANISATION,
            "venue": venue,
            "pair": "BTC/USDT",
            "price_usd": None if price is None else Decimal(price),
            "bid_usd": None if price is None else Decimal(price) - 1,
            "ask_usd": None if price is None else Decimal(price) + 1,
            "volume_btc_24h": Decimal(1000),
            "at": None if price is None else at,
            "simulated": False,
            "failures": 0,
            "updated_at": now(),
        }
        return Ticker(**(values | changes))

    return make


@pytest.fixture(scope="module")
async def _world() -> AsyncGenerator[Upstreams]:
    async with serve(seed=7, now=now, slow_s=3) as served:
        yield served


@pytest.fixture
def upstreams(_world: Upstreams) -> Upstreams:
    """The simulated venues, all well."""
    _world.faults.clear()
    _world.forget_calls()
    return _world
