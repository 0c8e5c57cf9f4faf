"""The work of a service beside HTTP: relay, consumer and its own tasks, supervised."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from aiokafka.errors import KafkaError
from asyncpg import PostgresError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog import get_logger

from common import metrics
from common.consumer import Dispatcher, Reactions, consume, groups_of
from common.kafka import ensure_topics
from common.relay import Relay, reap
from common.revisions import head
from common.runtime import Runtime
from common.settings import ServiceSettings

log = get_logger()
Role = Literal["all", "api", "worker"]
Background = Callable[[Runtime], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a process of a service does beside answering requests."""

    name: str
    versions: Path
    published: frozenset[str]
    reactions: Sequence[Reactions]
    background: Sequence[Background]
    setup: Background | None


@asynccontextmanager
async def running(work: Work, settings: ServiceSettings, role: Role) -> AsyncGenerator[Runtime]:
    """Hold a service's runtime open, with the background work that its role includes."""
    runtime = Runtime(work.name, settings)
    runtime.ready["database"] = "not checked yet"
    tasks: list[asyncio.Task[None]] = []
    try:
        await _at_head(work, runtime)
        if work.setup is not None:
            await work.setup(runtime)
        if role != "api":
            tasks = _tasks(work, runtime)
        tasks.append(asyncio.create_task(_watch_loop(), name="loop-lag"))
        yield runtime
    finally:
        runtime.stopping.set()
        await _end(tasks)
        await runtime.close()


_LEAVE_S = 6
"""Longer than a client of the broker takes to leave, at most."""


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: a library may swallow one cancellation, not all of them."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_LEAVE_S)
    await asyncio.gather(*tasks, return_exceptions=True)  # so that no error goes unseen


def _tasks(work: Work, runtime: Runtime) -> list[asyncio.Task[None]]:
    consumed = set(Dispatcher(runtime, work.reactions).topics)

    async def relay() -> None:
        await ensure_topics(runtime.settings, work.published)
        await Relay(runtime).run()

    async def reactions(group: str) -> None:
        await ensure_topics(runtime.settings, consumed)
        await consume(runtime, work.reactions, group)

    async def reaper() -> None:
        await reap(runtime)

    chosen: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("relay", relay),
        ("reaper", reaper),
        *(
            (f"consumer {one}".strip(), partial(reactions, one))
            for one in groups_of(work.reactions)
        ),
        *((_name_of(task), partial(task, runtime)) for task in work.background),
    ]
    return [
        asyncio.create_task(_supervise(name, make, runtime), name=name) for name, make in chosen
    ]


def _name_of(task: Background) -> str:
    """Return a name that tells apart what is called `watch` in several modules."""
    return f"{task.__module__}.{getattr(task, '__name__', repr(task))}"


async def _supervise(name: str, make: Callable[[], Awaitable[None]], runtime: Runtime) -> None:
    """Run a background task for ever: what fails is logged and started again with back-off."""
    delay_s = 0.2
    while not runtime.stopping.is_set():
        began = time.monotonic()
        try:
            await make()
        except Exception as error:
            if isinstance(error, OSError | DBAPIError | KafkaError | PostgresError):
                log.warning("background.lost_connection", task=name, error=repr(error)[:300])
            else:
                log.exception("background.failed", task=name)
        if time.monotonic() - began > 30:  # noqa: PLR2004  (it ran well for a while)
            delay_s = 0.2
        metrics.task_restarts.labels(name).inc()
        await asyncio.sleep(delay_s)
        delay_s = min(5.0, delay_s * 2)


async def _watch_loop() -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.25)
        metrics.loop_lag.set(max(0.0, time.perf_counter() - began - 0.25))


async def _at_head(work: Work, runtime: Runtime) -> None:
    """Wait for the database; refuse to start on a schema that is not at head."""
    wanted = head(work.versions)
    query = text(f"SELECT version_num FROM {work.name}.alembic_version")  # noqa: S608
    while True:
        try:
            async with runtime.worker_engine.connect() as connection:
                found = await connection.scalar(query)
        except (OSError, DBAPIError) as error:
            if getattr(getattr(error, "orig", None), "sqlstate", None) in ("42P01", "42501"):
                found = None
            else:
                log.warning("database.not_ready", error=str(error)[:200])
                await asyncio.sleep(0.5)
                continue
        if found != wanted:
            msg = (
                f"the schema {work.name} is at {found}, this code needs {wanted}: "
                f"run `python -m {work.name} migrate`"
            )
            raise RuntimeError(msg)
        runtime.ready.pop("database", None)
        return
