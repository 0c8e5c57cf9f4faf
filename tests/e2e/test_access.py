"""Who sees and may do what, and how the system says no: through the gateway, as anybody would."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.running import NOBODY, Json, System, eventually

pytestmark = pytest.mark.e2e
_TRIGGER = "/api/hosting/curtailment/trigger"


@pytest.fixture(scope="module")
def clients_machines(system: System) -> list[Json]:
    """Give three more machines to the demo's client; return all that it owns."""
    with system.client(system.token("client")) as client:
        client_id = client.get("/api/me").json()["client_id"]
    for miner in system.miners(site_id=system.site_id)[-3:]:
        change = {"client_id": client_id}
        system.api().call("PATCH", f"/api/hosting/miners/{miner['id']}", json=change)
    return [one for one in system.miners() if one["client_id"] == client_id]


def test_a_client_sees_its_own_machines_and_nothing_else(
    system: System, clients_machines: list[Json]
) -> None:
    own = {one["id"] for one in clients_machines}
    [foreign] = [one for one in system.miners() if one["id"] not in own][:1]
    with system.client(system.token("client")) as client:
        listed = client.get("/api/hosting/miners", params={"page_size": 200}).json()
        assert {one["id"] for one in listed["items"]} == own
        assert client.get("/api/hosting/kpi").json()["total"] == len(own)

        def is_read() -> bool:
            columns = client.get("/api/telemetry/fleet").json()["columns"]
            return set(columns["miner_id"]) == own

        eventually(is_read, "the client reads its own machines")
        for miner_id in own:
            assert client.get(f"/api/telemetry/miners/{miner_id}").status_code == 200
        for path in ("hosting/miners", "telemetry/miners"):
            assert client.get(f"/api/{path}/{foreign['id']}").status_code == 404
        for answer in (
            client.post(_TRIGGER, json=system.wish(0.01)),
            client.get("/api/hosting/sites"),
            client.get("/api/hosting/audit"),
            client.post(f"/api/hosting/miners/{next(iter(own))}/reboot"),
        ):
            _is_problem(answer, 403, "forbidden")


def test_an_api_key_reads_one_machine_under_the_documents_names(system: System) -> None:
    [miner] = system.miners(site_id=system.site_id)[:1]
    path = f"/api/hosting/api/telemetry/{miner['id']}"
    with system.client(system.stack.demo["api_keys"]["telemetry"]) as client:
        answer = client.get(path)
        assert answer.status_code == 200
        reading = answer.json()
        assert reading["hashrate"] == reading["hashrate_5s_ths"]
        assert reading["power_consumption"] == reading["power_w"]
        assert reading["recorded_at"] == reading["sampled_at"]
        assert reading["fan_speed"] in reading["fans_rpm"]
        assert "temperature" in reading
        _is_problem(client.get("/api/hosting/kpi"), 403, "forbidden")
    with system.client(system.token("owner")) as client:
        _is_problem(client.get(path), 403, "forbidden")
        key = client.post("/api/api-keys", json={"name": "Gone", "scopes": ["telemetry:api"]})
        assert client.delete(f"/api/api-keys/{key.json()['id']}").status_code == 204
    with system.client(key.json()["key"]) as client:
        _is_problem(client.get(path), 401, "unauthenticated")


def test_a_session_is_renewed_and_ended(system: System) -> None:
    login = system.stack.demo["users"]["host"]
    with system.client() as client:
        pair = client.post("/api/auth/token", json=login).json()
        assert pair["token_type"] == "Bearer"
        assert pair["expires_in"] > 0
        renewal = {"refresh_token": pair["refresh_token"]}
        fresh = client.post("/api/auth/refresh", json=renewal).json()
        bearer = {"Authorization": f"Bearer {fresh['access_token']}"}
        assert client.get("/api/me", headers=bearer).json()["role"] == "Host"
        assert client.post("/api/auth/logout", headers=bearer).status_code == 204
        _is_problem(client.get("/api/me", headers=bearer), 401, "unauthenticated")


@dataclass(frozen=True)
class Bad:
    """A request that cannot be carried out, and what it is answered."""

    method: str
    path: str
    status: int
    code: str
    json: Any = None
    raw: bytes | None = None
    media: str = "application/json"
    change: Json | None = None
    """What is wrong with an otherwise good order of a reduction."""


def _order(status: int, code: str, **change: Any) -> Bad:
    return Bad("POST", _TRIGGER, status, code, change=change)


