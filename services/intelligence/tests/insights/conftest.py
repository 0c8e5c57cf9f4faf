from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from httpx import AsyncClient

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from common.testing import ALL_SCOPES, ClientFor
from intelligence.insights import ledger

HALF_HOUR = timedelta(minutes=30)
Deliver = Callable[..., Awaitable[UUID]]
Told = Callable[..., Awaitable[None]]
Load = Callable[[datetime], tuple[float | None, float | None]]
NewSite = Callable[..., Awaitable[UUID]]


@pytest.fixture
def reader(client_as: ClientFor) -> AsyncClient:
    return client_as(scopes=ALL_SCOPES | {"forecasts:read", "insights:read"})


@pytest.fixture
def new_site(deliver: Deliver) -> NewSite:
    """Make a site known, as hosting publishes it."""

    async def make(**changes: Any) -> UUID:
        site_id: UUID = changes.pop("site_id", None) or new_id()
        data = {"site_id": site_id, "name": "Odessa", "timezone": "America/Chicago"} | changes
        await deliver("hosting.site.changed.v1", data, version=changes.get("version", 1))
        return site_id

    return make


@pytest.fixture
def close(deliver: Deliver) -> Told:
    """Close a half-hour, as telemetry publishes it: (miner, client, kWh, TH·h) a machine."""

    async def send(
        site_id: UUID,
        starts_at: datetime,
        rows: Sequence[tuple[UUID, UUID | None, float | None, float | None]],
        *,
        revision: int = 1,
        simulated: bool = False,
    ) -> None:
        machines = [
            {
                "miner_id": miner, "client_id": client, "kwh": kwh, "th_h": th_h,
                "state": "mining", "cause": None, "coverage": 1.0,
            }
            for miner, client, kwh, th_h in rows
        ]  # fmt: skip
        data = {"site_id": site_id, "starts_at": starts_at, "revision": revision,
                "simulated": simulated, "rows": machines}  # fmt: skip
        await deliver("telemetry.half-hour.closed.v1", data)

    return send


@pytest.fixture
def told(runtime: Runtime, organisation: UUID) -> Told:
    """Close many half-hours of a site of one machine, through the reactions' own function."""

    async def tell(
        site_id: UUID,
        load: Load,
        *,
        days: float,
        until: datetime | None = None,
        client_id: UUID | None = None,
    ) -> None:
        end = until or floor(now())
        miner = new_id()
        parts: list[ledger.Part] = []
        for place in range(round(days * 48)):
            at = end - (place + 1) * HALF_HOUR
            kwh, th_h = load(at)
            parts.append(
                ledger.Part(
                    organisation, site_id, at, 1, False, [miner], [client_id], [kwh], [th_h]
                )
            )
        async with runtime.tenant_session(organisation) as session:
            await ledger.take(session, parts)

    return tell


def floor(at: datetime) -> datetime:
    """Return the start of the half-hour, a few minutes ago at least."""
    settled = at - timedelta(minutes=5)
    return settled.replace(minute=settled.minute // 30 * 30, second=0, microsecond=0)


@pytest.fixture
def local_midnight() -> Callable[[str], datetime]:
    """When today began in a zone."""

    def find(zone: str) -> datetime:
        local = now().astimezone(ZoneInfo(zone))
        return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)

    return find
