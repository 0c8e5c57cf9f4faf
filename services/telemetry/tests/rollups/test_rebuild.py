"""Roll-ups over the real tables, and the series that are read from them."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.runtime import Runtime
from simulation.fleet import Fleet
from telemetry.rollups.rebuild import rebuild_due

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
_INSERT = text(
    "INSERT INTO telemetry.sample (miner_id, slot, sampled_at, up, late, outcome, power_w, "
    "power_estimated, hashrate_5s_ths, fans_rpm, flags, accepted_delta) "
    "SELECT :miner, s, s, true, false, 'ok', 3000, false, "
    "100 + extract(minute FROM s), '{4000,5000}', '{}', 2 "
    "FROM generate_series(CAST(:first AS timestamptz), CAST(:last AS timestamptz), "
    "interval '1 minute') s ON CONFLICT DO NOTHING"
)
_DIRTY = text(
    "INSERT INTO telemetry.rollup_dirty SELECT generate_series(CAST(:first AS timestamptz), "
    "CAST(:last AS timestamptz), interval '5 minutes') ON CONFLICT DO NOTHING"
)


async def test_buckets_are_rebuilt_and_read(
    fleet_of: Callable[..., Awaitable[Fleet]],
    register: Callable[..., Awaitable[tuple[UUID, list[UUID]]]],
    worker_session: Callable[[], AbstractAsyncContextManager[AsyncSession]],
    runtime: Runtime,
    client: httpx.AsyncClient,
) -> None:
    _, [miner] = await register(await fleet_of(1))
    end = START + timedelta(minutes=59)
    for _ in range(2):  # a second time changes nothing
        async with worker_session() as session:
            await session.execute(text("SELECT telemetry.ensure_sample_day('2026-03-02')"))
            await session.execute(_INSERT, {"miner": miner, "first": START, "last": end})
            await session.execute(_DIRTY, {"first": START, "last": end})
        while await rebuild_due(runtime, at=START + timedelta(hours=2)):
            pass

    async def series(metric: str, step: str) -> Any:
        span = {"from": START.isoformat(), "to": (START + timedelta(hours=1)).isoformat()}
        answer = await client.get(
            f"/api/telemetry/miners/{miner}/series", params={"metric": metric, "step": step} | span
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    five = await series("hashrate_ths", "5m")
    assert len(five["at"]) == 12
    assert five["value"][0] == pytest.approx(102)
    assert (five["min"][0], five["max"][0]) == (100, 104)
    hour = await series("hashrate_ths", "1h")
    assert hour["value"] == [pytest.approx(129.5)]
    assert (await series("accepted", "1h"))["value"] == [120]
    assert (await series("fan_rpm", "1h"))["value"] == [5000]
    assert len((await series("efficiency_j_per_th", "raw"))["at"]) == 60
    assert (await series("power_w", "auto"))["step"] == "raw"


async def test_a_series_asked_for_plainly_is_the_hashrate_of_the_last_day(
    fleet_of: Callable[..., Awaitable[Fleet]],
    register: Callable[..., Awaitable[tuple[UUID, list[UUID]]]],
    client: httpx.AsyncClient,
) -> None:
    _, [miner] = await register(await fleet_of(1))
    answer = await client.get(f"/api/telemetry/miners/{miner}/series")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["metric"] == "hashrate_ths"
    span = datetime.fromisoformat(found["to"]) - datetime.fromisoformat(found["from"])
    assert span == timedelta(days=1)
    ancient = {"to": "0001-01-01T00:00:00Z"}
    answer = await client.get(f"/api/telemetry/miners/{miner}/series", params=ancient)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        {"metric": "nothing"},
        {"metric": "power_w", "from": "2026-03-02T11:00:00Z"},
        {"metric": "power_w", "step": "raw", "to": "2027-03-02T11:00:00Z"},
        {"metric": "power_w", "from": "yesterday"},
    ],
)
async def test_a_series_that_cannot_be_is_a_422(
    query: dict[str, str],
    fleet_of: Callable[..., Awaitable[Fleet]],
    register: Callable[..., Awaitable[tuple[UUID, list[UUID]]]],
    client: httpx.AsyncClient,
) -> None:
    _, [miner] = await register(await fleet_of(1))
    span = {"from": "2026-03-02T10:00:00Z", "to": "2026-03-02T11:00:00Z"}
    answer = await client.get(f"/api/telemetry/miners/{miner}/series", params=span | query)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
