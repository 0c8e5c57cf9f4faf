"""Who may read what, and how little is sent when nothing changed."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.ids import new_id
from common.runtime import Runtime
from simulation.fleet import Fleet

FleetOf = Callable[..., Awaitable[Fleet]]
Register = Callable[..., Awaitable[tuple[UUID, list[UUID]]]]
Eventually = Callable[..., Awaitable[Any]]
ClientFor = Callable[..., httpx.AsyncClient]


async def test_a_machine_that_was_never_polled_has_no_values(
    fleet_of: FleetOf, register: Register, client: httpx.AsyncClient
) -> None:
    _, [miner] = await register(await fleet_of(1))
    answer = await client.get(f"/api/telemetry/miners/{miner}")
    assert answer.status_code == 200
    found = answer.json()
    assert found["outcome"] is None
    assert found["hashrate_5s_ths"] is None
    assert found["fans_rpm"] == []
    assert found["simulated"] is True


async def test_others_do_not_see_a_machine(
    fleet_of: FleetOf, register: Register, client_as: ClientFor, client: httpx.AsyncClient
) -> None:
    owner = new_id()
    site_id, [mine] = await register(await fleet_of(1), client_id=owner)
    path = f"/api/telemetry/miners/{mine}"
    assert (await client.get(path)).status_code == 200
    assert (await client_as(client_id=owner, role="Client").get(path)).status_code == 200
    for stranger in (
        client_as(client_id=new_id(), role="Client"),
        client_as(organisation_id=new_id()),
    ):
        answer = await stranger.get(path)
        assert answer.status_code == 404
        assert answer.json()["code"] == "machine_unknown"
        fleet = await stranger.get("/api/telemetry/fleet", params={"site_id": str(site_id)})
        assert fleet.json()["columns"]["miner_id"] == []
        assert (await stranger.get(f"/api/telemetry/commands/{new_id()}")).status_code == 404


async def test_scopes(client_as: ClientFor) -> None:
    nobody = client_as(scopes=frozenset())
    reader = client_as(scopes=frozenset({"telemetry:read"}))
    key = client_as(scopes=frozenset({"telemetry:api"}), kind="api_key")
    by_key = f"/api/hosting/api/telemetry/{new_id()}"
    for path in ("fleet", "alerts", f"miners/{new_id()}", f"commands/{new_id()}", "stream"):
        assert (await nobody.get(f"/api/telemetry/{path}")).status_code == 403
    assert (await reader.get(by_key)).status_code == 403
    assert (await key.get(by_key)).status_code == 404
    assert (await key.get("/api/telemetry/fleet")).status_code == 403


@pytest.mark.parametrize("path", ["miners/1", "fleet?site_id=x", "alerts?page_size=201"])
async def test_bad_input_is_a_problem(path: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/api/telemetry/{path}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_fleet_is_sent_once(
    worker: Runtime,
    fleet_of: FleetOf,
    register: Register,
    client: httpx.AsyncClient,
    client_as: ClientFor,
    eventually: Eventually,
) -> None:
    fleet = await fleet_of(2, mix={"luxos": 1.0})
    site_id, miners = await register(fleet)
    query = {"site_id": str(site_id)}

    async def both() -> httpx.Response | None:
        answer = await client.get("/api/telemetry/fleet", params=query)
        return answer if all(answer.json()["columns"]["power_w"]) else None

    await eventually(both)
    first = await client.get("/api/telemetry/fleet", params=query)
    again = await client.get(
        "/api/telemetry/fleet", params=query, headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) in ((304, b""), (200, again.content))
    columns = first.json()["columns"]
    assert len({len(column) for column in columns.values()}) == 1

    key = client_as(scopes=frozenset({"telemetry:api"}), kind="api_key")
    found = (await key.get(f"/api/hosting/api/telemetry/{miners[0]}")).json()
    assert found["hashrate"] == found["hashrate_5s_ths"]
    assert found["power_consumption"] == found["power_w"]
    assert found["recorded_at"] == found["sampled_at"]
    assert found["temperature"]
    assert found["fan_speed"] == max(found["fans_rpm"])
    assert found["efficiency_j_per_th"] == pytest.approx(
        found["power_w"] / found["hashrate_5s_ths"]
    )
