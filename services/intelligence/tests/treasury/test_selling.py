import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text, update

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from intelligence.forecasts.fitted import Columns, Fitted
from intelligence.forecasts.keeping import Origin, keep
from intelligence.treasury.models import Proposal
from intelligence.treasury.proposing import expire_some

PROPOSALS, FILLS, RULES = "/api/treasury/proposals", "/api/treasury/fills", "/api/treasury/rules"
SETTINGS = "/api/treasury/settings"
Make = Callable[..., Awaitable[dict[str, Any]]]
Sold = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def place(wallet: Make, lot: Make, quote: Any) -> dict[str, Any]:
    """A wallet with 1 BTC at 10,000, 2 at 20,000 and 1 at 30,000; the price is 100,000."""
    await quote("100000")
    made = await wallet()
    for days_ago, (btc, price) in (
        (30, ("1", "10000")),
        (20, ("2", "20000")),
        (10, ("1", "30000")),
    ):
        await lot(made["id"], btc, price, days_ago=days_ago)
    return made


@pytest.fixture
def band(worker_session: Any) -> Callable[..., Awaitable[None]]:
    """Keep a forecast that is flat, log-normal and sigma wide at every step."""

    async def store(price: float = 100_000, sigma: float = 0.2, days: int = 30) -> None:
        bounds = {
            "predicted": 0.0, "mean": 0.0, "lower_80": -1.2815515655, "upper_80": 1.2815515655,
            "lower_95": -1.9599639845, "upper_95": 1.9599639845,
        }  # fmt: skip
        columns = Columns(**{k: [price * math.exp(z * sigma)] * days for k, z in bounds.items()})
        fitted = Fitted(
            method="arima(5,1,0)", baseline_method="no change", points_used=90, model=columns,
            baseline=columns, accuracy=[], zero_width=False, warnings=[],
        )  # fmt: skip
        origin = Origin(
            series="btc-price", unit="USD", at=now(), value=price, step_s=86_400, points=90,
            simulated=True,
        )  # fmt: skip
        async with worker_session() as session:
            assert await keep(session, origin, fitted)

    return store


async def rule(owner: httpx.AsyncClient, name: str = "rule", **parameters: Any) -> dict[str, Any]:
    answer = await owner.post(RULES, json={"name": name, "parameters": parameters})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def settle(owner: httpx.AsyncClient, **settings: Any) -> None:
    answer = await owner.put(SETTINGS, json=settings)
    assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("place")
async def test_from_rule_to_sale_by_hand(
    owner: httpx.AsyncClient, another: httpx.AsyncClient, sold: Sold, band: Any, published: Any
) -> None:
    """The whole way: a rule proposes, two persons approve, a sale is recorded against the lots."""
    await band()
    await settle(
        owner, power_bill_usd_per_day="5000", btc_mined_per_day="0.1", approval_limit_usd="10000"
    )
    made = await rule(owner, kind="cover_opex", days=30, break_even_multiple="1.2")
    proposal = (await owner.post(PROPOSALS, json={"rule_id": made["id"]})).json()
    low = 100_000 * math.exp(-1.6448536 * 0.2)
    assert float(proposal["sizing_price_usd"]) == pytest.approx(low, rel=1e-6)
    assert float(proposal["btc"]) == pytest.approx(150_000 / low, rel=1e-6)
    assert proposal["break_even"]["usd_per_btc"] == "50000.000000"
    assert proposal["min_price_usd"] == "60000.000000"
    assert proposal["margin_percent"] == "50.000000"
    assert (proposal["price"]["price_usd"], proposal["price"]["stale"]) == ("100000.000000", False)
    assert (proposal["approvals_needed"], proposal["status"]) == (2, "proposed")

    path = f"{PROPOSALS}/{proposal['id']}"
    first = (await owner.post(f"{path}/approve", json={"note": "fine"})).json()
    assert (first["status"], first["approvals"]) == ("proposed", 1)
    assert (await owner.post(f"{path}/approve")).json()["code"] == "already_decided"
    assert (await sold(proposal["id"], "0.1", "100000")).json()["code"] == "wrong_state"
    second = (await another.post(f"{path}/approve")).json()
    assert (second["status"], second["approvals"]) == ("approved", 2)

    part = (await sold(proposal["id"], "1.5", "99000", fee_usd="148.5", txid="x1")).json()
    assert (part["cost_usd"], part["realised_usd"]) == ("20000.000000", "128351.500000")
    assert [one["btc"] for one in part["disposals"]] == ["1.00000000", "0.50000000"]
    assert (await owner.get(path)).json()["status"] == "partially_filled"
    rest = (await owner.get(path)).json()["remaining_btc"]
    assert (await sold(proposal["id"], rest, "101000")).status_code == 201
    done = (await owner.get(path)).json()
    assert (done["status"], done["remaining_btc"]) == ("filled", "0.00000000")

    types = [event["type"].rsplit(".", 2)[1] for event in await published()]
    assert types == ["proposed", "decided", "filled", "filled"]
    events = await published()
    assert {event["key"] for event in events} == {proposal["id"]}
    assert [event["version"] for event in events] == [1, 2, 3, 4]
    assert events[2]["data"]["realised_usd"] == "128351.500000"


