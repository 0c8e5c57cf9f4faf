"""Half-hours over the real tables: closed once, revised when an incident says more."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.ids import new_id
from common.runtime import Runtime
from simulation.fleet import Fleet
from telemetry.halfhours.closing import close_due
from telemetry.settings import Settings

CLOSED = "telemetry.half-hour.closed.v1"
START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
_INSERT = text(
    "INSERT INTO telemetry.sample (miner_id, slot, sampled_at, up, late, outcome, power_w, "
    "power_estimated, hashrate_5s_ths, fans_rpm, flags) SELECT :miner, s, s, true, false, 'ok', "
    "3000, false, 100, '{}', '{}' FROM generate_series(CAST(:first AS timestamptz), "
    "CAST(:last AS timestamptz), interval '2 seconds') s"
)


@pytest.fixture
async def closed_site(
    fleet_of: Callable[..., Awaitable[Fleet]],
    register: Callable[..., Awaitable[tuple[UUID, list[UUID]]]],
    worker_session: Callable[[], AbstractAsyncContextManager[AsyncSession]],
    runtime: Runtime,
) -> tuple[UUID, list[UUID]]:
    """A site of three: one seen all the time, one for a third of it, one never."""
    site_id, miners = await register(await fleet_of(3))
    async with worker_session() as session:
        await session.execute(text("SELECT telemetry.ensure_sample_day('2026-03-01')"))
        for miner, minutes in ((miners[0], 30), (miners[1], 10)):
            last = START + timedelta(minutes=minutes) - timedelta(seconds=2)
            await session.execute(_INSERT, {"miner": miner, "first": START, "last": last})
    return site_id, miners


def _rows(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["miner_id"]: row for row in event["data"]["rows"]}


async def test_closes_once_and_revises_what_an_incident_explains(
    closed_site: tuple[UUID, list[UUID]],
    runtime: Runtime,
    published: Callable[..., Awaitable[list[dict[str, Any]]]],
    deliver: Callable[..., Awaitable[UUID]],
) -> None:
    site_id, miners = closed_site
    settings = cast("Settings", runtime.settings)
    at = START + timedelta(minutes=30)
    await close_due(runtime, settings, at=at - timedelta(seconds=1))
    assert not await published(CLOSED)
    await close_due(runtime, settings, at=at)
    await close_due(runtime, settings, at=at)
    [event] = await published(CLOSED)
    assert event["data"]["revision"] == 1
    assert event["data"]["simulated"] is True
    assert event["key"] == str(site_id)
    rows = _rows(event)
    whole, third, never = (rows[str(miner)] for miner in miners)
    assert (whole["kwh"], whole["coverage"]) == (pytest.approx(1.5), 1.0)
    assert whole["th_h"] == pytest.approx(50)
    assert (whole["state"], whole["cause"]) == ("hashing", None)
    assert third["coverage"] == pytest.approx(303 / 900)
    assert (never["kwh"], never["state"], never["coverage"]) == (None, "unknown", 0.0)

    incident = {
        "incident_id": new_id(),
        "site_id": site_id,
        "cause": "grid",
        "starts_at": (START + timedelta(minutes=10)).isoformat(),
        "ends_at": None,
        "miner_ids": [miners[1]],
    }
    await deliver("hosting.incident.opened.v1", incident)
    await close_due(runtime, settings, at=at)
    events = await published(CLOSED)
    assert len(events) == 2
    assert events[1]["data"]["revision"] == 2
    revised = _rows(events[1])
    assert list(revised) == [str(miners[1])]
    assert revised[str(miners[1])]["cause"] == "grid"
    await close_due(runtime, settings, at=at)
    assert len(await published(CLOSED)) == 2
