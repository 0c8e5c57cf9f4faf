from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.clock import now

LOTS = "/api/treasury/lots"


async def test_a_lot_costs_what_it_was_worth_when_it_was_received(
    owner: httpx.AsyncClient, wallet: Any, lot: Any, quote: Any
) -> None:
    await quote("60000")
    place = await wallet()
    made = await lot(place["id"], "0.12345678", "50000.123456", reference="aa:0")
    assert made["btc"] == "0.12345678"
    assert made["cost_usd"] == "6172.854241"  # 6,172.8542411… half up
    assert made["unrealised_usd"] == "1234.552559"
    assert made["currency"] == "USD"
    assert (await owner.get(f"{LOTS}/{made['id']}")).json() == made
    held = (await owner.get(f"/api/treasury/wallets/{place['id']}")).json()
    assert (held["btc"], held["cost_usd"]) == ("0.12345678", "6172.854241")


async def test_without_a_price_the_close_of_that_day_counts(
    wallet: Any, lot: Any, history: Any
) -> None:
    await history(["90000", "91000", "92000"])
    made = await lot((await wallet())["id"], "1", None, days_ago=2)
    day = datetime.now(UTC) - timedelta(days=2)
    assert (made["price_usd"], made["price_source"]) == ("91000.000000", f"close of {day:%Y-%m-%d}")
    assert made["simulated"] is True


async def test_what_came_within_the_hour_is_at_the_quote(wallet: Any, lot: Any, quote: Any) -> None:
    await quote("77000")
    made = await lot((await wallet())["id"], "1", None, days_ago=0)
    assert (made["price_usd"], made["price_source"]) == ("77000.000000", "quote of coingecko")


async def test_no_price_is_made_up(owner: httpx.AsyncClient, wallet: Any) -> None:
    """The peer filled in 50,000 where it knew nothing."""
    body = {
        "wallet_id": (await wallet())["id"],
        "received_at": "2024-05-01T00:00:00Z",
        "btc": "1",
    }
    answer = await owner.post(LOTS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "price_unknown")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"btc": "-1"}, "btc"),
    ({"btc": "0"}, "btc"),
    ({"btc": "NaN"}, "btc"),
    ({"btc": "Infinity"}, "btc"),
    ({"btc": "1e400"}, "btc"),
    ({"btc": "0.123456789"}, "btc"),
    ({"btc": "21000001"}, "btc"),
    ({"btc": True}, "btc"),
    ({"btc": "one"}, "btc"),
    ({"btc": None}, "btc"),
    ({"price_usd": "0"}, "price_usd"),
    ({"price_usd": "-5"}, "price_usd"),
    ({"price_usd": "1.0000001"}, "price_usd"),
    ({"price_usd": "NaN"}, "price_usd"),
    ({"received_at": "2026-01-01T00:00:00"}, "received_at"),
    ({"received_at": "2008-01-01T00:00:00Z"}, "received_at"),
    ({"received_at": "9999-01-01T00:00:00Z"}, "received_at"),
    ({"reference": ""}, "reference"),
    ({"reference": "a b"}, "reference"),
    ({"satoshis": 5}, "satoshis"),
]


@pytest.mark.parametrize(("wrong", "field"), BAD)
async def test_a_bad_lot_is_refused_by_its_field(
    owner: httpx.AsyncClient, wallet: Any, wrong: dict[str, Any], field: str
) -> None:
    body: dict[str, Any] = {
        "wallet_id": (await wallet())["id"],
        "received_at": "2026-01-01T00:00:00Z",
        "btc": "1",
        "price_usd": "50000",
    }
    answer = await owner.post(LOTS, json=body | wrong)
    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.text


