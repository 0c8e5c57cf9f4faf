"""Quotes over HTTP: recorded by hand, listed, refused."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from calculator.quotes.publishing import publish_if_due
from common.auth import PLATFORM_ORGANISATION
from simulation.upstreams import Fault

PATH = "/api/calculator/quotes"
BY_HAND = {
    "price_usd": "97250.50",
    "note": "a bank's closing rate",
    "difficulty": "110568428300952",
    "height": 885_100,
    "fees_btc_per_block": "0.05",
}


@pytest.fixture
def admin(client_as: Any) -> Any:
    return client_as(
        role="Admin", organisation_id=PLATFORM_ORGANISATION, scopes=frozenset({"quotes:write"})
    )


async def test_an_installation_without_a_way_out_lives_by_hand(
    world: Any, admin: Any, client_as: Any
) -> None:
    world.restart(coingecko_url="", blockchain_url="", mempool_url="", ankr_url="")
    anyone = client_as(kind="anonymous", role="", scopes=frozenset[str]())
    assert (await anyone.get("/api/calculator/network")).status_code == 503
    at = (world.clock() - timedelta(hours=2)).isoformat()
    recorded = await admin.post(PATH, json=BY_HAND | {"at": at})
    assert recorded.status_code == 201, recorded.text
    assert recorded.json()["source"] == "manual"
    assert recorded.json()["figures"]["price_usd"]["age_s"] == 7200
    shown = (await anyone.get("/api/calculator/network")).json()
    assert shown["price_usd"] == {
        "value": "97250.500000",
        "source": "manual",
        "at": shown["price_usd"]["at"],
        "age_s": 7200.0,
        "stale": False,
        "simulated": False,
    }
    assert shown["height"] == 885_100
    assert shown["hashprice"]["usd_per_ph_day"] == "56.176971"
    assert shown["simulated"] is False


async def test_recording_is_audited(world: Any, admin: Any) -> None:
    await admin.post(PATH, json={"price_usd": 97250.5, "note": "by telephone"})
    query = text(
        "SELECT action, detail FROM calculator.audit_event WHERE organisation_id = :org "
        "ORDER BY id DESC LIMIT 1"
    )
    async with world.runtime.worker_session() as session:
        line = (await session.execute(query, {"org": PLATFORM_ORGANISATION})).one()
    assert line.action == "quote.record"
    assert line.detail["price_usd"] == "97250.5"
    assert line.detail["note"] == "by telephone"


async def test_a_live_source_counts_before_a_quote_by_hand(world: Any, admin: Any) -> None:
    await admin.post(PATH, json=BY_HAND)
    shown = (await admin.get("/api/calculator/network")).json()
    assert shown["price_usd"]["source"] == "coingecko"


async def test_only_the_platforms_admin_records(world: Any, client_as: Any, client: Any) -> None:
    owner = client_as(scopes=frozenset({"quotes:write"}))
    refused = await owner.post(PATH, json=BY_HAND)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_the_platform")
    assert (await client.post(PATH, json=BY_HAND)).status_code == 403
    anonymous = client_as(kind="anonymous", role="", scopes=frozenset[str]())
    assert (await anonymous.post(PATH, json=BY_HAND)).status_code == 401


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price_usd": "0"}, "price_usd"),
        ({"price_usd": "-5"}, "price_usd"),
        ({"price_usd": "NaN"}, "price_usd"),
        ({"price_usd": "Infinity"}, "price_usd"),
        ({"price_usd": "1e400"}, "price_usd"),
        ({"price_usd": None}, "price_usd"),
        ({"difficulty": 0}, "difficulty"),
        ({"height": -1}, "height"),
        ({"fees_btc_per_block": "-0.1"}, "fees_btc_per_block"),
        ({"note": ""}, "note"),
        ({"at": "2026-11-21T12:00:00"}, "at"),
        ({"at": "2199-01-01T00:00:00Z"}, "at"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "at"),
        ({"at": "2009-01-03T18:15:05Z"}, "at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"prise_usd": "1"}, "prise_usd"),
    ],
)
async def test_bad_input_is_422_with_its_field(
    world: Any, admin: Any, change: dict[str, Any], field: str
) -> None:
    answer = await admin.post(PATH, json=BY_HAND | change)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


async def test_quotes_of_record_are_listed_newest_first(world: Any, client: Any) -> None:
    for _ in range(3):
        assert await publish_if_due(world.runtime)
        world.clock.forward(300)
    page = (await client.get(PATH, params={"page_size": 2})).json()
    assert (page["total"], len(page["items"])) == (3, 2)
    assert page["items"][0]["published_at"] > page["items"][1]["published_at"]
    assert page["items"][0]["source"] == "coingecko"
    assert (await client.get(PATH, params={"page_size": 201})).status_code == 422


async def test_the_figures_of_the_network_hang_together(world: Any, client: Any) -> None:
    world.fault(Fault.OFF_BY_HALF, "blockchain")
    shown = (await client.get("/api/calculator/network")).json()
    assert any("difficulty" in warning for warning in shown["warnings"])
