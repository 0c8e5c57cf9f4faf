from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from common.app import Service
from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from common.testing import TenantSessions
from energy.costs.rater import rate_due
from energy.facts.models import Miner, NetworkEpoch, Quote, Site
from energy.main import SERVICE

D1 = Decimal(110568428300952)
NewSite: TypeAlias = Callable[..., Awaitable[UUID]]
NewMiner: TypeAlias = Callable[..., Awaitable[UUID]]
Deliver: TypeAlias = Callable[..., Awaitable[UUID]]
Used: TypeAlias = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture
def new_site(tenant_session: TenantSessions, organisation: UUID) -> NewSite:
    """Make a site as hosting would have told of it."""

    async def make(timezone: str = "UTC", name: str = "North hall") -> UUID:
        site_id = new_id()
        row = {"organisation_id": organisation, "id": site_id, "name": name, "location": "Hall"}
        async with tenant_session() as session:
            session.add(Site(**row, timezone=timezone, removed=False, version=1))
        return site_id

    return make


@pytest.fixture
def new_miner(tenant_session: TenantSessions, organisation: UUID) -> NewMiner:
    """Make a machine as hosting would have told of it."""

    async def make(site_id: UUID, **changes: Any) -> UUID:
        miner_id: UUID = changes.pop("id", None) or new_id()
        values: dict[str, Any] = {
            "organisation_id": organisation,
            "client_id": None,
            "serial_number": str(miner_id),
            "model": "Antminer S19j Pro",
            "ip": "127.64.0.1",
            "status": "active",
            "nameplate_hashrate_ths": 100.0,
            "nameplate_power_w": 3050.0,
            "removed": False,
            "version": 1,
        }
        async with tenant_session() as session:
            session.add(Miner(id=miner_id, site_id=site_id, **(values | changes)))
        return miner_id

    return make


@pytest.fixture
def used(runtime: Runtime, deliver: Deliver) -> Used:
    """Tell of a machine's half-hours from an instant on, as telemetry does, and rate them.

    None among `kwh` is a half-hour of which nobody tells.
    """

    async def tell(
        site_id: UUID,
        start: datetime,
        kwh: Sequence[float | None],
        *,
        th_h: float = 50.0,
        client_id: UUID | None = None,
        miner_id: UUID | None = None,
        simulated: bool = False,
    ) -> None:
        machine = {
            "miner_id": miner_id or new_id(),
            "client_id": client_id,
            "state": "mining",
            "cause": None,
            "coverage": 1.0,
        }
        for place, energy in enumerate(kwh):
            if energy is None:
                continue
            closed = {
                "site_id": site_id,
                "starts_at": start + timedelta(minutes=30 * place),
                "revision": 1,
                "simulated": simulated,
                "rows": [machine | {"kwh": energy, "th_h": th_h if energy else 0.0}],
            }
            await deliver("telemetry.half-hour.closed.v1", closed)
        await rate_due(runtime)

    return tell


@pytest.fixture
def market(runtime: Runtime) -> Callable[..., Awaitable[None]]:
    """Quote a bitcoin at 100,000 USD every hour since the 1st, at D1 and 3.125; or what is told."""

    async def tell(
        *, price: str | None = "100000", epochs: bool = True, hashprice: str | None = None
    ) -> None:
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
                        hashprice_usd_per_ths_day=hashprice and Decimal(hashprice),
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
