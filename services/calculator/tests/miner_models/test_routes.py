from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from httpx import AsyncClient

from common.auth import PLATFORM_ORGANISATION
from common.ids import new_id

PATH = "/api/calculator/miner-models"
Json: TypeAlias = dict[str, Any]
ClientAs: TypeAlias = Callable[..., AsyncClient]
Published: TypeAlias = Callable[..., Awaitable[list[Json]]]

OWN = {
    "name": "Antminer S19k Pro 115T",
    "manufacturer": "Bitmain",
    "aliases": ["S19k Pro 115"],
    "hashrate_ths": 115,
    "power_w": 2645,
}


@pytest.fixture
def anonymous(client_as: ClientAs) -> AsyncClient:
    return client_as(
        kind="anonymous", organisation_id=PLATFORM_ORGANISATION, role="", scopes=frozenset()
    )


@pytest.fixture
def admin(client_as: ClientAs) -> AsyncClient:
    return client_as(organisation_id=PLATFORM_ORGANISATION, role="Admin")


async def register(client: AsyncClient, **changes: Any) -> Json:
    answer = await client.post(PATH, json=OWN | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def found(client: AsyncClient, search: str) -> list[Json]:
    answer = await client.get(PATH, params={"search": search, "page_size": 200})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_everybody_reads_the_shared_models(anonymous: AsyncClient) -> None:
    page = (await anonymous.get(PATH)).json()
    assert page["total"] >= 56
    assert len(page["items"]) == page["page_size"] == 20
    first = page["items"][0]
    assert first["shared"] is True
    assert (await anonymous.get(f"{PATH}/{first['id']}")).json() == first


async def test_the_model_that_bears_the_name_comes_first(client: AsyncClient) -> None:
    [best, *others] = await found(client, "antminer  S19 PRO")
    assert (best["name"], best["hashrate_ths"], best["power_w"]) == (
        "Antminer S19 Pro 110T",
        110,
        3250,
    )
    assert best["efficiency_j_per_th"] == pytest.approx(29.545)
    assert {other["name"] for other in others} == {"Antminer S19 Pro+ Hyd 198T"}
    assert await found(client, "S19%") == []


async def test_a_page_beyond_the_last_is_empty(client: AsyncClient) -> None:
    answer = await client.get(PATH, params={"page": 302})
    assert (answer.status_code, answer.json()["items"]) == (200, [])
    assert (await client.get(PATH, params={"page_size": 10**6})).status_code == 422


async def test_an_own_model_is_seen_by_its_organisation_only(
    client: AsyncClient, client_as: ClientAs, anonymous: AsyncClient, published: Published
) -> None:
    own = await register(client)
    assert (own["shared"], own["cooling"], own["efficiency_j_per_th"]) == (False, "air", 23)
    assert [model["id"] for model in await found(client, "s19K pro 115")] == [own["id"]]
    for stranger in (client_as(organisation_id=new_id()), anonymous):
        assert await found(stranger, "S19k Pro 115") == []
        assert (await stranger.get(f"{PATH}/{own['id']}")).status_code == 404
    [event] = await published("calculator.miner-model.changed.v1")
    assert (event["key"], event["version"]) == (own["id"], 1)
    assert event["data"]["aliases"] == ["S19k Pro 115"]
    assert event["data"]["removed"] is False


async def test_a_change_is_published_under_the_next_version(
    client: AsyncClient, published: Published
) -> None:
    own = await register(client)
    path = f"{PATH}/{own['id']}"
    answer = await client.patch(path, json={"power_w": 2600, "aliases": ["My S19k"]})
    assert (answer.json()["power_w"], answer.json()["hashrate_ths"]) == (2600, 115)
    assert await found(client, "S19k Pro 115") != []  # still part of its name
    assert [model["id"] for model in await found(client, "my s19K")] == [own["id"]]
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404
    events = await published("calculator.miner-model.changed.v1")
    assert [(event["version"], event["data"]["removed"]) for event in events] == [
        (1, False),
        (2, False),
        (3, True),
    ]
    await register(client)  # the name is free again


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, "name"),
        ({"name": "ANTMINER  s19k pro 115t", "aliases": []}, "name"),
        ({"name": "Other", "aliases": ["antminer S19k Pro 115T"]}, "aliases"),
    ],
)
async def test_a_name_means_one_model(client: AsyncClient, change: Json, field: str) -> None:
    await register(client)
    answer = await client.post(PATH, json=OWN | change)
    assert answer.status_code == 409
    assert (answer.json()["code"], answer.json()["field"]) == ("miner_model_name_taken", field)