@pytest.mark.usefixtures("place")
async def test_profit_and_loss_of_all_that_was_held(
    owner: httpx.AsyncClient, approved: Make, sold: Sold
) -> None:
    proposal = await approved("2.5")
    await sold(proposal["id"], "2.5", "25000", fee_usd="62.5")
    summary = (await owner.get("/api/treasury/lots/summary")).json()
    assert summary["realised_usd"] == "22437.500000"  # 62,500 - 62.5 - 40,000
    assert (summary["btc"], summary["cost_usd"]) == ("1.50000000", "40000.000000")
    assert summary["unrealised_usd"] == "110000.000000"
    assert (summary["sold_btc"], summary["received_btc"]) == ("2.50000000", "4.00000000")
    assert (summary["proceeds_usd"], summary["fees_usd"]) == ("62500.000000", "62.500000")


@pytest.mark.usefixtures("place")
async def test_average_cost(owner: httpx.AsyncClient, approved: Make, sold: Sold) -> None:
    await settle(owner, cost_basis="average")
    proposal = await approved("2.5")
    fill = (await sold(proposal["id"], "2.5", "25000")).json()
    assert (fill["cost_usd"], fill["cost_basis"]) == ("50000.000000", "average")


async def test_specific_lots(
    owner: httpx.AsyncClient, place: dict[str, Any], approved: Make, sold: Sold
) -> None:
    await settle(owner, cost_basis="specific")
    lots = (await owner.get("/api/treasury/lots")).json()["items"]
    newest = lots[0]["id"]
    proposal = await approved("1")
    unnamed = await sold(proposal["id"], "1", "25000")
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "lots_do_not_fit")
    foreign = [{"lot_id": str(new_id()), "btc": "1"}]
    assert (await sold(proposal["id"], "1", "25000", lots=foreign)).status_code == 422
    twice = [{"lot_id": newest, "btc": "0.5"}, {"lot_id": newest, "btc": "0.5"}]
    assert (await sold(proposal["id"], "1", "25000", lots=twice)).status_code == 422
    fill = await sold(proposal["id"], "1", "25000", lots=[{"lot_id": newest, "btc": "1"}])
    assert fill.json()["realised_usd"] == "-5000.000000"


@pytest.mark.usefixtures("place")
async def test_the_cost_basis_is_switched_only_knowingly_once_something_was_sold(
    owner: httpx.AsyncClient, approved: Make, sold: Sold
) -> None:
    await settle(owner, cost_basis="fifo")
    proposal = await approved("3")
    await sold(proposal["id"], "1", "25000")
    refused = await owner.put(SETTINGS, json={"cost_basis": "average"})
    assert (refused.status_code, refused.json()["code"]) == (409, "cost_basis_in_use")
    await settle(owner, cost_basis="average", confirm_cost_basis_switch=True)
    fill = (await sold(proposal["id"], "1.5", "25000")).json()
    assert fill["cost_usd"] == "35000.000000"  # half of 2 x 20,000 + 30,000
    summary = (await owner.get("/api/treasury/lots/summary")).json()
    assert summary["cost_usd"] == "35000.000000"
    assert summary["cost_basis"] == "average"


@pytest.mark.usefixtures("place")
async def test_more_than_is_held_or_promised_is_422(owner: httpx.AsyncClient) -> None:
    answer = await owner.post(PROPOSALS, json={"btc": "4.00000001"})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_enough_held")
    assert answer.json()["free_btc"] == "4.00000000"
    assert (await owner.post(PROPOSALS, json={"btc": "3"})).status_code == 201
    answer = await owner.post(PROPOSALS, json={"btc": "1.00000001"})
    assert answer.json()["free_btc"] == "1.00000000"


