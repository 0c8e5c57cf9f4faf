import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from calculator.main import SERVICE
from calculator.quotes import current
from calculator.settings import Settings
from calculator.sources import parties
from common.app import Service
from common.auth import PLATFORM_ORGANISATION
from common.ids import new_id
from common.runtime import Runtime
from simulation.upstreams import PROVIDERS, Fault, Upstreams, serve
from simulation.upstreams.clock import HandClock

SOURCES = ("coingecko", "blockchain", "mempool", "ankr")


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(scope="session")
async def upstreams() -> AsyncGenerator[Upstreams]:
    """Simulated providers of the market, on the wall clock."""
    async with serve(seed=7) as served:
        yield served


@pytest.fixture(scope="session")
def extra_settings(upstreams: Upstreams) -> dict[str, Any]:
    """No test reaches a real provider."""
    return {f"{name}_url": upstreams.url(name) for name in SOURCES}


@dataclass(frozen=True)
class World:
    """Providers, a service that asks them, and the clock that both live by."""

    clock: HandClock
    providers: Upstreams
    runtime: Runtime

    def fault(self, fault: Fault | None, *names: str) -> None:
        for name in names or SOURCES:
            self.providers.fault(name, fault)

    def restart(self, **settings: str) -> None:
        """Let the service forget what its process knew."""
        urls = {f"{name}_url": self.providers.url(name) for name in SOURCES}
        chosen = cast("Settings", self.runtime.settings).model_copy(update=urls | settings)
        parties.use(self.runtime, parties.make(chosen, self.clock))
        current.restart(self.runtime)

    async def renew(self) -> None:
        """Have the service ask again for what has grown old, and wait until it has."""
        await current.known_market(self.runtime)
        await asyncio.gather(*_loads(), return_exceptions=True)
        self.clock.forward(2)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for what is done in the background."""
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
async def hand_clocked() -> AsyncGenerator[tuple[HandClock, Upstreams]]:
    """Simulated providers whose clock the tests turn."""
    clock = HandClock(datetime.now(UTC) - timedelta(days=60))  # tests move it, never past today
    async with serve(seed=7, now=clock, slow_s=5) as served:
        yield clock, served


def _loads() -> list[asyncio.Task[Any]]:
    """What the cache still renews in the background."""
    return [one for one in asyncio.all_tasks() if "Cache._load" in repr(one.get_coro())]


@pytest.fixture
async def world(
    hand_clocked: tuple[HandClock, Upstreams],
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    empty: Callable[[], Awaitable[None]],
) -> AsyncGenerator[World]:
    """The service as it first starts, on a clock that stands still."""
    clock, providers = hand_clocked
    made = World(clock, providers, runtime)
    by_hand = SimpleNamespace(time=lambda: clock.s, monotonic=lambda: clock.s)
    monkeypatch.setattr("common.cache.time", by_hand)
    clock.forward(60)
    await empty()
    made.restart()
    providers.forget_calls()
    yield made
    for name in PROVIDERS:
        providers.fault(name, None)
    await asyncio.gather(*_loads(), return_exceptions=True)
    await empty()
    parties.forget(runtime)
    current.restart(runtime)


@pytest.fixture
def empty(runtime: Runtime) -> Callable[[], Awaitable[None]]:
    """Forget everything that was ever asked for: cache, last readings, quotes, told epochs."""
    redis = runtime.redis  # a test may take it away

    async def clear() -> None:
        await redis.flushdb()  # pyright: ignore[reportUnknownMemberType]  (untyped kwargs)
        async with runtime.worker_session() as session:
            for statement in (
                "DELETE FROM calculator.last_reading",
                "DELETE FROM calculator.quote",
                "DELETE FROM calculator.network_epoch WHERE source <> 'shipped'",
            ):
                await session.execute(text(statement))

    return clear


ClientAs: TypeAlias = Callable[..., AsyncClient]


@pytest.fixture
def anonymous(client_as: ClientAs) -> AsyncClient:
    """Somebody without a login."""
    return client_as(
        kind="anonymous", organisation_id=PLATFORM_ORGANISATION, role="", scopes=frozenset()
    )


@pytest.fixture
def user(client_as: ClientAs) -> AsyncClient:
    """Somebody who has a history."""
    scopes = frozenset({"calculations:run", "calculations:read", "miner-models:write"})
    return client_as(subject=new_id(), scopes=scopes)


@pytest.fixture
def closed() -> dict[str, Any]:
    """A question that nothing of the market is needed for."""
    return {
        "hashrate_ths": 110,
        "power_w": 3250,
        "electricity_usd_per_kwh": 0.05,
        "btc_price_usd": 60_000,
        "difficulty": 80e12,
        "subsidy_btc": 3.125,
    }