async def test_a_bare_nan_is_no_json(owner: httpx.AsyncClient) -> None:
    answer = await owner.post(
        LOTS, content=b'{"btc": NaN}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400


async def test_future_receipts_are_refused(owner: httpx.AsyncClient, wallet: Any) -> None:
    later = (now() + timedelta(hours=1)).isoformat()
    body = {"wallet_id": (await wallet())["id"], "received_at": later, "btc": "1", "price_usd": 1}
    answer = await owner.post(LOTS, json=body)
    assert answer.status_code == 422
    assert "future" in answer.json()["detail"]


async def test_the_same_transaction_is_never_two_lots(
    owner: httpx.AsyncClient, wallet: Any, lot: Any
) -> None:
    place = (await wallet())["id"]
    made = await lot(place, reference="bb:1")
    body = {
        "wallet_id": place,
        "received_at": made["received_at"],
        "btc": "1",
        "price_usd": "1",
        "reference": "bb:1",
    }
    answer = await owner.post(LOTS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "lot_known")


async def test_bitcoin_does_not_lie_in_a_cash_account(
    owner: httpx.AsyncClient, wallet: Any
) -> None:
    bank = await wallet("Bank", "cash", balance_usd="1000")
    body = {
        "wallet_id": bank["id"],
        "received_at": "2026-01-01T00:00:00Z",
        "btc": "1",
        "price_usd": "1",
    }
    answer = await owner.post(LOTS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_wallet")


async def test_a_mistake_is_taken_back_until_something_was_sold(
    owner: httpx.AsyncClient, wallet: Any, lot: Any, quote: Any, approved: Any, sold: Any
) -> None:
    await quote()
    place = (await wallet())["id"]
    mistake, kept = await lot(place, days_ago=5), await lot(place, days_ago=9)
    proposal = await approved("0.5")
    assert (await sold(proposal["id"], "0.5", "100000")).status_code == 201
    assert (await owner.delete(f"{LOTS}/{mistake['id']}")).status_code == 204
    assert (await owner.get(f"{LOTS}/{mistake['id']}")).status_code == 404
    assert (await owner.delete(f"{LOTS}/{kept['id']}")).json()["code"] == "lot_in_use"


async def test_wallets_are_named_once_and_put_away_empty(
    owner: httpx.AsyncClient, wallet: Any, lot: Any
) -> None:
    place = await wallet()
    again = await owner.post("/api/treasury/wallets", json={"name": " Cold store ", "kind": "pool"})
    assert (again.status_code, again.json()["code"]) == (409, "wallet_name_taken")
    await lot(place["id"])
    path = f"/api/treasury/wallets/{place['id']}"
    assert (await owner.patch(path, json={"archived": True})).json()["code"] == "wallet_not_empty"
    assert (await owner.patch(path, json={"balance_usd": "5"})).json()["code"] == "wrong_wallet"
    renamed = await owner.patch(path, json={"name": "Vault", "address": "bc1qsimulated"})
    assert (renamed.json()["name"], renamed.json()["address"]) == ("Vault", "bc1qsimulated")
    empty = await wallet("Old")
    path = f"/api/treasury/wallets/{empty['id']}"
    assert (await owner.patch(path, json={"archived": True})).json()["archived"] is True


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "kind": "shoebox"},
        {"name": " ", "kind": "onchain"},
        {"name": "x", "kind": "onchain", "balance_usd": "5"},
        {"name": "x", "kind": "cash", "balance_usd": "-5"},
        {"name": "x", "kind": "cash", "balance_usd": "0.0000001"},
    ],
)
async def test_bad_wallets_are_refused(owner: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await owner.post("/api/treasury/wallets", json=body)).status_code == 422


async def test_lists_are_paged_and_filtered(
    owner: httpx.AsyncClient, wallet: Any, lot: Any
) -> None:
    first, second = await wallet("A"), await wallet("B")
    for days in range(3):
        await lot(first["id"], days_ago=days + 1)
    await lot(second["id"], days_ago=9)
    page = (await owner.get(LOTS, params={"page_size": 3})).json()
    assert (page["total"], page["pages"], len(page["items"])) == (4, 2, 3)
    assert page["items"] == sorted(page["items"], key=lambda one: one["received_at"], reverse=True)
    only = (await owner.get(LOTS, params={"wallet_id": second["id"], "held": True})).json()
    assert only["total"] == 1
    assert (await owner.get(LOTS, params={"held": False})).json()["total"] == 0
    assert (await owner.get(LOTS, params={"page_size": 201})).status_code == 422
    names = [one["name"] for one in (await owner.get("/api/treasury/wallets")).json()["items"]]
    assert names == ["A", "B"]
