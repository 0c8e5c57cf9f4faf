"""Background work: every task runs, whatever it is called."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from common.app import Service
from common.runtime import Runtime


def _watching(seen: asyncio.Event) -> Callable[[Runtime], Awaitable[None]]:
    async def watch(runtime: Runtime) -> None:
        seen.set()
        await runtime.stopping.wait()

    return watch


async def test_tasks_of_one_name_all_run(
    service: Service, running_service: Callable[..., AbstractAsyncContextManager[Runtime]]
) -> None:
    """Features name their tasks alike: `watch` of alerts must not hide `watch` of budgets."""
    seen = [asyncio.Event() for _ in range(3)]
    background = [_watching(one) for one in seen]
    async with running_service(replace(service, background=background)), asyncio.timeout(20):
        for one in seen:
            await one.wait()
