"""Sites through HTTP."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.ids import new_id

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
Published = Callable[..., Awaitable[list[Made]]]
SITES = "/api/hosting/sites"


async def test_a_site_is_registered_and_announced(
    client: httpx.AsyncClient, new_site: New, published: Published
) -> None:
    site = await new_site(name="North", power_limit_mw=12.5)
    [event] = await published("hosting.site.changed.v1")
    assert event["key"] == site["id"]
    assert event["version"] == 1
    data = event["data"]
    assert data["site_id"] == site["id"]
    assert data["timezone"] == "Europe/Stockholm"
    assert data["allowed_cidrs"] == ["10.20.0.0/16", "127.64.0.0/16"]
    assert data["power_limit_mw"] == 12.5
    assert data["credentials"] == {}
    assert data["removed"] is False
    assert (await client.get(f"{SITES}/{site['id']}")).json() == site


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timezone", "Mars/Olympus"),
        ("timezone", "../../etc/passwd"),
        ("capacity_mw", 0),
        ("capacity_mw", -1),
        ("capacity_mw", "NaN"),
        ("capacity_mw", "1e400"),
        ("power_limit_mw", -3),
        ("name", "   "),
        ("name", "two\nlines"),
        ("name", ""),
        ("allowed_cidrs", []),
        ("allowed_cidrs", ["10.0.0.5/24"]),
        ("allowed_cidrs", ["0.0.0.0/0"]),
        ("allowed_cidrs", ["169.254.0.0/16"]),
        ("allowed_cidrs", ["127.0.0.0/8"]),
        ("allowed_cidrs", ["127.0.0.1/32"]),
        ("allowed_cidrs", ["8.8.8.0/24"]),
        ("allowed_cidrs", ["224.0.0.0/4"]),
        ("allowed_cidrs", ["::/0"]),
        ("allowed_cidrs", ["fe80::/10"]),
        ("allowed_cidrs", ["::1/128"]),
        ("allowed_cidrs", ["::ffff:10.0.0.0/104"]),
        ("allowed_cidrs", ["10.0.0.0/8 "]),
        ("allowed_cidrs", ["miners.example.com"]),
        ("role", "Admin"),
    ],
)
async def test_a_site_that_cannot_be_is_refused_with_the_field(
    client: httpx.AsyncClient, field: str, value: object
) -> None:
    body = {
        "name": "North",
        "timezone": "Europe/Oslo",
        "capacity_mw": 5,
        "allowed_cidrs": ["10.0.0.0/16"],
    }
    answer = await client.post(SITES, json=body | {field: value})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    pointers = [error["pointer"] for error in answer.json().get("errors", [])]
    assert answer.json()["field"] == field or any(field in pointer for pointer in pointers)


async def test_two_sites_of_one_name_conflict(client: httpx.AsyncClient, new_site: New) -> None:
    first = await new_site(name="North")
    body = {
        "name": "north",
        "timezone": "UTC",
        "capacity_mw": 1,
        "allowed_cidrs": ["10.0.0.0/16"],
    }
    answer = await client.post(SITES, json=body)
    assert answer.status_code == 409
    assert answer.json()["existing_id"] == first["id"]
    other = await new_site(name="South")
    renamed = await client.patch(f"{SITES}/{other['id']}", json={"name": "NORTH"})
    assert renamed.status_code == 409


async def test_a_change_carries_the_whole_state_under_the_next_version(
    client: httpx.AsyncClient, new_site: New, published: Published
) -> None:
    site = await new_site()
    path = f"{SITES}/{site['id']}"
    changed = await client.patch(path, json={"capacity_mw": 30, "power_limit_mw": 25})
    assert changed.status_code == 200
    assert changed.json()["version"] == 2
    assert changed.json()["name"] == site["name"]
    event = (await published("hosting.site.changed.v1"))[-1]
    assert event["version"] == 2
    assert event["data"]["capacity_mw"] == 30
    assert (await client.patch(path, json={})).status_code == 422
    assert (await client.patch(path, json={"name": None})).status_code == 422
    assert (await client.patch(path, json={"version": 9})).status_code == 422
    cleared = await client.patch(path, json={"power_limit_mw": None})
    assert cleared.json()["power_limit_mw"] is None


async def test_ranges_may_not_leave_machines_outside(
    client: httpx.AsyncClient, new_site: New, new_miner: New
) -> None:
    site = await new_site()
    miner = await new_miner(site_id=site["id"], cgminer_ip="10.20.7.7")
    path = f"{SITES}/{site['id']}"
    answer = await client.patch(path, json={"allowed_cidrs": ["10.20.8.0/24"]})
    assert answer.status_code == 409
    assert miner["serial_number"] in answer.json()["detail"]
    answer = await client.patch(path, json={"allowed_cidrs": ["10.20.8.0/24", "10.20.7.0/24"]})
    assert answer.status_code == 200


async def test_only_an_empty_site_is_removed(
    client: httpx.AsyncClient, new_site: New, new_miner: New, published: Published
) -> None:
    site = await new_site()
    miner = await new_miner(site_id=site["id"])
    path = f"{SITES}/{site['id']}"
    assert (await client.delete(path)).status_code == 409
    assert (await client.delete(f"/api/hosting/miners/{miner['id']}")).status_code == 204
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404
    assert (await published("hosting.site.changed.v1"))[-1]["data"]["removed"] is True
    assert (await client.get(SITES)).json()["total"] == 0


async def test_a_credential_is_sealed_and_never_given_out(
    client: httpx.AsyncClient, new_site: New, published: Published
) -> None:
    site = await new_site()
    path = f"{SITES}/{site['id']}/credentials/whatsminer"
    stored = await client.put(path, json={"username": "admin", "password": "s3cret-word"})
    assert stored.status_code == 200
    assert "s3cret-word" not in stored.text
    shown = await client.get(f"{SITES}/{site['id']}")
    assert shown.json()["credentials"] == ["whatsminer"]
    assert "s3cret-word" not in shown.text
    event = (await published("hosting.site.changed.v1"))[-1]
    assert "s3cret-word" not in orjson.dumps(event["data"]).decode()
    sealed = base64.b64decode(event["data"]["credentials"]["whatsminer"])
    opened = AESGCM(b"k" * 32).decrypt(sealed[:12], sealed[12:], None)
    assert orjson.loads(opened) == {"username": "admin", "password": "s3cret-word"}
    trail = await client.get("/api/hosting/audit")
    assert "s3cret-word" not in trail.text
    assert (await client.put(f"{path}x", json={"password": "a"})).status_code == 422
    assert (await client.put(path, json={"password": ""})).status_code == 422
    assert (await client.delete(path)).status_code == 204
    assert (await client.delete(path)).status_code == 404
    assert (await published("hosting.site.changed.v1"))[-1]["data"]["credentials"] == {}


async def test_racks_have_places(client: httpx.AsyncClient, new_site: New, new_miner: New) -> None:
    site = await new_site()
    path = f"{SITES}/{site['id']}/racks"
    body = {"name": "R1", "rows": 2, "positions": 10}
    rack = (await client.post(path, json=body)).json()
    assert (await client.post(path, json=body)).status_code == 409
    assert (await client.get(path)).json()["items"] == [rack]
    miner = await new_miner(site_id=site["id"], rack_id=rack["id"], position=20)
    smaller = {"name": "R1", "rows": 1, "positions": 10}
    assert (await client.put(f"{path}/{rack['id']}", json=smaller)).status_code == 409
    assert (await client.delete(f"{path}/{rack['id']}")).status_code == 409
    moved = await client.patch(f"/api/hosting/miners/{miner['id']}", json={"rack_id": None})
    assert moved.json()["position"] is None
    assert (await client.put(f"{path}/{rack['id']}", json=smaller)).status_code == 200
    assert (await client.delete(f"{path}/{rack['id']}")).status_code == 204
    assert (await client.delete(f"{path}/{rack['id']}")).status_code == 404


async def test_another_tenants_site_does_not_exist(
    client_as: Callable[..., httpx.AsyncClient], new_site: New
) -> None:
    site = await new_site()
    stranger = client_as(organisation_id=new_id())
    path, other = f"{SITES}/{site['id']}", f"{SITES}/{new_id()}"
    body = {"name": "R1", "rows": 1, "positions": 1}
    for method, suffix, content in (
        ("GET", "", None),
        ("PATCH", "", {"capacity_mw": 1}),
        ("DELETE", "", None),
        ("POST", "/racks", body),
        ("GET", "/racks", None),
        ("PUT", "/credentials/luxos", {"password": "x"}),
        ("DELETE", "/credentials/luxos", None),
    ):
        answers = [
            await stranger.request(method, place + suffix, json=content) for place in (path, other)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].json()["code"] == answers[1].json()["code"]
    assert (await stranger.get(SITES)).json()["total"] == 0


async def test_permissions(client_as: Callable[..., httpx.AsyncClient], new_site: New) -> None:
    site = await new_site()
    reader = client_as(role="Client", scopes=frozenset({"sites:read"}))
    assert (await reader.get(SITES)).status_code == 200
    refused = await reader.delete(f"{SITES}/{site['id']}")
    assert refused.status_code == 403
    assert refused.json()["required_scopes"] == ["sites:write"]
    assert (await client_as(scopes=frozenset[str]()).get(SITES)).status_code == 403
