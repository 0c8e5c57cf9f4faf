from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import pytest

from simulation.elexon import Elexon, serve
from simulation.upstreams.clock import HandClock

Get = Callable[..., Awaitable[Any]]


@pytest.fixture
def clock() -> HandClock:
    return HandClock(datetime(2026, 11, 21, 14, 49, 29, tzinfo=UTC))


@pytest.fixture
async def elexon(clock: HandClock) -> AsyncIterator[Elexon]:
    async with serve(seed=7, now=clock, slow_s=0.3) as served:
        yield served


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def get(elexon: Elexon, http: aiohttp.ClientSession) -> Get:
    """Ask for a path and read the JSON of the answer."""

    async def ask(path: str, *, status: int = 200, **query: Any) -> Any:
        async with http.get(elexon.url + path, params=query) as answer:
            assert answer.headers["X-Simulated"] == "true"
            assert answer.status == status, await answer.text()
            return orjson.loads(await answer.read())

    return ask
