from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import select

from common.ids import new_id
from common.runtime import Runtime
from common.testing import TenantSessions
from energy.alerts.watching import look
from energy.costs.rater import rate_due
from energy.messages.models import Mail, WebhookDelivery

HALF_HOUR = timedelta(minutes=30)
Make = Callable[..., Awaitable[Any]]


@pytest.fixture
def new_site(deliver: Any) -> Make:
    async def make(name: str = "North", zone: str = "UTC") -> UUID:
        found = new_id()
        data = {"site_id": found, "name": name, "location": name, "timezone": zone}
        await deliver("hosting.site.changed.v1", data)
        return found

    return make


@pytest.fixture
def new_person(deliver: Any) -> Make:
    async def make(role: str = "Owner", client_id: UUID | None = None) -> UUID:
        person = new_id()
        data = {
            "id": person, "client_id": client_id, "role": role,
            "email": f"p{person.hex[-8:]}@example.org", "active": True,
        }  # fmt: skip
        await deliver("identity.user.changed.v1", data)
        return person

    return make


@pytest.fixture
def use(deliver: Any, runtime: Runtime) -> Make:
    """Use so many kWh in each half-hour of a span, and rate them."""

    async def run(
        site_id: UUID, start: datetime, end: datetime, kwh: float | None, *extra: float | None
    ) -> None:
        at = start
        while at < end:
            rows = [
                {"miner_id": UUID(int=site_id.int ^ place), "client_id": None, "kwh": one,
                 "th_h": 100.0, "state": "mining", "cause": None, "coverage": 1.0}
                for place, one in enumerate((kwh, *extra))
            ]  # fmt: skip
            data = {"site_id": site_id, "starts_at": at, "revision": 1, "simulated": False}
            await deliver("telemetry.half-hour.closed.v1", data | {"rows": rows})
            at += HALF_HOUR
        while await rate_due(runtime):
            pass

    return run


@pytest.fixture
def new_rate(client: AsyncClient) -> Make:
    async def make(**fields: Any) -> dict[str, Any]:
        body = {
            "name": "Rate", "rate_type": "flat", "flat_rate_usd_per_kwh": "0.12",
            "timezone": "UTC", "active": True,
        } | fields  # fmt: skip
        answer = await client.post("/api/electricity/rates", json=body)
        assert answer.status_code in {200, 201}, answer.text
        made: dict[str, Any] = answer.json()["rate"]
        return made

    return make


@pytest.fixture
def new_rule(client: AsyncClient) -> Make:
    async def make(**fields: Any) -> dict[str, Any]:
        body = {"name": "Too dear", "metric": "price_now", "threshold": "0.20"} | fields
        answer = await client.post("/api/electricity/alert-rules", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    return make


@pytest.fixture
def look_at(tenant_session: TenantSessions, organisation: UUID) -> Make:
    async def run(at: datetime) -> None:
        async with tenant_session() as session:
            await look(session, organisation, at)

    return run


@pytest.fixture
def alerts(client: AsyncClient) -> Make:
    async def read(**query: Any) -> list[dict[str, Any]]:
        answer = await client.get("/api/electricity/alerts", params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    return read


@pytest.fixture
def letters(tenant_session: TenantSessions) -> Make:
    async def read() -> list[Any]:
        async with tenant_session() as session:
            return list(await session.scalars(select(Mail).order_by(Mail.id)))

    return read


@pytest.fixture
def deliveries(tenant_session: TenantSessions) -> Make:
    async def read() -> list[Any]:
        async with tenant_session() as session:
            return list(await session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))

    return read
