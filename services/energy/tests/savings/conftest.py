from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from energy.facts.models import NetworkEpoch, Quote

Deliver = Callable[..., Awaitable[UUID]]
D1 = Decimal(110568428300952)


@pytest.fixture(autouse=True)
async def market(runtime: Runtime) -> Callable[..., Awaitable[None]]:
    """Quote a bitcoin at 100,000 USD every hour since the 1st, at D1 and 3.125; or what is told."""

    async def tell(*, price: str | None = "100000", epochs: bool = True) -> None:
        async with runtime.worker_session() as session:
            for table in ("quote", "network_epoch", "reference_rate"):
                await session.execute(text(f"DELETE FROM energy.{table}"))
            first = datetime(2026, 10, 1, tzinfo=UTC)
            hours = int((now() - first) / timedelta(hours=1)) + 1 if price else 0
            for number in range(hours):
                session.add(
                    Quote(
                        organisation_id=PLATFORM_ORGANISATION,
                        pair="BTC/USD",
                        version=number + 1,
                        price_usd=Decimal(price or 0),
                        at=first + timedelta(hours=number),
                        source="test",
                        stale=False,
                        simulated=False,
                        difficulty=D1,
                        subsidy_btc=Decimal("3.125"),
                    )
                )
            if epochs:
                session.add(
                    NetworkEpoch(
                        organisation_id=PLATFORM_ORGANISATION,
                        height=907_200,
                        next_height=909_216,
                        started_at=first,
                        difficulty=D1,
                        subsidy_btc=Decimal("3.125"),
                        simulated=False,
                        version=1,
                    )
                )

    await tell()
    return tell


@pytest.fixture
def rate(client: AsyncClient) -> Callable[..., Awaitable[UUID]]:
    """Put a rate in force at a site since the 1st of October."""

    async def make(site_id: UUID, **fields: Any) -> UUID:
        body = {
            "name": "Site's rate",
            "rate_type": "flat",
            "flat_rate_usd_per_kwh": "0.10",
            "timezone": "UTC",
            "site_id": str(site_id),
            "active": True,
            "valid_from": "2026-10-01T00:00:00Z",
        }
        answer = await client.post("/api/electricity/rates", json=body | fields)
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["rate"]["id"])

    return make


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
