"""Orders given by hand, one machine or many, and what telemetry makes of them."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from common.clock import now
from common.ids import new_id

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
Published = Callable[..., Awaitable[list[Made]]]
Deliver = Callable[..., Awaitable[object]]
MINERS = "/api/hosting/miners"
BATCH = "/api/hosting/host/devices/batch"


@pytest.fixture
def report(deliver: Deliver) -> Callable[..., Awaitable[None]]:
    """Let telemetry report on one command."""

    async def send(command_id: str, state: str, **changes: Any) -> None:
        result: Made = {
            "command_id": command_id,
            "miner_id": str(new_id()),
            "plan_id": None,
            "action": "sleep",
            "state": state,
            "detail": None,
            "at": now().isoformat(),
        }
        await deliver(
            "telemetry.command.progressed.v1",
            {"site_id": str(new_id()), "results": [result | changes]},
        )

    return send


@pytest.fixture
def status_of(client: httpx.AsyncClient) -> Callable[[Made], Awaitable[str]]:
    async def read(miner: Made) -> str:
        return (await client.get(f"{MINERS}/{miner['id']}")).json()["status"]

    return read


async def test_a_shutdown_is_ordered_proven_and_undone(
    client: httpx.AsyncClient,
    new_miner: New,
    published: Published,
    report: Callable[..., Awaitable[None]],
    status_of: Callable[[Made], Awaitable[str]],
) -> None:
    miner = await new_miner()
    answer = await client.post(f"{MINERS}/{miner['id']}/shutdown")
    assert answer.status_code == 202
    command_id = answer.json()["command_id"]
    assert await status_of(miner) == "stopping"
    [event] = await published("hosting.command.ordered.v1")
    assert event["key"] == miner["site_id"]
    assert event["data"]["action"] == "sleep"
    assert event["data"]["plan_id"] is None
    assert event["data"]["commands"] == [{"command_id": command_id, "miner_id": miner["id"]}]
    assert event["data"]["deadline_at"] > now().isoformat()
    await report(command_id, "accepted")
    assert await status_of(miner) == "stopping"
    await report(command_id, "verified")
    assert await status_of(miner) == "curtailed"
    await report(command_id, "unverified")  # late and repeated reports change nothing
    assert await status_of(miner) == "curtailed"
    command = (await client.get(f"/api/hosting/commands/{command_id}")).json()
    assert command["state"] == "verified"
    assert command["finished_at"] is not None
    started = await client.post(f"/api/hosting/miner/{miner['id']}/start")
    assert started.status_code == 202
    await report(started.json()["command_id"], "verified", action="wake")
    assert await status_of(miner) == "active"
    statuses = [e["data"]["status"] for e in await published("hosting.miner.changed.v1")]
    assert statuses == ["stopping", "curtailed", "starting", "active"]


@pytest.mark.parametrize("state", ["refused", "unreachable", "unsupported", "expired"])
async def test_an_order_that_comes_to_nothing_leaves_the_machine_as_it_was(
    client: httpx.AsyncClient,
    new_miner: New,
    report: Callable[..., Awaitable[None]],
    status_of: Callable[[Made], Awaitable[str]],
    state: str,
) -> None:
    miner = await new_miner()
    answer = await client.post(f"{MINERS}/{miner['id']}/shutdown")
    await report(answer.json()["command_id"], state, detail="the miner says no")
    assert await status_of(miner) == "active"
    listed = await client.get("/api/hosting/commands", params={"miner_id": miner["id"]})
    [command] = listed.json()["items"]
    assert command["detail"] == "the miner says no"


async def test_the_result_of_a_plan_or_of_an_older_order_is_not_ours(
    client: httpx.AsyncClient,
    new_miner: New,
    report: Callable[..., Awaitable[None]],
    status_of: Callable[[Made], Awaitable[str]],
) -> None:
    miner = await new_miner()
    first = (await client.post(f"{MINERS}/{miner['id']}/shutdown")).json()["command_id"]
    await report(first, "verified", plan_id=str(new_id()))
    assert await status_of(miner) == "stopping"
    second = await client.post(f"{MINERS}/{miner['id']}/start")
    assert second.status_code == 202
    await report(first, "verified")
    assert await status_of(miner) == "starting"
    third = (await client.post(f"{MINERS}/{miner['id']}/shutdown")).json()["command_id"]
    await report(first, "refused")
    assert await status_of(miner) == "stopping"
    await report(third, "refused")
    assert await status_of(miner) == "curtailed"
    await report(str(new_id()), "verified")  # of nobody here


async def test_what_the_status_forbids_is_refused(
    client: httpx.AsyncClient, new_miner: New, published: Published
) -> None:
    pending = await new_miner(approve=False)
    for action in ("start", "shutdown", "reboot"):
        assert (await client.post(f"{MINERS}/{pending['id']}/{action}")).status_code == 409
    active = await new_miner()
    refused = await client.post(f"{MINERS}/{active['id']}/start")
    assert refused.status_code == 409
    assert refused.json()["status_now"] == "active"
    disabled = await new_miner(enabled=False)
    assert (await client.post(f"{MINERS}/{disabled['id']}/shutdown")).status_code == 409
    assert (await client.post(f"{MINERS}/{active['id']}/explode")).status_code == 422
    assert await published("hosting.command.ordered.v1") == []


async def test_a_reboot_ends_with_an_active_machine(
    client: httpx.AsyncClient,
    new_miner: New,
    report: Callable[..., Awaitable[None]],
    status_of: Callable[[Made], Awaitable[str]],
) -> None:
    miner = await new_miner()
    answer = await client.post(f"{MINERS}/{miner['id']}/reboot")
    assert await status_of(miner) == "starting"
    await report(answer.json()["command_id"], "verified", action="reboot")
    assert await status_of(miner) == "active"


async def test_maintenance_forbids_commands_and_is_recorded(
    client: httpx.AsyncClient,
    new_miner: New,
    published: Published,
    status_of: Callable[[Made], Awaitable[str]],
) -> None:
    miner = await new_miner()
    path = f"{MINERS}/{miner['id']}"
    assert (await client.post(f"{path}/maintenance", json={"reason": " "})).status_code == 422
    assert (await client.post(f"{path}/maintenance/end")).status_code == 409
    begun = await client.post(f"{path}/maintenance", json={"reason": "fan 2 replaced"})
    assert begun.status_code == 201
    again = await client.post(f"{path}/maintenance", json={"reason": "again"})
    assert again.status_code == 409
    for action in ("start", "shutdown", "reboot"):
        assert (await client.post(f"{path}/{action}")).status_code == 409
    [opened] = await published("hosting.incident.opened.v1")
    assert opened["data"]["cause"] == "maintenance"
    assert opened["data"]["miner_ids"] == [miner["id"]]
    assert opened["data"]["ends_at"] is None
    ended = await client.post(f"{path}/maintenance/end")
    assert ended.json()["ended_at"] is not None
    assert await status_of(miner) == "active"
    [closed] = await published("hosting.incident.closed.v1")
    assert closed["key"] == opened["key"]
    assert closed["version"] == 2
    assert closed["data"]["ends_at"] is not None
    [stay] = (await client.get(f"{path}/maintenance")).json()["items"]
    assert stay["reason"] == "fan 2 replaced"


async def test_a_batch_answers_for_every_machine(
    client: httpx.AsyncClient,
    client_as: Callable[..., httpx.AsyncClient],
    new_site: New,
    new_miner: New,
    published: Published,
) -> None:
    site = await new_site()
    pending = [await new_miner(site_id=site["id"], approve=False) for _ in range(3)]
    active = await new_miner(site_id=site["id"])
    foreign, nobody = str(new_id()), str(new_id())
    named = [pending[0]["id"], foreign, active["id"], pending[1]["id"], pending[0]["id"]]
    answer = await client.post(BATCH, json={"action": "approve", "miner_ids": named})
    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [result["miner_id"] for result in results] == named[:4]
    codes = [result["error"]["code"] if result["error"] else None for result in results]
    assert codes == [None, "miner_not_found", "status_conflict", None]
    stranger = client_as(organisation_id=new_id())
    seen = await stranger.post(
        BATCH, json={"action": "shutdown", "miner_ids": [active["id"], nobody]}
    )
    assert [result["error"]["code"] for result in seen.json()["results"]] == ["miner_not_found"] * 2

    ids = [pending[0]["id"], pending[1]["id"], active["id"], pending[2]["id"]]
    stopped = await client.post(BATCH, json={"action": "shutdown", "miner_ids": ids})
    results = stopped.json()["results"]
    assert [result["command_id"] is not None for result in results] == [True, True, True, False]
    [event] = await published("hosting.command.ordered.v1")
    commands = {item["miner_id"]: item["command_id"] for item in event["data"]["commands"]}
    assert commands == {r["miner_id"]: r["command_id"] for r in results if r["command_id"]}
    deleted = await client.post(BATCH, json={"action": "delete", "miner_ids": ids})
    assert all(result["error"] is None for result in deleted.json()["results"])
    assert (await client.get(MINERS)).json()["total"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"action": "approve", "miner_ids": []},
        {"action": "approve"},
        {"action": "explode", "miner_ids": [str(new_id())]},
        {"action": "approve", "miner_ids": ["x"]},
        {"action": "approve", "miner_ids": "all"},
        {"action": "approve", "miner_ids": [str(new_id())] * 10_001},
        {"action": "approve", "miner_ids": [str(new_id())], "force": True},
    ],
    ids=["empty", "missing", "unknown", "no-id", "word", "too-many", "extra"],
)
async def test_a_batch_that_cannot_be_is_refused(client: httpx.AsyncClient, body: Made) -> None:
    assert (await client.post(BATCH, json=body)).status_code == 422


@pytest.mark.parametrize(
    ("action", "scope"),
    [
        ("approve", "miners:approve"),
        ("start", "miners:command"),
        ("shutdown", "miners:command"),
        ("reboot", "miners:command"),
        ("delete", "miners:write"),
    ],
)
async def test_each_batch_action_needs_its_own_permission(
    client_as: Callable[..., httpx.AsyncClient], action: str, scope: str
) -> None:
    every = {"miners:read", "miners:write", "miners:approve", "miners:command"}
    body = {"action": action, "miner_ids": [str(new_id())]}
    lacking = client_as(scopes=frozenset(every - {scope}))
    refused = await lacking.post(BATCH, json=body)
    assert refused.status_code == 403
    assert refused.json()["required_scopes"] == [scope]
    assert (await client_as(scopes=frozenset({scope})).post(BATCH, json=body)).status_code == 202
