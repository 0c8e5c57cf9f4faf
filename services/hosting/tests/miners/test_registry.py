"""Registering, finding, changing and removing machines through HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.ids import new_id

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
Published = Callable[..., Awaitable[list[Made]]]
ClientAs = Callable[..., httpx.AsyncClient]
MINERS = "/api/hosting/miners"


async def test_a_machine_is_registered_approved_and_announced(
    client: httpx.AsyncClient, new_site: New, published: Published
) -> None:
    site = await new_site()
    body = {
        "serial_number": "ABC 123",
        "model": "Rig",
        "site_id": site["id"],
        "cgminer_ip": "10.20.3.4",
        "hashrate_ths": 200,
        "power_w": 3500,
    }
    answer = await client.post(MINERS, json=body)
    assert answer.status_code == 201
    miner = answer.json()
    assert miner["status"] == "pending_approval"
    assert miner["cgminer_port"] == 4028
    [event] = await published("hosting.miner.registered.v1")
    assert event["key"] == miner["id"]
    assert event["version"] == 1
    assert event["data"] == event["data"] | {
        "miner_id": miner["id"],
        "client_id": None,
        "site_id": site["id"],
        "serial_number": "ABC 123",
        "model": "Rig",
        "firmware": None,
        "ip": "10.20.3.4",
        "port": 4028,
        "status": "pending_approval",
        "polled": False,
        "nameplate_hashrate_ths": 200,
        "nameplate_power_w": 3500,
        "removed": False,
    }
    approved = await client.post(f"{MINERS}/{miner['id']}/approve")
    assert approved.json()["status"] == "active"
    [event] = await published("hosting.miner.changed.v1")
    assert event["version"] == 2
    assert event["data"]["polled"] is True
    assert (await client.post(f"{MINERS}/{miner['id']}/approve")).status_code == 409


async def test_a_known_model_brings_its_rating_under_any_of_its_names(
    client: httpx.AsyncClient, new_site: New, know_model: Callable[..., Awaitable[None]]
) -> None:
    await know_model("S21 200", "Antminer S21", hashrate_ths=200, power_w=3500)
    site = await new_site()
    body: Made = {"site_id": site["id"], "model": "ANTMINER  s21"}
    first = await client.post(MINERS, json=body | {"serial_number": "A", "cgminer_ip": "10.20.0.1"})
    assert first.status_code == 201
    assert first.json()["model"] == "S21 200"
    assert first.json()["nameplate_power_w"] == 3500
    own = {"serial_number": "B", "cgminer_ip": "10.20.0.2", "power_w": 3600, "model": "s21 200"}
    second = await client.post(MINERS, json=body | own)
    assert second.json()["nameplate_power_w"] == 3600
    assert second.json()["nameplate_hashrate_ths"] == 200
    unknown = {"serial_number": "C", "cgminer_ip": "10.20.0.3", "model": "S99", "power_w": 1}
    refused = await client.post(MINERS, json=body | unknown)
    assert refused.status_code == 422
    assert refused.json()["code"] == "unknown_model"
    assert refused.json()["field"] == "model"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cgminer_port", 0),
        ("cgminer_port", 65536),
        ("cgminer_port", -1),
        ("cgminer_port", 22),
        ("cgminer_port", "4028"),
        ("cgminer_port", 4028.5),
        ("cgminer_ip", "169.254.169.254"),
        ("cgminer_ip", "127.0.0.1"),
        ("cgminer_ip", "127.127.0.1"),
        ("cgminer_ip", "10.21.0.1"),
        ("cgminer_ip", "8.8.8.8"),
        ("cgminer_ip", "0.0.0.0"),
        ("cgminer_ip", "255.255.255.255"),
        ("cgminer_ip", "224.0.0.1"),
        ("cgminer_ip", "::1"),
        ("cgminer_ip", "fe80::1%eth0"),
        ("cgminer_ip", "::ffff:10.20.0.1"),
        ("cgminer_ip", "::ffff:127.0.0.1"),
        ("cgminer_ip", "0x0a.0x14.0.1"),
        ("cgminer_ip", "169083905"),
        ("cgminer_ip", "10.20.1"),
        ("cgminer_ip", "010.20.0.1"),
        ("cgminer_ip", " 10.20.0.1"),
        ("cgminer_ip", "10.20.0.1:22"),
        ("cgminer_ip", "user@10.20.0.1"),
        ("cgminer_ip", "http://10.20.0.1/"),
        ("cgminer_ip", "localhost"),
        ("cgminer_ip", "\uff11\uff10.20.0.1"),
        ("cgminer_ip", 169083906),
        ("serial_number", ""),
        ("serial_number", "  "),
        ("serial_number", "x" * 65),
        ("serial_number", "two\nlines"),
        ("model", ""),
        ("hashrate_ths", 0),
        ("hashrate_ths", -1),
        ("hashrate_ths", "Infinity"),
        ("power_w", 1e9),
        ("firmware", "cgminer"),
        ("site_id", "not-an-id"),
        ("site_id", str(UUID(int=7))),
        ("client_id", str(UUID(int=7))),
        ("rack_id", str(UUID(int=7))),
        ("status", "active"),
        ("organisation_id", str(UUID(int=7))),
        ("approve", "perhaps"),
    ],
)
async def test_a_machine_that_cannot_be_is_refused_with_the_field(
    client: httpx.AsyncClient, new_site: New, published: Published, field: str, value: object
) -> None:
    site = await new_site()
    body = {
        "serial_number": "A",
        "model": "Rig",
        "site_id": site["id"],
        "cgminer_ip": "10.20.0.1",
        "hashrate_ths": 200,
        "power_w": 3500,
    }
    answer = await client.post(MINERS, json=body | {field: value})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["field"] in {field, "body"} or field in str(problem["errors"])
    assert await published("hosting.miner.registered.v1") == []


async def test_serial_numbers_are_unique_without_case_and_space(
    client: httpx.AsyncClient, new_miner: New, new_site: New, client_as: ClientAs
) -> None:
    first = await new_miner(serial_number="HTX-00 1a")
    other = await new_site()
    body = {
        "serial_number": " htx-001A",
        "model": "Rig",
        "site_id": other["id"],
        "cgminer_ip": "10.20.9.9",
        "hashrate_ths": 1,
        "power_w": 1,
    }
    answer = await client.post(MINERS, json=body)
    assert answer.status_code == 409
    assert answer.json()["code"] == "serial_taken"
    assert answer.json()["existing_id"] == first["id"]
    second = await new_miner()
    renamed = await client.patch(f"{MINERS}/{second['id']}", json={"serial_number": "HTX-001A"})
    assert renamed.status_code == 409
    assert (await client.delete(f"{MINERS}/{first['id']}")).status_code == 204
    assert (await client.post(MINERS, json=body)).status_code == 201
    stranger = client_as(organisation_id=new_id())
    site = await stranger.post(
        "/api/hosting/sites",
        json={
            "name": "S",
            "timezone": "UTC",
            "capacity_mw": 1,
            "allowed_cidrs": ["10.20.0.0/16"],
        },
    )
    elsewhere = body | {"site_id": site.json()["id"]}
    assert (await stranger.post(MINERS, json=elsewhere)).status_code == 201


async def test_one_address_is_one_machine(
    client: httpx.AsyncClient, new_site: New, new_miner: New
) -> None:
    site = await new_site()
    await new_miner(site_id=site["id"], cgminer_ip="10.20.5.5")
    body = {
        "serial_number": "B",
        "model": "Rig",
        "site_id": site["id"],
        "cgminer_ip": "10.20.5.5",
        "hashrate_ths": 1,
        "power_w": 1,
    }
    answer = await client.post(MINERS, json=body)
    assert answer.status_code == 409
    assert answer.json()["field"] == "cgminer_ip"
    assert (await client.post(MINERS, json=body | {"cgminer_port": 4029})).status_code == 201


async def test_only_the_operators_own_clients_own_machines(
    client: httpx.AsyncClient,
    new_miner: New,
    know_client: Callable[[], Awaitable[UUID]],
    organisation: UUID,
) -> None:
    customer = await know_client()
    miner = await new_miner(client_id=str(customer))
    assert miner["client_id"] == str(customer)
    path = f"{MINERS}/{miner['id']}"
    for nobody in (new_id(), organisation):
        refused = await client.patch(path, json={"client_id": str(nobody)})
        assert refused.status_code == 422
        assert refused.json()["code"] == "unknown_client"
    freed = await client.patch(path, json={"client_id": None})
    assert freed.json()["client_id"] is None


async def test_clients_see_their_own_machines_only(
    new_miner: New, client_as: ClientAs, know_client: Callable[[], Awaitable[UUID]]
) -> None:
    mine, theirs = await know_client(), await know_client()
    own = await new_miner(client_id=str(mine))
    foreign = await new_miner(client_id=str(theirs))
    nobodys = await new_miner()
    customer = client_as(
        role="Client", client_id=mine, scopes=frozenset({"miners:read", "telemetry:read"})
    )
    listed = (await customer.get(MINERS)).json()
    assert [item["id"] for item in listed["items"]] == [own["id"]]
    assert listed["total"] == 1
    assert (await customer.get(f"{MINERS}?cursor=")).json()["items"][0]["id"] == own["id"]
    for hidden in (foreign, nobodys):
        assert (await customer.get(f"{MINERS}/{hidden['id']}")).status_code == 404
        assert (await customer.get(f"{MINERS}/{hidden['id']}/detail")).status_code == 404
    assert (await customer.get(f"{MINERS}/{own['id']}/detail")).status_code == 200
    tiles = (await customer.get("/api/hosting/kpi")).json()
    assert tiles["total"] == 1
    assert [site["site_id"] for site in tiles["by_site"]] == [own["site_id"]]
    assert (await customer.post(f"{MINERS}/{own['id']}/shutdown")).status_code == 403
    assert (await customer.delete(f"{MINERS}/{own['id']}")).status_code == 403


async def test_a_change_is_checked_like_a_registration(
    client: httpx.AsyncClient, new_miner: New, new_site: New, published: Published
) -> None:
    miner = await new_miner()
    path = f"{MINERS}/{miner['id']}"
    for body in (
        {"cgminer_ip": "127.0.0.1"},
        {"cgminer_port": 0},
        {"status": "retired"},
        {"id": str(new_id())},
        {"serial_number": None},
        {"model": "S99"},
        {"site_id": str(new_id())},
        {"position": 3},
        {},
    ):
        answer = await client.patch(path, json=body)
        assert answer.status_code == 422, body
    changed = await client.patch(path, json={"cgminer_ip": "10.20.200.1", "enabled": False})
    assert changed.status_code == 200
    assert changed.json()["version"] == 2
    event = (await published("hosting.miner.changed.v1"))[-1]["data"]
    assert event["ip"] == "10.20.200.1"
    assert event["polled"] is False
    rated = await client.patch(path, json={"power_w": 3300})
    assert rated.json()["nameplate_power_w"] == 3300
    assert rated.json()["nameplate_hashrate_ths"] == 200
    other = await new_site(allowed_cidrs=["10.30.0.0/16"])
    assert (await client.patch(path, json={"site_id": other["id"]})).status_code == 422
    moved = {"site_id": other["id"], "cgminer_ip": "10.30.0.1"}
    assert (await client.patch(path, json=moved)).json()["site_id"] == other["id"]


async def test_a_removed_machine_is_gone_and_said_to_be(
    client: httpx.AsyncClient, new_miner: New, published: Published
) -> None:
    miner = await new_miner()
    path = f"{MINERS}/{miner['id']}"
    assert (await client.delete(path)).status_code == 204
    for answer in (
        await client.get(path),
        await client.delete(path),
        await client.patch(path, json={"enabled": True}),
        await client.post(f"{path}/start"),
    ):
        assert answer.status_code == 404
    event = (await published("hosting.miner.changed.v1"))[-1]
    assert event["version"] == 2
    assert event["data"]["removed"] is True
    assert event["data"]["polled"] is False
    assert event["data"]["status"] == "retired"
    assert (await client.get(MINERS)).json()["total"] == 0
    retired = (await client.get(f"{MINERS}?status=retired")).json()
    assert [item["id"] for item in retired["items"]] == [miner["id"]]


async def test_search_takes_percent_and_underscore_literally(
    client: httpx.AsyncClient, new_site: New, new_miner: New
) -> None:
    site = await new_site()
    for serial in ("AB_1", "ABX1", "100%A", "1000A"):
        await new_miner(site_id=site["id"], serial_number=serial)

    async def found(search: str) -> list[str]:
        answer = await client.get(MINERS, params={"search": search})
        assert answer.status_code == 200
        return [item["serial_number"] for item in answer.json()["items"]]

    assert await found("b_1") == ["AB_1"]
    assert await found("0%") == ["100%A"]
    assert await found("%") == ["100%A"]
    assert await found("a b") == ["AB_1", "ABX1"]
    assert await found("\\") == []
    assert await found("'; --") == []
    assert len(await found("")) == 4


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=1e3",
        "page=0x10",
        "page_size=0",
        "page_size=201",
        "page_size=1000000",
        "status=asleep",
        "site_id=7",
        "search=" + "x" * 65,
    ],
)
async def test_a_list_query_that_cannot_be_is_refused(
    client: httpx.AsyncClient, query: str
) -> None:
    answer = await client.get(f"{MINERS}?{query}")
    assert answer.status_code == 422
    if "page_size=1000000" in query:
        assert "200" in answer.json()["detail"]


async def test_a_cursor_walks_the_whole_list_and_cannot_be_forged(
    client: httpx.AsyncClient, new_site: New, new_miner: New
) -> None:
    site = await new_site()
    made = {(await new_miner(site_id=site["id"]))["id"] for _ in range(5)}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"cursor": cursor, "page_size": "2"}
        page = (await client.get(MINERS, params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == 5
    assert set(seen) == made
    for forged in ("x", "AAAA", "QUJDREVGR0hJSktMWyIxIl0"):
        answer = await client.get(MINERS, params={"cursor": forged})
        assert answer.status_code == 400


async def test_another_tenants_machine_does_not_exist(new_miner: New, client_as: ClientAs) -> None:
    miner = await new_miner()
    stranger = client_as(organisation_id=new_id())
    for method, suffix, content in (
        ("GET", "", None),
        ("GET", "/detail", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/approve", None),
        ("POST", "/start", None),
        ("POST", "/shutdown", None),
        ("POST", "/reboot", None),
        ("POST", "/maintenance", {"reason": "mine now"}),
        ("GET", "/maintenance", None),
        ("POST", "/maintenance/end", None),
    ):
        answers = [
            await stranger.request(method, f"{MINERS}/{miner_id}{suffix}", json=content)
            for miner_id in (miner["id"], new_id())
        ]
        assert [answer.status_code for answer in answers] == [404, 404], (method, suffix)
        bodies = [answer.json() | {"detail": "", "instance": ""} for answer in answers]
        assert bodies[0] == bodies[1]
    site = {"site_id": miner["site_id"]}
    assert (await stranger.get(MINERS, params=site)).json()["total"] == 0
    body = {"serial_number": "A", "model": "R", "cgminer_ip": "10.20.0.9"} | site
    refused = await stranger.post(MINERS, json=body | {"hashrate_ths": 1, "power_w": 1})
    assert refused.status_code == 422
    assert refused.json()["code"] == "unknown_site"


async def test_permissions(client_as: ClientAs, new_miner: New) -> None:
    miner = await new_miner()
    writer = client_as(role="Host", scopes=frozenset({"miners:write", "miners:read"}))
    body = {
        "serial_number": "A",
        "model": "R",
        "cgminer_ip": "10.20.0.77",
        "site_id": miner["site_id"],
        "hashrate_ths": 1,
        "power_w": 1,
    }
    refused = await writer.post(MINERS, json=body | {"approve": True})
    assert refused.status_code == 403
    assert refused.json()["required_scopes"] == ["miners:approve"]
    assert (await writer.post(MINERS, json=body)).status_code == 201
    assert (await writer.post(f"{MINERS}/{miner['id']}/approve")).status_code == 403
    assert (await writer.post(f"{MINERS}/{miner['id']}/start")).status_code == 403
    assert (await client_as(scopes=frozenset[str]()).get(MINERS)).status_code == 403
    anonymous = client_as(kind="anonymous", scopes=frozenset[str]())
    assert (await anonymous.get(MINERS)).status_code == 401


async def test_detail_comes_without_telemetry(client: httpx.AsyncClient, new_miner: New) -> None:
    miner = await new_miner()
    for path in (
        f"{MINERS}/{miner['id']}/detail",
        f"/hosting/miner/{miner['id']}/detail",
        f"/api/hosting/miner/{miner['id']}/detail",
    ):
        page = (await client.get(path)).json()
        assert page["serial_number"] == miner["serial_number"]
        assert page["site_timezone"] == "Europe/Stockholm"
        assert page["telemetry"] is None
        assert "telemetry" in page["telemetry_reason"]
        assert page["commands"] == []


async def test_tiles_count_by_status_and_site(
    client: httpx.AsyncClient, new_site: New, new_miner: New
) -> None:
    north, south = await new_site(name="North"), await new_site(name="South")
    await new_miner(site_id=north["id"])
    await new_miner(site_id=north["id"], approve=False)
    broken = await new_miner(site_id=north["id"])
    await client.post(f"{MINERS}/{broken['id']}/maintenance", json={"reason": "fan"})
    tiles = (await client.get("/api/hosting/kpi")).json()
    counts = {"total": 3, "active": 1, "pending": 1, "maintenance": 1, "offline": 0, "curtailed": 0}
    assert tiles == tiles | counts
    assert [site["site_name"] for site in tiles["by_site"]] == ["North", "South"]
    assert tiles["by_site"][0] == tiles["by_site"][0] | counts
    assert tiles["by_site"][1]["total"] == 0
    assert south["total_miners"] == 0
    assert (await client.get(f"/api/hosting/sites/{north['id']}")).json()["total_miners"] == 3


async def test_the_trail_tells_who_did_what(client: httpx.AsyncClient, new_miner: New) -> None:
    miner = await new_miner()
    await client.delete(f"{MINERS}/{miner['id']}")
    trail = (await client.get("/api/hosting/audit")).json()
    actions = [line["action"] for line in trail["items"]]
    assert actions == ["miner.remove", "miner.register", "site.register"]
    newest, older = trail["items"][:2]
    assert newest["object_id"] == miner["id"]
    assert newest["previous_hash"] == older["hash"]
    only = await client.get("/api/hosting/audit", params={"action": "miner.remove"})
    assert only.json()["total"] == 1
    assert (await client.get("/api/hosting/audit/check")).json()["whole"] is True
