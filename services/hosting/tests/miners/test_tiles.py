"""The tiles are kept, and never behind what the caller has changed."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import update

from common.ids import new_id
from common.runtime import Runtime
from hosting.miners import tiles
from hosting.miners.models import Miner
from hosting.settings import Settings

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
ClientAs = Callable[..., httpx.AsyncClient]
KPI = "/api/hosting/kpi"
MINERS = "/api/hosting/miners"


def reads(result: str) -> float:
    labels = {"name": "hosting-tiles", "result": result}
    return REGISTRY.get_sample_value("cache_reads_total", labels) or 0


Truth = Callable[[], Awaitable[Made]]


@pytest.fixture
def truth(tenant_session: Any) -> Truth:
    """Count without the cache."""

    async def count() -> Made:
        async with tenant_session() as session:
            return (await tiles.count(session, None)).model_dump(mode="json")

    return count


def counted(shown: Made) -> Made:
    """Return tiles without what the quote makes of them."""
    sites = [
        {name: it for name, it in site.items() if name != "expected"} for site in shown["by_site"]
    ]
    return {name: it for name, it in shown.items() if name != "expected"} | {"by_site": sites}


@pytest.fixture
async def without_redis(runtime: Runtime) -> AsyncGenerator[None]:
    """Take Redis away from this process."""
    present = runtime.redis
    runtime.redis = Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    await tiles.watch(runtime)
    yield
    await runtime.redis.aclose()
    runtime.redis = present
    await tiles.watch(runtime)


async def test_the_second_look_costs_no_count(client: httpx.AsyncClient, new_miner: New) -> None:
    await new_miner()
    first = (await client.get(KPI)).json()
    hits = reads("hit")
    assert (await client.get(KPI)).json() == first
    assert reads("hit") == hits + 1


async def test_whatever_changes_them_is_seen_at_once(
    client: httpx.AsyncClient, new_site: New, new_miner: New, deliver: Any, truth: Truth
) -> None:
    site = await new_site(name="North")
    body = {"hashrate_ths": 200, "power_w": 3500, "site_id": site["id"], "approve": False}
    miner = await new_miner(**body)
    other = await new_miner(site_id=site["id"])
    at = {"site_id": site["id"], "timestamp": datetime(2026, 11, 1, tzinfo=UTC)}
    lines = "serial_number,model,ip,hashrate_ths,power_w\nX,Rig,10.20.7.7,200,3500\n"
    csv = {"Content-Type": "text/csv"}

    async def post(path: str, **options: Any) -> None:
        answer = await client.post(path, **options)
        assert answer.is_success, answer.text

    changes: list[Callable[[], Awaitable[Any]]] = [
        lambda: post(f"{MINERS}/{miner['id']}/approve"),
        lambda: post(f"{MINERS}/{miner['id']}/shutdown"),
        lambda: post(f"{MINERS}/import?site_id={site['id']}", content=lines, headers=csv),
        lambda: post(f"{MINERS}/{other['id']}/maintenance", json={"reason": "fans"}),
        lambda: post(f"{MINERS}/{other['id']}/maintenance/end"),
        lambda: deliver("telemetry.miner-state.went-offline.v1", {"miner_id": other["id"], **at}),
        lambda: client.patch(f"/api/hosting/sites/{site['id']}", json={"name": "South"}),
        new_site,
        lambda: client.delete(f"{MINERS}/{miner['id']}"),
    ]
    seen: list[Made] = [counted((await client.get(KPI)).json())]
    for change in changes:
        await change()
        seen.append(counted((await client.get(KPI)).json()))
        assert seen[-1] == await truth()
        assert seen[-1] != seen[-2]


async def test_another_process_changes_them_too(
    client: httpx.AsyncClient, new_miner: New, settings: Settings, organisation: UUID
) -> None:
    miner = await new_miner()
    assert (await client.get(KPI)).json()["active"] == 1
    worker = Runtime("hosting", settings)
    await tiles.watch(worker)
    async with worker.worker_session() as session:
        found = await session.get_one(Miner, UUID(miner["id"]))
        found.status = "offline"
    assert (await client.get(KPI)).json()["offline"] == 1
    async with worker.tenant_session(organisation) as session:
        await session.execute(update(Miner).values(status="curtailed"))
    assert (await client.get(KPI)).json()["curtailed"] == 1
    await worker.close()


async def test_a_savepoint_changes_nothing_yet(
    client: httpx.AsyncClient, new_miner: New, tenant_session: Any
) -> None:
    miner = await new_miner()
    async with tenant_session() as session:
        async with session.begin_nested():
            (await session.get_one(Miner, UUID(miner["id"]))).status = "offline"
        assert (await client.get(KPI)).json()["active"] == 1
    assert (await client.get(KPI)).json()["offline"] == 1


async def test_nobody_sees_anothers(
    client: httpx.AsyncClient,
    client_as: ClientAs,
    new_miner: New,
    know_client: Callable[[], Awaitable[UUID]],
) -> None:
    customer = await know_client()
    await new_miner()
    await new_miner(client_id=str(customer))
    callers = {
        "the operator": (client, 2),
        "its client": (client_as(client_id=customer), 1),
        "another client": (client_as(client_id=new_id()), 0),
        "another operator": (client_as(organisation_id=new_id()), 0),
    }
    for _ in range(2):  # counted, then kept
        for who, (caller, total) in callers.items():
            shown = (await caller.get(KPI)).json()
            assert (shown["total"], len(shown["by_site"])) == (total, total), who
    await new_miner(client_id=str(customer))
    assert (await callers["its client"][0].get(KPI)).json()["total"] == 2


@pytest.mark.usefixtures("without_redis")
async def test_without_redis_they_are_counted_each_time(
    client: httpx.AsyncClient, new_miner: New
) -> None:
    await new_miner()
    bypasses = reads("bypass")
    assert (await client.get(KPI)).json()["total"] == 1
    await new_miner()
    assert (await client.get(KPI)).json()["total"] == 2
    assert reads("bypass") == bypasses + 2
