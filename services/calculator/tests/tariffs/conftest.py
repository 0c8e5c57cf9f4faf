from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient

from calculator.batches import jobs
from calculator.db import Job
from common.clock import now
from common.ids import new_id
from common.jobs import Step
from common.runtime import Runtime

Json = dict[str, Any]
HearTariff = Callable[..., Awaitable[str]]


@pytest.fixture
def hear_tariff(deliver: Any) -> HearTariff:
    """Let the energy service say something of a rate; returns the rate's id."""

    async def said(*, version: int = 1, at: datetime | None = None, **changes: Any) -> str:
        event: Json = {
            "rate_id": str(new_id()),
            "rate_version": 3,
            "site_id": None,
            "location": None,
            "name": "Night and day",
            "active": True,
            "rate_type": "tou",
            "currency": "USD",
            "timezone": "Europe/London",
            "tariff": {"tou_schedule": []},
            "mean_usd_per_kwh": "0.0712",
            "valid_from": now(),
            "removed": False,
            "changed_at": at or now(),
        }
        event |= changes
        await deliver("energy.tariff.changed.v1", event, version=version)
        return event["rate_id"]

    return said


@pytest.fixture
def planner(client_as: Callable[..., AsyncClient]) -> AsyncClient:
    """A user who may calculate with the tariffs of the organisation."""
    scopes = frozenset({"calculations:run", "calculations:read", "tariffs:read", "jobs:read"})
    return client_as(subject=new_id(), scopes=scopes)


@pytest.fixture
def unpriced(closed: Json) -> Json:
    """A question that lacks nothing but a price of electricity."""
    del closed["electricity_usd_per_kwh"]
    return closed


@pytest.fixture
def do_part(runtime: Runtime, organisation: UUID) -> Callable[[str], Awaitable[bool]]:
    """Do the next part of a job as its worker would; returns whether it was the last."""

    async def do(job_id: str) -> bool:
        async with runtime.tenant_session(organisation) as session:
            job = await session.get_one(Job, UUID(job_id))
            step = Step(job.id, organisation, job.arguments, job.cursor)
            progress = await jobs.carry_on(session, runtime, step)
            job.cursor, job.percent = progress.cursor, progress.percent
        return progress.result is not None

    return do
