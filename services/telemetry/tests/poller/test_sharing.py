"""Two workers share the fleet, and one takes over from the other: no gap, no row twice."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.runtime import Runtime
from simulation.fleet import Fleet
from telemetry.main import SERVICE

FleetOf = Callable[..., Awaitable[Fleet]]
Register = Callable[..., Awaitable[tuple[UUID, list[UUID]]]]
Eventually = Callable[..., Awaitable[Any]]
WorkerSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Run = Callable[..., AbstractAsyncContextManager[Runtime]]

_OWNERS = text("SELECT count(DISTINCT worker_id), count(*) FROM telemetry.partition_owner")
_SLOTS = text(
    "SELECT slot, count(*) FROM telemetry.sample WHERE miner_id = ANY(:ids) GROUP BY slot "
    "ORDER BY slot"
)


async def test_the_fleet_is_shared_and_taken_over(
    running_service: Run,
    extra_settings: dict[str, Any],
    fleet_of: FleetOf,
    register: Register,
    worker_session: WorkerSession,
    eventually: Eventually,
) -> None:
    fleet = await fleet_of(20, mix={"luxos": 1.0})
    _, miners = await register(fleet)

    async def owners(wanted: int) -> bool:
        async with worker_session() as session:
            return tuple((await session.execute(_OWNERS)).one()) == (wanted, 48)

    async def slots(number: int) -> list[int] | None:
        async with worker_session() as session:
            rows = (await session.execute(_SLOTS, {"ids": miners})).all()
        full = [count for _, count in rows if count == len(miners)]
        return [count for _, count in rows] if len(full) >= number else None

    async with running_service(SERVICE, **extra_settings):
        await eventually(lambda: owners(1))
        async with running_service(SERVICE, **extra_settings):
            await eventually(lambda: owners(2), within_s=30)
            await eventually(lambda: slots(4), within_s=30)
        await eventually(lambda: owners(1), within_s=30)
        before = len(await eventually(lambda: slots(1)))
        counts = await eventually(lambda: slots(8), within_s=30)
    # First and last slot are partial; a rebalance may cost one more.
    assert sum(count < len(miners) for count in counts[1:-1]) <= 3, (before, counts)
    assert max(counts) == len(miners)
