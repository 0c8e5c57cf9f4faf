"""What a caller is told when a forecast takes too long, or others are being served."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from httpx import AsyncClient


@pytest.fixture(scope="session")
def extra_settings() -> dict[str, Any]:
    return {"forecast_limit_seconds": 0.01}


async def test_too_slow_is_504_and_busy_503_with_retry_after(
    reader: AsyncClient, closes: Callable[..., list[float]]
) -> None:
    body = {"points": closes(2000), "days": 365}
    path = "/api/intelligence/forecasts/btc-price"
    both = await asyncio.gather(*(reader.post(path, json=body) for _ in range(2)))
    busy, slow = sorted(both, key=lambda answer: answer.status_code)
    assert (slow.status_code, slow.json()["code"]) == (504, "forecast_too_slow")
    assert (busy.status_code, busy.json()["code"]) == (503, "forecast_busy")
    assert int(busy.headers["Retry-After"]) > 0