@pytest.mark.usefixtures("place")
async def test_over_filling_is_refused(approved: Make, sold: Sold) -> None:
    proposal = await approved("1")
    assert (await sold(proposal["id"], "0.6", "25000")).status_code == 201
    answer = await sold(proposal["id"], "0.40000001", "25000")
    assert (answer.status_code, answer.json()["code"]) == (422, "over_filled")
    assert answer.json()["remaining_btc"] == "0.40000000"


@pytest.mark.usefixtures("place")
async def test_the_same_transaction_is_recorded_once(
    owner: httpx.AsyncClient, approved: Make, sold: Sold
) -> None:
    proposal = await approved("1")
    first = await sold(proposal["id"], "0.5", "25000", txid="tx")
    again = await sold(proposal["id"], "0.5", "25000", txid="tx")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = await sold(proposal["id"], "0.4", "25000", txid="tx")
    assert (other.status_code, other.json()["code"]) == (409, "transaction_known")
    assert (await owner.get(FILLS)).json()["total"] == 1


@pytest.mark.usefixtures("place")
async def test_the_same_key_is_recorded_once(owner: httpx.AsyncClient, approved: Make) -> None:
    proposal = await approved("1")
    body = {
        "proposal_id": proposal["id"],
        "btc": "0.5",
        "price_usd": "25000",
        "filled_at": now().isoformat(),
    }
    key = {"Idempotency-Key": "k1"}
    first = await owner.post(FILLS, json=body, headers=key)
    again = await owner.post(FILLS, json=body, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert (await owner.get(f"{FILLS}/{first.json()['id']}")).json() == first.json()
    assert (await owner.get(FILLS, params={"proposal_id": proposal["id"]})).json()["total"] == 1


@pytest.mark.usefixtures("place")
async def test_two_sales_at_once_never_sell_the_same_bitcoin(
    owner: httpx.AsyncClient, approved: Make, sold: Sold
) -> None:
    proposal = await approved("4")
    answers = await asyncio.gather(*(sold(proposal["id"], "3", "25000") for _ in range(3)))
    assert sorted(one.status_code for one in answers) == [201, 422, 422]
    assert (await owner.get("/api/treasury/lots/summary")).json()["btc"] == "1.00000000"


@pytest.mark.usefixtures("place")
async def test_what_came_in_later_was_not_sold_before(approved: Make, sold: Sold) -> None:
    proposal = await approved("4")
    then = (now() - timedelta(days=15)).isoformat()
    answer = await sold(proposal["id"], "4", "25000", filled_at=then)
    assert (answer.status_code, answer.json()["held_btc"]) == (422, "3.00000000")


@pytest.mark.usefixtures("place")
async def test_a_sale_under_the_lowest_price_is_booked_and_marked(
    approved: Make, sold: Sold
) -> None:
    proposal = await approved("1", min_price_usd="90000")
    assert (await sold(proposal["id"], "0.5", "89999")).json()["below_min_price"] is True
    assert (await sold(proposal["id"], "0.5", "90000")).json()["below_min_price"] is False


@pytest.mark.usefixtures("place")
async def test_the_money_goes_to_an_account(
    owner: httpx.AsyncClient, wallet: Make, approved: Make, sold: Sold, place: dict[str, Any]
) -> None:
    bank = await wallet("Bank", "cash", balance_usd="1000")
    proposal = await approved("1")
    wrong = await sold(proposal["id"], "1", "25000", account_id=place["id"])
    assert (wrong.status_code, wrong.json()["field"]) == (422, "account_id")
    await sold(proposal["id"], "1", "25000", fee_usd="25", account_id=bank["id"])
    account = (await owner.get(f"/api/treasury/wallets/{bank['id']}")).json()
    assert account["balance_usd"] == "25975.000000"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"btc": "-1"}, 422),
        ({"btc": "0"}, 422),
        ({"btc": "0.000000001"}, 422),
        ({"price_usd": "0"}, 422),
        ({"price_usd": "NaN"}, 422),
        ({"fee_usd": "-1"}, 422),
        ({"fee_usd": "25001"}, 422),
        ({"filled_at": "9999-01-01T00:00:00Z"}, 422),
        ({"filled_at": "2026-01-01"}, 422),
        ({"proposal_id": "00000000-0000-0000-0000-000000000009"}, 404),
        ({"account_id": "00000000-0000-0000-0000-000000000009"}, 404),
        ({"txid": ""}, 422),
        ({"exchange": "kraken"}, 422),
    ],
)
@pytest.mark.usefixtures("place")
async def test_bad_fills_are_refused(
    owner: httpx.AsyncClient, approved: Make, wrong: dict[str, Any], status: int
) -> None:
    proposal = await approved("1")
    body = {
        "proposal_id": proposal["id"],
        "btc": "1",
        "price_usd": "25000",
        "filled_at": now().isoformat(),
    }
    assert (await owner.post(FILLS, json=body | wrong)).status_code == status
    assert (await owner.get(FILLS)).json()["total"] == 0


