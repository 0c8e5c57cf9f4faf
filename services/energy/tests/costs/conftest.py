from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient

from common.ids import new_id
from common.runtime import Runtime
from energy.costs.rater import rate_due

HALF_HOUR = timedelta(minutes=30)
Deliver = Callable[..., Awaitable[UUID]]
Row = tuple[UUID, UUID | None, float | None, float | None]
CLOSED = "telemetry.half-hour.closed.v1"


@pytest.fixture
def new_site(deliver: Deliver) -> Callable[..., Awaitable[UUID]]:
    """Make a site known, as hosting publishes it."""

    async def make(zone: str = "UTC", *, location: str = "Odessa", version: int = 1,
                   site_id: UUID | None = None) -> UUID:  # fmt: skip
        found = site_id or new_id()
        data = {"site_id": found, "name": location, "location": location, "timezone": zone}
        await deliver("hosting.site.changed.v1", data, version=version)
        return found

    return make


@pytest.fixture
def new_miner(deliver: Deliver) -> Callable[..., Awaitable[UUID]]:
    """Make a machine known, as hosting publishes it."""

    async def make(site_id: UUID, *, client_id: UUID | None = None, ip: str = "127.64.0.1") -> UUID:
        miner_id = new_id()
        data = {
            "miner_id": miner_id, "client_id": client_id, "site_id": site_id, "ip": ip,
            "serial_number": str(miner_id)[:12], "model": "S21", "status": "active",
            "nameplate_hashrate_ths": 200.0, "nameplate_power_w": 3500.0,
        }  # fmt: skip
        await deliver("hosting.miner.registered.v1", data)
        return miner_id

    return make


@pytest.fixture
def close(deliver: Deliver) -> Callable[..., Awaitable[UUID]]:
    """Close a half-hour, as telemetry publishes it: (miner, client, kWh, TH·h) a machine."""

    async def send(
        site_id: UUID, starts_at: datetime, rows: Sequence[Row], *, revision: int = 1,
        simulated: bool = False, event_id: UUID | None = None,
    ) -> UUID:  # fmt: skip
        machines = [
            {
                "miner_id": miner, "client_id": client, "kwh": kwh, "th_h": th_h,
                "state": "mining", "cause": None, "coverage": 1.0,
            }
            for miner, client, kwh, th_h in rows
        ]  # fmt: skip
        data = {"site_id": site_id, "starts_at": starts_at, "revision": revision,
                "simulated": simulated, "rows": machines}  # fmt: skip
        return await deliver(CLOSED, data, event_id=event_id)

    return send


@pytest.fixture
def close_day(close: Callable[..., Awaitable[UUID]]) -> Callable[..., Awaitable[None]]:
    """Close every half-hour between two instants with the same rows."""

    async def send(site_id: UUID, start: datetime, end: datetime, rows: Sequence[Row]) -> None:
        at = start
        while at < end:
            await close(site_id, at, rows)
            at += HALF_HOUR

    return send


@pytest.fixture
def rate(runtime: Runtime) -> Callable[[], Awaitable[int]]:
    """Rate all that is due."""

    async def work_off() -> int:
        return await rate_due(runtime)

    return work_off


@pytest.fixture
def new_rate(client: AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Create a rate and make it the active one, through the API."""

    async def make(**fields: Any) -> dict[str, Any]:
        body = {
            "name": "Flat", "rate_type": "flat", "flat_rate_usd_per_kwh": "0.12",
            "timezone": "UTC", "active": True, "valid_from": "2024-01-01T00:00:00Z",
        } | fields  # fmt: skip
        answer = await client.post("/api/electricity/rates", json=body)
        assert answer.status_code in {200, 201}, answer.text
        made: dict[str, Any] = answer.json()["rate"]
        return made

    return make