async def test_a_change_may_not_take_the_name_of_another(client: AsyncClient) -> None:
    await register(client)
    other = await register(client, name="Other", aliases=[])
    answer = await client.patch(f"{PATH}/{other['id']}", json={"name": OWN["name"]})
    assert answer.status_code == 409


async def test_an_owner_may_give_a_shared_name_to_a_model_of_their_own(client: AsyncClient) -> None:
    own = await register(client, name="Antminer S19 Pro 110T", aliases=[])
    names = [model for model in await found(client, "Antminer S19 Pro 110T") if not model["shared"]]
    assert [model["id"] for model in names] == [own["id"]]


async def test_only_the_platform_changes_shared_models(
    client: AsyncClient, admin: AsyncClient, anonymous: AsyncClient
) -> None:
    name = f"Prototype {new_id()}"
    shared = await register(admin, name=name, aliases=[])
    path = f"{PATH}/{shared['id']}"
    assert shared["shared"] is True
    assert (await client.get(path)).status_code == 200
    refused = await client.patch(path, json={"power_w": 1})
    assert (refused.status_code, refused.json()["code"]) == (403, "shared_miner_model")
    assert (await client.delete(path)).status_code == 403
    assert (await admin.patch(path, json={"power_w": 2500})).json()["power_w"] == 2500
    assert (await admin.delete(path)).status_code == 204
    assert (await anonymous.get(path)).status_code == 404


async def test_writing_needs_the_permission(client_as: ClientAs, anonymous: AsyncClient) -> None:
    host = client_as(role="Host", scopes=frozenset({"miners:read"}))
    assert (await host.post(PATH, json=OWN)).status_code == 403
    assert (await anonymous.post(PATH, json=OWN)).status_code == 401
    assert (await host.get(PATH)).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "a\u0007b"}, "name"),
        ({"hashrate_ths": 0}, "hashrate_ths"),
        ({"hashrate_ths": "NaN"}, "hashrate_ths"),
        ({"power_w": -3250}, "power_w"),
        ({"power_w": 1e9}, "power_w"),
        ({"power_w": None}, "power_w"),
        ({"cooling": "ice"}, "cooling"),
        ({"released_year": 1995}, "released_year"),
        ({"aliases": ["x"] * 51}, "aliases"),
        ({"price": 1}, "price"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_the_field(
    client: AsyncClient, change: Json, field: str
) -> None:
    answer = await client.post(PATH, json=OWN | change)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
async def test_an_unknown_model_is_404(client: AsyncClient, method: str) -> None:
    body = {"power_w": 1} if method == "patch" else None
    answer = await client.request(method, f"{PATH}/{UUID(int=7)}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "miner_model_not_found")


async def test_a_reference_price_is_kept_to_the_cent(client: AsyncClient) -> None:
    own = await register(client, reference_price_usd="1999.90")
    assert own["reference_price_usd"] == "1999.90"
    changed = await client.patch(f"{PATH}/{own['id']}", json={"reference_price_usd": None})
    assert changed.json()["reference_price_usd"] is None
    for price in (-1, "1.999", "NaN"):
        answer = await client.patch(f"{PATH}/{own['id']}", json={"reference_price_usd": price})
        assert (answer.status_code, answer.json()["field"]) == (422, "reference_price_usd")
    [shared, *_] = await found(client, "S19 Pro")
    assert shared["reference_price_usd"] == "2500.00"
