"""Silence of single machines becomes one incident per site and cause."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.app import Service
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from hosting.incidents import ledger

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
Published = Callable[..., Awaitable[list[Made]]]
Deliver = Callable[..., Awaitable[object]]
MINERS = "/api/hosting/miners"


async def say(deliver: Deliver, miner: Made, kind: str, **changes: Any) -> None:
    body = {
        "miner_id": miner["id"],
        "site_id": miner["site_id"],
        "timestamp": now().isoformat(),
    }
    await deliver(f"telemetry.miner-state.{kind}.v1", body | changes)


async def test_many_silent_machines_make_one_incident(
    client: httpx.AsyncClient,
    new_site: New,
    new_miner: New,
    published: Published,
    deliver: Deliver,
    runtime: Runtime,
) -> None:
    site = await new_site()
    miners = [await new_miner(site_id=site["id"]) for _ in range(4)]
    elsewhere = await new_miner()
    for miner in (*miners, elsewhere):
        await say(deliver, miner, "went-offline")
    tiles = (await client.get("/api/hosting/kpi")).json()
    assert tiles["offline"] == 5
    opened = await published("hosting.incident.opened.v1")
    assert len(opened) == 2
    assert {event["data"]["site_id"] for event in opened} == {site["id"], elsewhere["site_id"]}
    assert all(event["data"]["cause"] == "host_fault" for event in opened)
    async with runtime.worker_session() as session:
        await ledger.announce_grown(session)
    grown = (await published("hosting.incident.opened.v1"))[2:]
    assert len(grown) == 1
    assert grown[0]["version"] == 2
    assert set(grown[0]["data"]["miner_ids"]) == {miner["id"] for miner in miners}
    async with runtime.worker_session() as session:
        await ledger.announce_grown(session)
    assert len(await published("hosting.incident.opened.v1")) == 3

    for miner in miners:
        assert await published("hosting.incident.closed.v1") == []
        await say(deliver, miner, "came-online")
    [closed] = await published("hosting.incident.closed.v1")
    assert closed["version"] == 3
    assert closed["key"] == grown[0]["key"]
    assert set(closed["data"]["miner_ids"]) == {miner["id"] for miner in miners}
    assert (await client.get("/api/hosting/kpi")).json()["active"] == 4


async def test_old_and_repeated_news_changes_nothing(
    client: httpx.AsyncClient, new_miner: New, published: Published, deliver: Deliver
) -> None:
    miner = await new_miner()
    at = now()
    event_id = new_id()
    body = {"miner_id": miner["id"], "site_id": miner["site_id"], "timestamp": at.isoformat()}
    for _ in range(2):
        await deliver("telemetry.miner-state.went-offline.v1", body, event_id=event_id)
    await say(deliver, miner, "came-online", timestamp=(at - timedelta(seconds=9)).isoformat())
    assert (await client.get(f"{MINERS}/{miner['id']}")).json()["status"] == "offline"
    assert len(await published("hosting.miner.changed.v1")) == 1
    stranger = {"id": str(new_id()), "site_id": miner["site_id"]}
    await say(deliver, stranger, "went-offline")
    await say(deliver, stranger, "came-online")


async def test_silence_in_maintenance_shows_when_that_ends(
    client: httpx.AsyncClient, new_miner: New, deliver: Deliver, published: Published
) -> None:
    miner = await new_miner()
    path = f"{MINERS}/{miner['id']}"
    await client.post(f"{path}/maintenance", json={"reason": "new board"})
    await say(deliver, miner, "went-offline")
    assert (await client.get(path)).json()["status"] == "maintenance"
    await client.post(f"{path}/maintenance/end")
    assert (await client.get(path)).json()["status"] == "offline"
    await say(deliver, miner, "came-online")
    assert (await client.get(path)).json()["status"] == "active"
    causes = [e["data"]["cause"] for e in await published("hosting.incident.opened.v1")]
    assert causes == ["maintenance", "host_fault"]
    closed = [e["data"]["cause"] for e in await published("hosting.incident.closed.v1")]
    assert closed == ["maintenance", "host_fault"]


async def test_a_machine_that_fell_silent_while_stopping_is_offline_when_that_fails(
    client: httpx.AsyncClient, new_miner: New, deliver: Deliver
) -> None:
    miner = await new_miner()
    path = f"{MINERS}/{miner['id']}"
    command_id = (await client.post(f"{path}/shutdown")).json()["command_id"]
    await say(deliver, miner, "went-offline")
    result = {
        "command_id": command_id,
        "miner_id": miner["id"],
        "plan_id": None,
        "action": "sleep",
        "state": "unreachable",
        "detail": None,
        "at": now().isoformat(),
        "power_before_w": None,
        "power_after_w": None,
        "power_estimated": False,
    }
    body = {"site_id": miner["site_id"], "results": [result]}
    await deliver("telemetry.command.progressed.v1", body)
    assert (await client.get(path)).json()["status"] == "offline"


async def test_a_deleted_machine_leaves_its_incident(
    client: httpx.AsyncClient, new_miner: New, deliver: Deliver, published: Published
) -> None:
    miner = await new_miner()
    await say(deliver, miner, "went-offline")
    await client.delete(f"{MINERS}/{miner['id']}")
    [closed] = await published("hosting.incident.closed.v1")
    assert closed["data"]["miner_ids"] == [miner["id"]]


async def test_a_full_incident_is_followed_by_another(
    tenant_session: Callable[..., Any], organisation: UUID, published: Published
) -> None:
    site_id, at = new_id(), now()
    for count in (ledger.MAX_MEMBERS, 1):
        async with tenant_session() as session:
            await ledger.join(
                session,
                organisation,
                site_id=site_id,
                cause="grid",
                miner_ids=[new_id() for _ in range(count)],
                at=at,
            )
    opened = await published("hosting.incident.opened.v1")
    assert [len(event["data"]["miner_ids"]) for event in opened] == [ledger.MAX_MEMBERS, 1]


async def test_everything_this_service_publishes_has_its_topic(service: Service) -> None:
    topics = {event.type: event.topic() for event in service.events}
    assert topics["hosting.miner.registered.v1"] == "hosting.miner.v1"
    assert topics["hosting.incident.closed.v1"] == "hosting.incident.v1"


async def test_incidents_are_listed_for_their_tenant(
    client: httpx.AsyncClient,
    client_as: Callable[..., httpx.AsyncClient],
    new_site: New,
    new_miner: New,
    deliver: Deliver,
) -> None:
    site = await new_site()
    miners = [await new_miner(site_id=site["id"]) for _ in range(2)]
    for miner in miners:
        await say(deliver, miner, "went-offline")
    await say(deliver, miners[0], "came-online")
    path = "/api/hosting/incidents"
    query = {"site_id": site["id"], "cause": "host_fault", "open_only": "true"}
    [incident] = (await client.get(path, params=query)).json()["items"]
    assert (incident["machines"], incident["machines_left"]) == (2, 1)
    members = (await client.get(f"{path}/{incident['id']}/miners")).json()["items"]
    assert [member["miner_id"] for member in members] == [miner["id"] for miner in miners]
    assert [member["left_at"] is None for member in members] == [False, True]
    assert (await client.get(path, params={"cause": "weather"})).status_code == 422
    stranger = client_as(organisation_id=new_id())
    assert (await stranger.get(path)).json()["total"] == 0
    assert (await stranger.get(f"{path}/{incident['id']}/miners")).status_code == 404


@pytest.mark.kafka
async def test_a_running_service_announces_what_has_grown(
    new_site: New,
    new_miner: New,
    deliver: Deliver,
    published: Published,
    service: Service,
    running_service: Callable[..., Any],
    extra_settings: dict[str, Any],
) -> None:
    site = await new_site()
    for _ in range(2):
        await say(deliver, await new_miner(site_id=site["id"]), "went-offline")
    async with running_service(service, **extra_settings), asyncio.timeout(20):
        while len(events := await published("hosting.incident.opened.v1")) < 2:
            await asyncio.sleep(0.1)
    assert [len(event["data"]["miner_ids"]) for event in events] == [1, 2]
