from collections.abc import AsyncGenerator
from typing import Any

import pytest

from calculator.main import SERVICE
from common.app import Service
from simulation.upstreams import Upstreams, serve


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
    return {
        f"{name}_url": upstreams.url(name)
        for name in ("coingecko", "blockchain", "mempool", "ankr")
    }
