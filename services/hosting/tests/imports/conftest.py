"""A worker for imports, and waiting for what it does."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from common.runtime import Runtime
from hosting.imports.jobs import do_jobs

Ended = Callable[[httpx.Response], Awaitable[dict[str, Any]]]


@pytest.fixture
async def job_worker(runtime: Runtime) -> AsyncGenerator[None]:
    """Do queued jobs while the test runs."""
    working = asyncio.create_task(do_jobs(runtime))
    yield
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working


@pytest.fixture
def ended(client: httpx.AsyncClient) -> Ended:
    """Wait for the job that an answer names; return how it ended."""

    async def wait(accepted: httpx.Response) -> dict[str, Any]:
        assert accepted.status_code == 202, accepted.text
        async with asyncio.timeout(60):
            while True:
                job: dict[str, Any] = (await client.get(accepted.headers["Location"])).json()
                if job["finished_at"] is not None:
                    return job
                await asyncio.sleep(0.05)

    return wait