BAD = {
    "beyond the site": _order(422, "target_out_of_reach", target_power_reduction_mw=100),
    "zero": _order(422, "target_out_of_reach", target_power_reduction_mw=0),
    "negative": _order(422, "target_out_of_reach", target_power_reduction_mw=-1),
    "absurd": _order(422, "target_out_of_reach", target_power_reduction_mw=1e12),
    "no number": _order(422, "invalid", target_power_reduction_mw="much"),
    "not a number": _order(422, "invalid", target_power_reduction_mw="NaN"),
    "unknown strategy": _order(422, "invalid", strategy="random"),
    "no time": _order(422, "invalid", duration_minutes=0),
    "unknown field": _order(422, "invalid", surprise=1),
    "foreign site": _order(404, "no_such_site", site_id=NOBODY),
    "half JSON": Bad("POST", _TRIGGER, 400, "bad_request", raw=b'{"site_id": '),
    "another type": Bad(
        "POST", _TRIGGER, 415, "unsupported_media", raw=b"{}", media="text/plain"
    ),
    "no plan": Bad("GET", f"/api/hosting/curtailment/{NOBODY}", 404, "no_such_plan"),
    "no id": Bad("GET", "/api/hosting/curtailment/nope", 422, "invalid"),
    "no machine": Bad("GET", f"/api/hosting/miners/{NOBODY}", 404, "miner_not_found"),
    "large page": Bad("GET", "/api/hosting/miners?page_size=201", 422, "invalid"),
    "page zero": Bad("GET", "/api/hosting/miners?page=0", 422, "invalid"),
    "huge page": Bad("GET", "/api/hosting/miners?page=99999999999999999999", 422, "invalid"),
    "no action": Bad("POST", f"/api/hosting/miners/{NOBODY}/explode", 422, "invalid"),
    "empty batch": Bad(
        "POST", "/api/hosting/host/devices/batch", 422, "invalid",
        json={"action": "start", "miner_ids": []},
    ),
    "no path": Bad("GET", "/api/nothing", 404, "not_found"),
    "no method": Bad("DELETE", "/api/hosting/kpi", 405, "method_not_allowed"),
    "no command": Bad("GET", f"/api/telemetry/commands/{NOBODY}", 404, "command_unknown"),
}  # fmt: skip


@pytest.fixture(scope="module")
def owner(system: System) -> Generator[httpx.Client]:
    with system.client(system.token("owner")) as client:
        yield client


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_clear_problem(system: System, owner: httpx.Client, name: str) -> None:
    bad = BAD[name]
    options: dict[str, Any] = {}
    if bad.raw is not None:
        options = {"content": bad.raw, "headers": {"Content-Type": bad.media}}
    elif bad.change is not None:
        options = {"json": system.wish(0.01) | bad.change}
    elif bad.json is not None:
        options = {"json": bad.json}
    _is_problem(owner.request(bad.method, bad.path, **options), bad.status, bad.code)


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("127.0.0.1", 4028),
        ("10.1.1.1", 4028),
        ("127.64.0.1", 80),
        ("169.254.169.254", 4028),
        ("::1", 4028),
        ("localhost", 4028),
        ("127.64.0.1; reboot", 4028),
    ],
)
def test_a_forbidden_address_is_refused(
    system: System, owner: httpx.Client, address: str, port: int
) -> None:
    [model] = {one["model"] for one in system.miners()[:1]}
    body = {
        "serial_number": "NOT-HERE",
        "model": model,
        "site_id": system.site_id,
        "cgminer_ip": address,
        "cgminer_port": port,
    }
    answer = owner.post("/api/hosting/miners", json=body)
    assert answer.status_code == 422, answer.text
    _is_problem(answer, 422, answer.json()["code"])


def test_who_is_not_known_is_told_so(system: System) -> None:
    with system.client() as client:
        _is_problem(client.get("/api/hosting/kpi"), 401, "unauthenticated")
        login = {"email": "nobody@hashyard.example", "password": "not this one either"}
        _is_problem(client.post("/api/auth/token", json=login), 401, "unauthenticated")
        assert client.get("/api/calculator/miner-models").status_code == 200
    with system.client("not.a.token") as client:
        _is_problem(client.get("/api/hosting/kpi"), 401, "unauthenticated")


def _is_problem(answer: httpx.Response, status: int, code: str) -> None:
    """RFC 9457, with the code of the catalogue and the request's id as its instance."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert problem["type"] == f"/problems/{code.replace('_', '-')}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.headers["X-Request-Id"]
