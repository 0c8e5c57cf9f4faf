from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import pytest

from common.ids import new_id

Deliver = Callable[..., Awaitable[UUID]]


@pytest.fixture(autouse=True)
async def quoted(market: Callable[..., Awaitable[None]]) -> None:
    """Let every test begin with a market."""
    await market()


@pytest.fixture
def plan(deliver: Deliver) -> Callable[..., Awaitable[UUID]]:
    """Let a plan stop machines and wake them again, as hosting and telemetry tell of it."""

    async def run(
        site_id: UUID,
        machines: dict[UUID, tuple[float | None, float | None]],
        stop: datetime,
        wake: datetime | None,
        *,
        plan_id: UUID | None = None,
        over: bool = True,
    ) -> UUID:
        chosen = plan_id or new_id()

        async def progress(action: str, state: str, at: datetime) -> None:
            results = [
                {
                    "command_id": new_id(), "miner_id": miner, "plan_id": chosen, "action": action,
                    "state": state, "detail": None, "at": at, "power_before_w": power[0],
                    "power_after_w": power[1], "power_estimated": power[0] is None,
                }
                for miner, power in machines.items()
            ]  # fmt: skip
            told = {"site_id": site_id, "results": results}
            await deliver("telemetry.command.progressed.v1", told)

        await progress("sleep", "verified", stop)
        if wake is not None:
            await progress("wake", "accepted", wake)
        changed = {
            "plan_id": chosen, "site_id": site_id, "plan_type": "manual", "at": wake or stop,
            "status": "completed" if wake and over else "executed",
            "completed_at": wake if over else None,
        }  # fmt: skip
        await deliver("hosting.curtailment.changed.v1", changed, version=5)
        return chosen

    return run
