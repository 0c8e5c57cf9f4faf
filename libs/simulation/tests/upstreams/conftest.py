from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import ccxt.async_support as ccxt
import orjson
import pytest

from simulation.upstreams import Upstreams, serve
from simulation.upstreams.clock import HandClock

Get = Callable[..., Awaitable[Any]]
NewExchange = Callable[[str], Awaitable[Any]]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def upstreams(clock: HandClock) -> AsyncIterator[Upstreams]:
    async with serve(seed=7, now=clock, slow_s=0.3) as served:
        yield served


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def get(upstreams: Upstreams, http: aiohttp.ClientSession) -> Get:
    """Ask a provider by GET, and read JSON or plain text."""

    async def ask(provider: str, path: str, *, status: int = 200, **query: Any) -> Any:
        async with http.get(upstreams.url(provider) + path, params=query) as answer:
            assert answer.headers["X-Simulated"] == "true"
            assert answer.status == status, await answer.text()
            body = await answer.read()
            return orjson.loads(body) if "json" in answer.content_type else body.decode()

    return ask


@pytest.fixture
def rpc(upstreams: Upstreams, http: aiohttp.ClientSession) -> Get:
    """Call the node's JSON-RPC and return the whole answer."""

    async def call(method: str, *parameters: Any) -> Any:
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        async with http.post(upstreams.url("ankr") + "/btc", json=asked) as answer:
            return orjson.loads(await answer.read())

    return call


@pytest.fixture
async def new_exchange(upstreams: Upstreams, clock: HandClock) -> AsyncIterator[NewExchange]:
    """The real client of a venue, sent to the simulated one and given the test's clock."""
    async with AsyncExitStack() as stack:

        async def connect(venue: str) -> Any:
            exchange: Any = getattr(ccxt, venue)({"enableRateLimit": False, "timeout": 5000})
            stack.push_async_callback(exchange.close)
            exchange.milliseconds = lambda: int(clock.s * 1000)
            apis: dict[str, Any] = exchange.urls["api"]
            for name, address in apis.items():
                if isinstance(address, str):
                    path = urlsplit(address.replace("{hostname}", "venue.invalid")).path
                    apis[name] = upstreams.url(venue) + path
            return exchange

        yield connect
