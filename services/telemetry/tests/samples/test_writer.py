"""The write path: one row per slot, no batch lost to one bad row, bounded without a database."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.runtime import Runtime
from simulation.fleet import Fleet
from telemetry.domain.reading import Outcome, Reading
from telemetry.domain.slots import Slots
from telemetry.fleet.machine import Machine
from telemetry.poller.observation import RULES, Observer
from telemetry.poller.roster import Roster
from telemetry.samples.writer import Writer
from telemetry.settings import Settings

SLOTS = Slots(2)
SLOT = SLOTS.of(datetime(2026, 3, 3, 12, 0, tzinfo=UTC))
WorkerSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@pytest.fixture
async def machines(
    fleet_of: Callable[..., Awaitable[Fleet]],
    register: Callable[..., Awaitable[tuple[UUID, list[UUID]]]],
    runtime: Runtime,
) -> list[Machine]:
    """Three machines, as a worker that holds every partition loads them."""
    _, miners = await register(await fleet_of(3))
    roster = Roster(runtime, miners[0])
    roster.assign(frozenset(range(48)))
    await roster.refresh(full=True)
    return [roster.machines[miner] for miner in miners]


@pytest.fixture
def observer(runtime: Runtime) -> Observer:
    """Turns readings into records."""
    return Observer(cast("Settings", runtime.settings), SLOTS)


def _writer(runtime: Runtime) -> Writer:
    return Writer(runtime, cast("Settings", runtime.settings), RULES)


async def _count(session_of: WorkerSession, machines: list[Machine], table: str) -> int:
    query = text(f"SELECT count(*) FROM telemetry.{table} WHERE miner_id = ANY(:ids)")
    async with session_of() as session:
        return await session.scalar(query, {"ids": [m.id for m in machines]}) or 0


def _reading(**values: Any) -> Reading:
    return Reading(outcome=Outcome.OK, hashrate_5s_ths=100.0, power_w=3000.0, **values)


async def test_the_same_slot_twice_is_one_row(
    machines: list[Machine], observer: Observer, runtime: Runtime, worker_session: WorkerSession
) -> None:
    for _ in range(2):
        writer = _writer(runtime)
        for machine in machines:
            writer.put(observer.observe(machine, _reading(), slot=SLOT, at=SLOTS.start(SLOT)))
        await writer.flush()
    assert await _count(worker_session, machines, "sample") == 3
    assert await _count(worker_session, machines, "miner_state") == 3


async def test_a_row_that_the_database_refuses_is_parked_alone(
    machines: list[Machine], observer: Observer, runtime: Runtime, worker_session: WorkerSession
) -> None:
    writer = _writer(runtime)
    for machine, accepted in zip(machines, (1, 2**63, 3), strict=True):
        at = SLOTS.start(SLOT)
        writer.put(observer.observe(machine, _reading(accepted=accepted), slot=SLOT, at=at))
    await writer.flush()
    assert await _count(worker_session, machines, "sample") == 2
    assert await _count(worker_session, machines, "parked_row") == 1


async def test_while_the_database_is_away_the_newest_rows_are_kept(
    machines: list[Machine],
    observer: Observer,
    runtime: Runtime,
    worker_session: WorkerSession,
    published: Callable[..., Awaitable[list[dict[str, Any]]]],
) -> None:
    class Away:
        """A runtime whose database is away at first."""

        away = True

        @asynccontextmanager
        async def worker_session(self) -> AsyncGenerator[AsyncSession]:
            if self.away:
                raise ConnectionRefusedError
            async with runtime.worker_session() as session:
                yield session

    settings = cast("Settings", runtime.settings).model_copy(update={"queue_rows": 1000})
    away = Away()
    writer = Writer(cast("Runtime", away), settings, RULES)
    nothing = Reading(outcome=Outcome.REFUSED)
    for slot in range(SLOT, SLOT + 1500):
        at = SLOTS.start(slot)
        writer.put(observer.observe(machines[0], nothing, slot=slot, at=at))
        if slot % 500 == 0:
            with pytest.raises(ConnectionRefusedError):
                await writer.flush()
    away.away = False
    await writer.flush()
    assert await _count(worker_session, machines, "sample") == 1000
    gone = await published("telemetry.miner-state.went-offline.v1")
    assert len(gone) == 1, "the verdict outlives the rows that led to it"


async def test_extra_polls_change_the_state_and_are_no_samples(
    machines: list[Machine], observer: Observer, runtime: Runtime, worker_session: WorkerSession
) -> None:
    writer = _writer(runtime)
    at = SLOTS.start(SLOT)
    writer.put(observer.observe(machines[0], _reading(), slot=None, at=at))
    await writer.flush()
    assert await _count(worker_session, machines, "sample") == 0
    assert await _count(worker_session, machines, "miner_state") == 1