@pytest.mark.usefixtures("place")
async def test_only_a_person_decides(owner: httpx.AsyncClient, client_as: Any) -> None:
    made = (await owner.post(PROPOSALS, json={"btc": "1"})).json()
    key = client_as(kind="api_key", scopes=frozenset({"treasury:read", "treasury:approve"}))
    answer = await key.post(f"{PROPOSALS}/{made['id']}/approve")
    assert (answer.status_code, answer.json()["code"]) == (403, "persons_only")


@pytest.mark.usefixtures("place")
async def test_closed_proposals_stay_closed(
    owner: httpx.AsyncClient, another: httpx.AsyncClient, approved: Make, sold: Sold
) -> None:
    rejected = (await owner.post(PROPOSALS, json={"btc": "0.1"})).json()
    answer = await another.post(f"{PROPOSALS}/{rejected['id']}/reject", json={"note": "no"})
    assert answer.json()["status"] == "rejected"
    cancelled = await approved("0.1")
    answer = await owner.post(f"{PROPOSALS}/{cancelled['id']}/cancel")
    assert answer.json()["status"] == "cancelled"
    for one in (rejected["id"], cancelled["id"]):
        for action in ("approve", "reject", "cancel"):
            answer = await another.post(f"{PROPOSALS}/{one}/{action}")
            assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
        assert (await sold(one, "0.1", "25000")).json()["code"] == "wrong_state"


@pytest.mark.usefixtures("place")
async def test_what_was_sold_of_a_cancelled_proposal_stays(
    owner: httpx.AsyncClient, approved: Make, sold: Sold
) -> None:
    proposal = await approved("1")
    await sold(proposal["id"], "0.25", "25000")
    answer = await owner.post(f"{PROPOSALS}/{proposal['id']}/cancel")
    assert (answer.json()["status"], answer.json()["filled_btc"]) == ("cancelled", "0.25000000")
    assert (await owner.post(PROPOSALS, json={"btc": "3.75"})).status_code == 201


@pytest.mark.usefixtures("place")
async def test_proposals_lapse(
    owner: httpx.AsyncClient, approved: Make, sold: Sold, runtime: Runtime, worker_session: Any,
    published: Any,
) -> None:  # fmt: skip
    proposal = await approved("1")
    async with worker_session() as session:
        await session.execute(
            update(Proposal)
            .where(Proposal.id == UUID(proposal["id"]))
            .values(expires_at=now() - timedelta(seconds=1))
        )
    path = f"{PROPOSALS}/{proposal['id']}"
    assert (await owner.get(path)).json()["status"] == "expired"
    assert (await sold(proposal["id"], "1", "25000")).json()["code"] == "wrong_state"
    listed = await owner.get(PROPOSALS, params={"status": "expired"})
    assert listed.json()["total"] == 1
    assert (await owner.get(PROPOSALS, params={"status": "approved"})).json()["total"] == 0
    while await expire_some(runtime):
        pass
    last = (await published("intelligence.treasury.decided.v1"))[-1]
    assert (last["data"]["status"], last["data"]["decided_by"]) == ("expired", [])


