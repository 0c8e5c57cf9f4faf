from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import pytest

from common.app import Service
from common.ids import new_id
from common.runtime import Runtime
from common.testing import TenantSessions
from energy.costs.rater import rate_due
from energy.facts.models import Miner, Site
from energy.main import SERVICE

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
