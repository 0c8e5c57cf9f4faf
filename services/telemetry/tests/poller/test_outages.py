"""The database goes away and comes back: polling goes on, and nothing is stored twice."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from common.testing import Infrastructure
from simulation.fleet import Fleet

_connect: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  (untyped)
_CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_SLOTS = text(
    "SELECT count(DISTINCT slot) FROM telemetry.sample WHERE miner_id = ANY(:ids) AND slot > :after"
)
_STATE = text("SELECT state FROM telemetry.command WHERE id = :id")


async def test_every_connection_is_cut(
    worker: Runtime,
    infra: Infrastructure,
    fleet_of: Callable[..., Awaitable[Fleet]],
    register: Callable[..., Awaitable[tuple[UUID, list[UUID]]]],
    deliver: Callable[..., Awaitable[UUID]],
    worker_session: Callable[[], AbstractAsyncContextManager[AsyncSession]],
    eventually: Callable[..., Awaitable[Any]],
) -> None:
    fleet = await fleet_of(5, mix={"luxos": 1.0})
    site_id, miners = await register(fleet)

    async def slots_since(moment: Any, number: int) -> bool:
        async with worker_session() as session:
            found = await session.scalar(_SLOTS, {"ids": miners, "after": moment})
        return (found or 0) >= number

    began = now()
    await eventually(lambda: slots_since(began, 1))
    admin = await _connect(infra.postgres_dsn)
    for _ in range(3):
        await admin.execute(_CUT)
        await asyncio.sleep(0.3)
    await admin.close()
    cut = now()
    await eventually(lambda: slots_since(cut, 2))

    command_id = new_id()
    await deliver(
        "hosting.command.ordered.v1",
        {
            "site_id": site_id,
            "action": "sleep",
            "commands": [{"command_id": command_id, "miner_id": miners[0]}],
            "deadline_at": (now() + timedelta(seconds=20)).isoformat(),
        },
    )

    async def verified() -> bool:
        async with worker_session() as session:
            return await session.scalar(_STATE, {"id": command_id}) == "verified"

    await eventually(verified)