@pytest.mark.usefixtures("place")
async def test_without_a_quote_nothing_is_proposed_on_a_guess(
    owner: httpx.AsyncClient, worker_session: Any, quote: Any
) -> None:
    """The peer sold at a fixed 50,000 when it knew no price."""
    async with worker_session() as session:
        await session.execute(text("DELETE FROM intelligence.calculator_quote"))
    answer = await owner.post(PROPOSALS, json={"btc": "1"})
    assert (answer.status_code, answer.json()["code"]) == (503, "no_price")
    assert "Retry-After" in answer.headers
    await settle(owner, approval_limit_usd="1000000")
    given = (await owner.post(PROPOSALS, json={"btc": "1", "price_usd": "40000"})).json()
    assert (given["price"]["source"], given["approvals_needed"]) == ("given", 2)
    await quote("100000")
    known = (await owner.post(PROPOSALS, json={"btc": "1", "price_usd": "1"})).json()
    assert (known["price"]["price_usd"], known["approvals_needed"]) == ("100000.000000", 1)


async def test_an_old_price_says_so(
    owner: httpx.AsyncClient, wallet: Make, lot: Make, quote: Any
) -> None:
    await quote("90000", at=now() - timedelta(hours=2))
    await lot((await wallet())["id"])
    price = (await owner.post(PROPOSALS, json={"btc": "1"})).json()["price"]
    assert (price["stale"], price["source"]) == (True, "coingecko")
    assert 7200 <= price["age_s"] < 7300


@pytest.mark.usefixtures("place")
async def test_an_unknown_break_even_is_named_not_invented(owner: httpx.AsyncClient) -> None:
    made = await rule(owner, kind="dca", amount_usd="1000", break_even_multiple="1")
    seen = (await owner.get(f"{RULES}/{made['id']}/evaluation")).json()
    assert seen["sell_btc"] == "0.00000000"
    assert seen["break_even"]["usd_per_btc"] is None
    assert "energy.cost" in seen["break_even"]["reason"]
    assert set(seen["missing"]) == {
        "break_even_usd", "power_bill_usd_per_day", "btc_mined_per_day",
    }  # fmt: skip
    refused = await owner.post(PROPOSALS, json={"rule_id": made["id"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_propose")
    assert refused.json()["missing"] == ["break_even_usd"]


@pytest.mark.usefixtures("place")
async def test_break_even_by_bill_by_hashprice_and_as_given(owner: httpx.AsyncClient) -> None:
    made = await rule(owner, kind="hold")
    path = f"{RULES}/{made['id']}/evaluation"
    await settle(owner, power_bill_usd_per_day="4000", hashrate_ths="100000")
    known = (await owner.get(path)).json()["break_even"]
    assert (known["source"], known["usd_per_btc"]) == ("hashprice", "80000.000000")
    await settle(owner, btc_mined_per_day="0.08")
    known = (await owner.get(path)).json()["break_even"]
    assert (known["source"], known["usd_per_btc"]) == ("power_bill", "50000.000000")
    await settle(owner, break_even_usd_per_btc="61000.5")
    known = (await owner.get(path)).json()["break_even"]
    assert (known["source"], known["usd_per_btc"]) == ("given", "61000.500000")
    await settle(owner, break_even_usd_per_btc=None, btc_mined_per_day="0")
    assert (await owner.get(path)).json()["break_even"]["usd_per_btc"] is None


@pytest.mark.usefixtures("place")
async def test_a_ladders_step_is_proposed_once_unless_it_was_rejected(
    owner: httpx.AsyncClient,
) -> None:
    steps = [{"price_usd": "90000", "share_percent": "10"}]
    made = await rule(owner, kind="ladder", steps=steps)
    body = {"rule_id": made["id"]}
    first = (await owner.post(PROPOSALS, json=body)).json()
    assert first["btc"] == "0.40000000"
    assert (await owner.post(PROPOSALS, json=body)).json()["code"] == "nothing_to_propose"
    await owner.post(f"{PROPOSALS}/{first['id']}/reject")
    assert (await owner.post(PROPOSALS, json=body)).status_code == 201


@pytest.mark.usefixtures("place")
async def test_rules_are_kept_changed_and_removed(owner: httpx.AsyncClient) -> None:
    made = await rule(owner, "Weekly", kind="dca", amount_usd="1000")
    path = f"{RULES}/{made['id']}"
    assert made["parameters"]["every_days"] == 7
    again = await owner.post(RULES, json={"name": "Weekly", "parameters": {"kind": "hold"}})
    assert again.json()["code"] == "rule_name_taken"
    assert (await owner.post(PROPOSALS, json={"rule_id": made["id"]})).status_code == 201
    early = await owner.post(PROPOSALS, json={"rule_id": made["id"]})
    assert early.json()["code"] == "nothing_to_propose"
    changed = await owner.patch(path, json={"parameters": {"kind": "dca", "amount_usd": "5"}})
    assert changed.json()["last_proposed_at"] is None
    await owner.patch(path, json={"enabled": False, "name": "Off"})
    off = await owner.post(PROPOSALS, json={"rule_id": made["id"]})
    assert off.json()["code"] == "rule_disabled"
    assert (await owner.delete(path)).status_code == 204
    assert (await owner.get(path)).status_code == 404
    assert (await owner.get(RULES)).json()["total"] == 0
    assert (await owner.get(PROPOSALS)).json()["total"] == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"kind": "gamble"},
        {"kind": "dca"},
        {"kind": "dca", "amount_usd": "0"},
        {"kind": "dca", "amount_usd": "5", "every_days": 0},
        {"kind": "cover_opex", "days": 366},
        {"kind": "threshold", "share_percent": "5"},
        {"kind": "threshold", "share_percent": "101", "price_usd": "1"},
        {"kind": "layered", "slope": "NaN"},
        {"kind": "ladder", "steps": []},
        {"kind": "ladder", "steps": [{"price_usd": "2", "share_percent": "1"}] * 2},
        {"kind": "hold", "break_even_multiple": "-1"},
        {"kind": "hold", "keep_btc": "0.000000001"},
        {"kind": "hold", "leverage": 10},
    ],
)
async def test_bad_rules_are_refused(owner: httpx.AsyncClient, parameters: dict[str, Any]) -> None:
    answer = await owner.post(RULES, json={"name": "x", "parameters": parameters})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"btc": "1", "rule_id": "00000000-0000-0000-0000-000000000009"},
        {"btc": "0"},
        {"btc": "1", "expires_in_hours": 0},
        {"btc": "1", "min_price_usd": "-1"},
        {"btc": "1", "venue": "kraken"},
    ],
)
@pytest.mark.usefixtures("place")
async def test_bad_proposals_are_refused(owner: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await owner.post(PROPOSALS, json=body)).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"cost_basis": "lifo"},
        {"approval_limit_usd": "-1"},
        {"power_bill_usd_per_day": "NaN"},
        {"btc_mined_per_day": "0.000000001"},
        {"hashrate_ths": "0"},
        {"break_even_usd_per_btc": "0"},
        {"currency": "EUR"},
    ],
)
async def test_bad_settings_are_refused(owner: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await owner.put(SETTINGS, json=body)).status_code == 422


