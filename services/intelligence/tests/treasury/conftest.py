from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from intelligence.domain.candles import Bar, Interval, opening
from intelligence.market import candles
from intelligence.market.models import CalculatorQuote

ClientFor: TypeAlias = Callable[..., httpx.AsyncClient]
Sessions: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Quote: TypeAlias = Callable[..., Awaitable[None]]
History: TypeAlias = Callable[..., Awaitable[None]]
Make: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]
SCOPES = frozenset({"treasury:read", "treasury:write", "treasury:approve", "jobs:read"})
MARKET = ("candle", "calculator_quote", "forecast")


@pytest.fixture(autouse=True)
async def _empty_market(request: pytest.FixtureRequest) -> AsyncGenerator[None]:
    """The market belongs to everybody: no tenant's wall keeps two tests of it apart."""
    if "app" not in request.fixturenames:
        yield
        return
    runtime: Runtime = request.getfixturevalue("runtime")
    yield
    async with runtime.worker_session() as session:
        for table in MARKET:
            await session.execute(text(f"DELETE FROM intelligence.{table}"))


@pytest.fixture
def owner(client_as: ClientFor) -> httpx.AsyncClient:
    """A person who may do everything in the treasury."""
    return client_as(scopes=SCOPES)


@pytest.fixture
def another(client_as: ClientFor) -> httpx.AsyncClient:
    """Another person of the same organisation."""
    return client_as(scopes=SCOPES)


@pytest.fixture
def stranger(client_as: ClientFor) -> httpx.AsyncClient:
    """A person of another organisation."""
    return client_as(scopes=SCOPES, organisation_id=new_id())


@pytest.fixture
def quote(worker_session: Sessions) -> Quote:
    """Publish a quote as the calculator does."""

    async def publish(price_usd: str = "100000", **changes: Any) -> None:
        values: dict[str, Any] = {
            "pair": "BTC/USD",
            "version": int(now().timestamp() * 1_000_000),
            "price_usd": Decimal(price_usd),
            "at": now(),
            "source": "coingecko",
            "stale": False,
            "simulated": True,
            "hashprice_btc_per_ths_day": Decimal("0.0000005"),
        }
        async with worker_session() as session:
            session.add(CalculatorQuote(**values | changes))

    return publish


@pytest.fixture
def history(worker_session: Sessions) -> History:
    """Store daily closes, the last of them yesterday's."""

    async def store(closes: list[str]) -> None:
        last = opening(now(), Interval.DAY) - timedelta(days=1)
        first = last - timedelta(days=len(closes) - 1)
        made = [_bar(first + timedelta(days=n), Decimal(close)) for n, close in enumerate(closes)]
        async with worker_session() as session:
            await candles.store(session, venue="binance", interval=Interval.DAY, cleaned=made)

    return store


def _bar(at: datetime, close: Decimal) -> Bar:
    return Bar(
        opened_at=at, open=close, high=close, low=close, close=close, volume=Decimal(1),
        simulated=True, venues=1, disputed=False,
    )  # fmt: skip


@pytest.fixture
def wallet(owner: httpx.AsyncClient) -> Make:
    """Add a wallet."""

    async def add(name: str = "Cold store", kind: str = "onchain", **more: Any) -> dict[str, Any]:
        answer = await owner.post(
            "/api/treasury/wallets", json={"name": name, "kind": kind, **more}
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    return add


@pytest.fixture
def lot(owner: httpx.AsyncClient) -> Make:
    """Book a lot."""

    async def add(
        wallet_id: str, btc: str = "1", price_usd: str | None = "50000", days_ago: int = 10,
        **more: Any,
    ) -> dict[str, Any]:  # fmt: skip
        body = {
            "wallet_id": wallet_id,
            "received_at": (now() - timedelta(days=days_ago)).isoformat(),
            "btc": btc,
            **({} if price_usd is None else {"price_usd": price_usd}),
            **more,
        }
        answer = await owner.post("/api/treasury/lots", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return add


@pytest.fixture
def approved(owner: httpx.AsyncClient) -> Make:
    """Propose an amount and approve it."""

    async def make(btc: str = "1", **more: Any) -> dict[str, Any]:
        answer = await owner.post("/api/treasury/proposals", json={"btc": btc, **more})
        assert answer.status_code == 201, answer.text
        place = f"/api/treasury/proposals/{answer.json()['id']}/approve"
        answer = await owner.post(place)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return make


@pytest.fixture
def sold(owner: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """Record a sale."""

    async def record(proposal_id: str, btc: str, price_usd: str, **more: Any) -> httpx.Response:
        body = {
            "proposal_id": proposal_id,
            "btc": btc,
            "price_usd": price_usd,
            "filled_at": now().isoformat(),
            **more,
        }
        return await owner.post("/api/treasury/fills", json=body)

    return record
