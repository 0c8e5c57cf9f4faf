"""Organisations, members, API keys and the trail: who may make what, and who sees it."""

import asyncio
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from common.errors import Unauthenticated, Unavailable
from common.runtime import Runtime
from gateway.api_keys.form import new_key, parse
from gateway.front.credentials import Verifier
from gateway.front.guard import Head
from gateway.roles import SCOPES_OF


async def _post(
    world: Any, path: str, body: object, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    answer: httpx.Response = await world.client.post(path, json=body, headers=headers)
    return answer.status_code, answer.json()


async def test_an_operator_is_announced(world: Any, operator: Any, published: Any) -> None:
    events = await published("identity.organisation.changed.v1", operator.id)
    assert [event["data"]["kind"] for event in events] == ["operator", "client"]
    assert events[0]["key"] == str(operator.id)
    assert events[1]["data"]["parent_id"] == str(operator.id)
    assert events[1]["data"]["organisation_id"] == str(operator.id)
    people = await published("identity.user.changed.v1", operator.id)
    assert {event["data"]["role"] for event in people} == {"Owner", "Host", "Client"}
    assert all("password" not in str(event) for event in people)


async def test_only_an_admin_makes_operators(world: Any, operator: Any, admin: Any) -> None:
    order = {"name": "Own", "kind": "operator"}
    for role, status in (("Owner", 403), ("Host", 403), ("Client", 403)):
        assert (await _post(world, "/api/organisations", order, operator.headers[role]))[
            0
        ] == status
    assert (await _post(world, "/api/organisations", order, {}))[0] == 401
    orphan = {"name": "C", "kind": "client"}
    assert (await _post(world, "/api/organisations", orphan, admin))[0] == 422
    with_parent = order | {"parent_id": str(operator.id)}
    assert (await _post(world, "/api/organisations", with_parent, admin))[0] == 422
    grandchild = orphan | {"parent_id": str(operator.client_id)}
    assert (await _post(world, "/api/organisations", grandchild, admin))[0] == 422


async def test_an_owner_makes_clients_of_its_own(
    world: Any, operator: Any, new_operator: Any
) -> None:
    other = await new_operator()
    owner = operator.headers["Owner"]
    status, made = await _post(world, "/api/organisations", {"name": "C2", "kind": "client"}, owner)
    assert (status, made["parent_id"]) == (201, str(operator.id))
    foreign = {"name": "C", "kind": "client", "parent_id": str(other.id)}
    assert (await _post(world, "/api/organisations", foreign, owner))[0] == 404
    listed = (await world.client.get("/api/organisations", headers=owner)).json()
    assert {one["id"] for one in listed["items"]} == {
        str(operator.id), str(operator.client_id), made["id"],
    }  # fmt: skip
    for organisation in (other.id, other.client_id):
        path = f"/api/organisations/{organisation}"
        assert (await world.client.get(path, headers=owner)).status_code == 404
        assert (await world.client.get(f"{path}/users", headers=owner)).status_code == 404
        user = {"email": "x@example.com", "role": "Host"}
        assert (await _post(world, f"{path}/users", user, owner))[0] == 404


async def test_a_name_is_enough_for_an_organisation(world: Any, operator: Any, admin: Any) -> None:
    path = "/api/organisations"
    status, made = await _post(world, path, {"name": "South"}, admin)
    assert (status, made["kind"]) == (201, "operator")
    order = {"name": "Its client", "parent_id": made["id"]}
    status, child = await _post(world, path, order, admin)
    assert (status, child["kind"], child["parent_id"]) == (201, "client", made["id"])
    status, own = await _post(world, path, {"name": "C3"}, operator.headers["Owner"])
    assert (status, own["kind"], own["parent_id"]) == (201, "client", str(operator.id))
    status, _ = await _post(world, path, {"name": "C4"}, operator.headers["Host"])
    assert status == 403


async def test_an_admin_sees_all_organisations(world: Any, operator: Any, admin: Any) -> None:
    path = f"/api/organisations/{operator.id}"
    assert (await world.client.get(path, headers=admin)).json()["name"] == "North"
    page = await world.client.get("/api/organisations?page_size=1", headers=admin)
    assert page.json()["total"] >= 3
    too_large = await world.client.get("/api/organisations?page_size=201", headers=admin)
    assert too_large.status_code == 422


async def test_roles_fit_their_organisation(world: Any, operator: Any, admin: Any) -> None:
    owner = operator.headers["Owner"]
    place = f"/api/organisations/{operator.id}/users"
    client = f"/api/organisations/{operator.client_id}/users"
    cases = [
        (place, "Admin", owner, 403),
        (place, "Admin", admin, 422),
        (place, "Client", owner, 422),
        (place, "King", owner, 422),
        (client, "Host", owner, 422),
        (place, "Host", operator.headers["Host"], 403),
    ]
    for path, role, headers, status in cases:
        body = {"email": f"r-{role}@example.com".lower(), "role": role}
        assert (await _post(world, path, body, headers))[0] == status, (path, role)


async def test_passwords_and_addresses_of_new_members(world: Any, operator: Any) -> None:
    owner = operator.headers["Owner"]
    place = f"/api/organisations/{operator.id}/users"
    email = f"new-{operator.id}@example.com"
    for password in ("short", "x" * 129, "aaaaaaaaaaaaaa", f"{email}!", "password12345"):
        body = {"email": email, "role": "Host", "password": password}
        status, refused = await _post(world, place, body, owner)
        assert (status, refused["field"]) == (422, "password"), password
    assert refused["code"] == "weak_password"
    assert "words" in refused["detail"]
    body = {"email": email.upper(), "role": "Host", "password": "a long pass phrase"}
    status, made = await _post(world, place, body, owner)
    assert (status, made["email"], made["password"]) == (201, email, None)
    assert await world.token(email, "a long pass phrase")
    status, problem = await _post(world, place, {"email": email, "role": "Host"}, owner)
    assert (status, problem["code"]) == (409, "email_taken")


async def test_a_demoted_member_loses_rights_at_once(world: Any, operator: Any) -> None:
    owner, host = operator.headers["Owner"], operator.headers["Host"]
    assert (await world.client.get("/api/me", headers=host)).status_code == 200
    path = f"/api/organisations/{operator.id}/users/{operator.ids['Host']}"
    answer = await world.client.patch(path, json={"active": False}, headers=owner)
    assert answer.json()["active"] is False
    assert (await world.client.get("/api/me", headers=host)).status_code == 401
    login = {"email": operator.people["Host"][0], "password": operator.people["Host"][1]}
    assert (await _post(world, "/api/auth/token", login, {}))[0] == 401
    own = f"/api/organisations/{operator.id}/users/{operator.ids['Owner']}"
    answer = await world.client.patch(own, json={"active": False}, headers=owner)
    assert answer.status_code == 403
    wrong = f"/api/organisations/{operator.client_id}/users/{operator.ids['Host']}"
    assert (await world.client.patch(wrong, json={}, headers=owner)).status_code == 404


async def test_an_erased_member_is_forgotten(world: Any, operator: Any, published: Any) -> None:
    email, password = operator.people["Host"]
    path = f"/api/organisations/{operator.id}/users"
    member = f"{path}/{operator.ids['Host']}"
    owner = operator.headers["Owner"]
    assert (await world.client.delete(member, headers=operator.headers["Host"])).status_code == 403
    assert (await world.client.delete(member, headers=owner)).status_code == 204
    own = f"{path}/{operator.ids['Owner']}"
    assert (await world.client.delete(own, headers=owner)).status_code == 403
    assert (await world.client.get("/api/me", headers=operator.headers["Host"])).status_code == 401
    body = {"email": email, "password": password}
    assert (await _post(world, "/api/auth/token", body, {}))[0] == 401
    assert email not in (await world.client.get(path, headers=owner)).text
    [tombstone] = await published("identity.user.erased.v1", operator.id)
    assert (tombstone["key"], tombstone["data"]) == (operator.ids["Host"], None)
    # The address is free again.
    assert (await _post(world, path, {"email": email, "role": "Host"}, owner))[0] == 201


async def test_fields_that_are_not_ours_to_set_are_refused(world: Any, operator: Any) -> None:
    path = f"/api/organisations/{operator.id}/users/{operator.ids['Host']}"
    for extra in ({"organisation_id": "x"}, {"epoch": 1}, {"password_hash": "x"}, {"id": "x"}):
        answer = await world.client.patch(path, json=extra, headers=operator.headers["Owner"])
        assert answer.status_code == 422


async def test_an_admin_enters_a_tenant_visibly(world: Any, operator: Any, admin: Any) -> None:
    path = f"/api/organisations/{operator.id}/elevate"
    for role in ("Owner", "Host", "Client"):
        assert (await _post(world, path, {}, operator.headers[role]))[0] == 403
    status, token = await _post(world, path, {"reason": "ticket 7"}, admin)
    assert (status, token["expires_in"]) == (200, 900)
    inside = {"Authorization": f"Bearer {token['access_token']}"}
    me = (await world.client.get("/api/me", headers=inside)).json()
    assert (me["organisation_id"], me["elevated"]) == (str(operator.id), True)
    seen = (await world.client.get("/api/hosting/echo", headers=inside)).json()
    assert (seen["organisation_id"], seen["role"]) == (str(operator.id), "Admin")
    trail = await world.client.get("/api/audit", headers=operator.headers["Owner"])
    line = trail.json()["items"][0]
    assert (line["action"], line["detail"]) == ("organisation.elevate", {"reason": "ticket 7"})
    # The platform itself has no sites and machines: nobody makes some there by mistake.
    outside = (await world.client.get("/api/hosting/echo", headers=admin)).json()["scopes"]
    written = {scope for scope in outside if scope.endswith((":write", ":command", ":approve"))}
    assert written == {
        "organisations:write",
        "api-keys:write",
        "miner-models:write",
        "quotes:write",
        "market:write",
        "wind:write",
    }
    assert set(seen["scopes"]) == SCOPES_OF["Owner"]
    body = {"name": "k", "scopes": ["sites:write"]}
    assert (await _post(world, "/api/api-keys", body, admin))[0] == 403
    status, made = await _post(world, "/api/api-keys", body, inside)
    by_key = await world.client.get("/api/hosting/echo", headers=_bearer(made["key"]))
    assert by_key.json()["scopes"] == ["sites:write"]
    # Inside, an Admin is walled in like the Owner.
    listed = (await world.client.get("/api/organisations", headers=inside)).json()
    assert listed["total"] == 2
    client = f"/api/organisations/{operator.client_id}/elevate"
    assert (await _post(world, client, {}, admin))[0] == 422


async def _key(world: Any, operator: Any, **order: Any) -> dict[str, Any]:
    body = {"name": "k", "scopes": ["telemetry:api"]} | order
    status, made = await _post(world, "/api/api-keys", body, operator.headers["Owner"])
    assert status == 201, made
    return made


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


TELEMETRY = "/api/hosting/api/telemetry/01a1fde3-32f7-7dec-900c-7e2af13450b1"


async def test_a_telemetry_key_reads_one_machine(world: Any, operator: Any) -> None:
    made = await _key(world, operator)
    answer = await world.client.get(TELEMETRY, headers=_bearer(made["key"]))
    seen = answer.json()
    assert (seen["kind"], seen["scopes"]) == ("api_key", ["telemetry:api"])
    assert (seen["path"], seen["organisation_id"]) == (TELEMETRY, str(operator.id))
    # The path is for keys: a person with the permission has the API proper.
    person = await world.client.get(TELEMETRY, headers=operator.headers["Owner"])
    assert person.status_code == 403
    other = await _key(world, operator, scopes=["miners:read"])
    assert (await world.client.get(TELEMETRY, headers=_bearer(other["key"]))).status_code == 403
    assert (await world.client.get("/api/hosting/api/telemetry/x/y")).status_code == 401
    listed = (await world.client.get("/api/api-keys", headers=operator.headers["Owner"])).json()
    used = {key["id"]: key["last_used_at"] for key in listed["items"]}
    assert used[made["id"]] is not None
    assert "key" not in listed["items"][0]


async def test_a_key_has_no_more_rights_than_its_creator(world: Any, operator: Any) -> None:
    for scopes in (["everything"], ["telemetry:api", "root"], []):
        body = {"name": "k", "scopes": scopes}
        status, refused = await _post(world, "/api/api-keys", body, operator.headers["Owner"])
        assert (status, refused["field"]) == (422, "scopes")
    body = {"name": "k", "scopes": ["miners:read"]}
    for role in ("Host", "Client"):
        assert (await _post(world, "/api/api-keys", body, operator.headers[role]))[0] == 403
    # A key cannot make keys, whatever its scopes.
    made = await _key(world, operator, scopes=["api-keys:write", "miners:read"])
    assert (await _post(world, "/api/api-keys", body, _bearer(made["key"])))[0] == 403


async def test_a_key_shrinks_with_its_creator(world: Any, operator: Any, admin: Any) -> None:
    made = await _key(world, operator, scopes=["sites:write", "miners:read"])
    before = await world.client.get("/api/hosting/echo", headers=_bearer(made["key"]))
    assert before.json()["scopes"] == ["miners:read", "sites:write"]
    path = f"/api/organisations/{operator.id}/users/{operator.ids['Owner']}"
    assert (await world.client.patch(path, json={"role": "Host"}, headers=admin)).status_code == 200
    after = await world.client.get("/api/hosting/echo", headers=_bearer(made["key"]))
    assert after.json()["scopes"] == ["miners:read"]
    await world.client.patch(path, json={"active": False}, headers=admin)
    gone = await world.client.get("/api/hosting/echo", headers=_bearer(made["key"]))
    assert gone.status_code == 401


async def test_a_revoked_key_ends_at_once(world: Any, operator: Any, new_operator: Any) -> None:
    made = await _key(world, operator)
    assert (await world.client.get(TELEMETRY, headers=_bearer(made["key"]))).status_code == 200
    other = await new_operator()
    path = f"/api/api-keys/{made['id']}"
    assert (await world.client.delete(path, headers=other.headers["Owner"])).status_code == 404
    for _ in range(2):
        answer = await world.client.delete(path, headers=operator.headers["Owner"])
        assert answer.status_code == 204
    assert (await world.client.get(TELEMETRY, headers=_bearer(made["key"]))).status_code == 401


async def test_an_expired_key_is_refused(world: Any, operator: Any) -> None:
    made = await _key(world, operator, expires_in_days=1)
    async with world.runtime.worker_session() as session:
        await session.execute(
            text("UPDATE gateway.api_key SET expires_at = now() WHERE id = :id"),
            {"id": made["id"]},
        )
    assert (await world.client.get(TELEMETRY, headers=_bearer(made["key"]))).status_code == 401
    body = {"name": "k", "scopes": ["telemetry:api"], "expires_in_days": 366}
    assert (await _post(world, "/api/api-keys", body, operator.headers["Owner"]))[0] == 422


async def test_a_key_is_held_to_its_networks(world: Any, operator: Any) -> None:
    here = await _key(world, operator, cidrs=["127.0.0.0/8", "10.0.0.0/8"])
    there = await _key(world, operator, cidrs=["192.0.2.0/24"])
    assert (await world.client.get(TELEMETRY, headers=_bearer(here["key"]))).status_code == 200
    spoofed = _bearer(there["key"]) | {"X-Forwarded-For": "192.0.2.7"}
    assert (await world.client.get(TELEMETRY, headers=spoofed)).status_code == 403


async def test_keys_are_stored_as_digests(world: Any, operator: Any) -> None:
    made = await _key(world, operator)
    async with world.runtime.worker_session() as session:
        row = await session.execute(
            text("SELECT k::text FROM gateway.api_key k WHERE id = :id"), {"id": made["id"]}
        )
    assert made["key"].rpartition("_")[2] not in str(row.all())


async def test_altered_keys_are_refused(world: Any, operator: Any) -> None:
    key = (await _key(world, operator))["key"]
    for bad in (key[:-1], key + "x", key[:-1] + ("a" if key[-1] != "a" else "b"), new_key().text,
                "hy_live_", key.replace("hy_live", "hy_test")):  # fmt: skip
        assert (await world.client.get(TELEMETRY, headers=_bearer(bad))).status_code == 401


def test_a_key_detects_typing_errors() -> None:
    key = new_key().text
    assert parse(key) is not None
    for place in range(len("hy_live_"), len(key)):
        if key[place] != "_":
            other = "a" if key[place] != "a" else "b"
            assert parse(key[:place] + other + key[place + 1 :]) is None


async def test_the_trail_is_read_in_steps(world: Any, operator: Any, new_operator: Any) -> None:
    headers = operator.headers["Owner"]
    first = (await world.client.get("/api/audit?limit=2", headers=headers)).json()
    assert len(first["items"]) == 2
    path = f"/api/audit?limit=2&cursor={first['next_cursor']}"
    second = (await world.client.get(path, headers=headers)).json()
    assert first["items"][1]["id"] > second["items"][0]["id"]
    assert (await world.client.get(f"{path}x", headers=headers)).status_code == 400
    other = await new_operator()
    theirs = (await world.client.get("/api/audit", headers=other.headers["Owner"])).json()
    ours = {line["request_id"] for line in first["items"] + second["items"]}
    assert not ours & {line["request_id"] for line in theirs["items"]}
    client = await world.client.get("/api/audit", headers=operator.headers["Client"])
    assert client.status_code == 403


async def test_every_role_against_every_operation(world: Any, operator: Any, admin: Any) -> None:
    """The table of roles is the oracle: who lacks an operation's permission gets 403."""
    document = (await world.client.get("/api/openapi.json")).json()
    headers = operator.headers | {"Admin": admin}
    checked = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if not str(operation["operationId"]).startswith("gateway_"):
                continue
            needed = {
                scope
                for requirement in operation.get("security", [])
                for scopes in requirement.values()
                for scope in scopes
            }
            if not needed:
                continue
            address = path.replace("{", "").replace("}", "")
            for role, credentials in headers.items():
                answer = await world.client.request(method, address, headers=credentials)
                allowed = needed <= SCOPES_OF[role]
                assert (answer.status_code != 403) == allowed, (role, method, path, answer.text)
                checked += 1
            anonymous = await world.client.request(method, address)
            assert anonymous.status_code == 401
    assert checked >= 40


async def test_a_proxy_of_ours_names_the_client(
    world: Any, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right-most hop that is not ours is the client; others can only put names before it."""
    there = await _key(world, operator, cidrs=["192.0.2.0/24"])
    trusting = world.settings.model_copy(update={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
    monkeypatch.setattr(world.front, "_settings", trusting)
    cases = [
        ("192.0.2.7", 200),
        ("198.51.100.1, 192.0.2.7", 200),
        ("192.0.2.7, 198.51.100.1", 403),
        ("192.0.2.7, 127.0.0.2", 200),
        ("192.0.2.7, nonsense", 403),
        ("", 403),
    ]
    for hops, status in cases:
        headers = _bearer(there["key"]) | {"X-Forwarded-For": hops}
        answer = await world.client.get(TELEMETRY, headers=headers)
        assert answer.status_code == status, hops


async def test_other_gateways_hear_of_a_logout(world: Any, operator: Any) -> None:
    other = Verifier(world.security, world.runtime)
    listening = asyncio.create_task(other.keep_listening())
    world.security.listeners.remove(other.forget)  # as in another process: only Redis tells it
    bearer = operator.headers["Host"]["Authorization"].encode()
    scope = {"method": "GET", "raw_path": b"/api/me", "query_string": b""}
    head = Head(scope, {b"host": b"x", b"authorization": bearer})
    await asyncio.sleep(0.2)
    assert (await other.caller(head, "required", "127.0.0.1")).principal.role == "Host"
    assert other.at_hand(head) is not None
    await world.client.post("/api/auth/logout", headers=operator.headers["Host"])
    async with asyncio.timeout(2):
        while other.at_hand(head) is not None:
            await asyncio.sleep(0.02)
    with pytest.raises(Unauthenticated):
        await other.caller(head, "required", "127.0.0.1")
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_without_the_database_nobody_new_is_let_in_or_turned_away(
    world: Any, operator: Any
) -> None:
    nowhere = SecretStr("postgresql+asyncpg://gateway_worker@127.0.0.1:9/nowhere")
    settings = world.settings.model_copy(update={"worker_database_url": nowhere})
    runtime = Runtime("gateway", settings)
    verifier = Verifier(world.security, runtime)
    bearer = operator.headers["Host"]["Authorization"].encode()
    scope = {"method": "GET", "raw_path": b"/api/me", "query_string": b""}
    head = Head(scope, {b"host": b"x", b"authorization": bearer})
    with pytest.raises(Unavailable):
        await verifier.caller(head, "required", "127.0.0.1")
    assert verifier.at_hand(head) is None  # not remembered as refused
    world.security.listeners.remove(verifier.forget)
    await runtime.close()