async def test_settings_begin_empty_and_keep_what_is_not_named(owner: httpx.AsyncClient) -> None:
    empty = (await owner.get(SETTINGS)).json()
    assert (empty["cost_basis"], empty["power_bill_usd_per_day"]) == ("fifo", None)
    await settle(owner, power_bill_usd_per_day="10.5")
    await settle(owner, approval_limit_usd=1000)
    known = (await owner.get(SETTINGS)).json()
    assert known["power_bill_usd_per_day"] == "10.500000"
    assert known["approval_limit_usd"] == "1000.000000"


async def test_runway_in_days_of_power(
    owner: httpx.AsyncClient, wallet: Make, place: dict[str, Any], band: Any
) -> None:
    path = "/api/treasury/runway"
    unknown = (await owner.get(path)).json()
    assert unknown["days_at_market"] is None
    assert unknown["missing"] == ["power_bill_usd_per_day", "forecast"]
    assert "energy.cost" in unknown["reason"]
    await wallet("Bank", "cash", balance_usd="50000")
    await settle(owner, power_bill_usd_per_day="5000")
    await band()
    known = (await owner.get(path)).json()
    assert (known["btc"], known["cash_usd"]) == ("4.00000000", "50000.000000")
    assert (known["days_of_cash"], known["days_at_market"]) == (10, 90)
    low = Decimal(known["low_price"]["price_usd"])
    assert known["days_at_low_price"] == pytest.approx(float((4 * low + 50000) / 5000), abs=0.01)
    far = (await owner.get(path, params={"days": 90})).json()["low_price"]
    assert far["days"] == 30
    assert "no farther" in far["reason"]
    await settle(owner, power_bill_usd_per_day="0")
    assert (await owner.get(path)).json()["days_at_market"] is None
