import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.app import Service

PATH = "/api/treasury/backtests"
START = datetime(2020, 1, 1, tzinfo=UTC)


def series(*prices: float) -> list[dict[str, str]]:
    return [
        {"at": (START + timedelta(days=n)).isoformat(), "price_usd": str(price)}
        for n, price in enumerate(prices)
    ]


async def test_every_kind_is_tried_on_the_stored_history(
    owner: httpx.AsyncClient, history: Any
) -> None:
    await history([str(90_000 + 1000 * (n % 17)) for n in range(120)])
    answer = await owner.post(PATH, json={"days": 100, "power_bill_usd_per_day": "100"})
    assert answer.status_code == 201, answer.text
    report = answer.json()["report"]
    assert [one["kind"] for one in report["results"]] == [
        "hold", "cover_opex", "dca", "threshold", "layered", "ladder",
    ]  # fmt: skip
    assert (report["series"]["source"], report["series"]["points"]) == ("stored", 100)
    assert report["series"]["simulated"] is True
    for one in report["results"]:
        assert one["max_drawdown_percent"] >= 0
        assert len(one["last_points"]) == 30
    again = await owner.get(f"{PATH}/{answer.json()['id']}")
    assert again.json() == answer.json()
    assert (await owner.get(PATH)).json()["items"][0]["done"] is True


async def test_a_series_of_ones_own_by_hand(owner: httpx.AsyncClient) -> None:
    body = {
        "prices": series(100, 120, 90, 108),
        "initial_btc": "1",
        "fee_percent": 0,
        "rules": [
            {"kind": "hold"},
            {"kind": "threshold", "price_usd": "110", "share_percent": "50"},
        ],
    }
    report = (await owner.post(PATH, json=body)).json()["report"]
    hold, threshold = report["results"]
    assert hold["total_return_percent"] == 8
    assert hold["max_drawdown_percent"] == 25
    assert (hold["trades"], hold["win_rate_percent"]) == (0, None)
    [trade] = threshold["last_trades"]
    assert (trade["price_usd"], trade["btc"]) == ("90.000000", "0.50000000")
    assert (threshold["realised_usd"], threshold["win_rate_percent"]) == ("-5.000000", 0)
    assert threshold["end_equity_usd"] == "99.000000"


async def test_what_is_held_and_settled_is_what_is_tried(
    owner: httpx.AsyncClient, wallet: Any, lot: Any, history: Any
) -> None:
    """The peer tried every operator with a basis of 95,000 and 250,000 USD a month."""
    await history(["100000"] * 10)
    await lot((await wallet())["id"], "3", "40000")
    settings = {"power_bill_usd_per_day": "700", "btc_mined_per_day": "0.02"}
    await owner.put("/api/treasury/settings", json=settings)
    assumed = (await owner.post(PATH, json={})).json()["report"]["assumptions"]
    assert (assumed["initial_btc"], assumed["cost_usd_per_btc"]) == ("3.00000000", "40000.000000")
    assert assumed["power_bill_usd_per_day"] == "700.000000"
    assert assumed["break_even_usd"] == "35000.000000"


async def test_without_history_it_says_so(owner: httpx.AsyncClient) -> None:
    answer = await owner.post(PATH, json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_history")


@pytest.mark.parametrize(
    "body",
    [
        {"days": 1},
        {"days": 5001},
        {"prices": []},
        {"prices": series(100)},
        {"prices": series(100, -1)},
        {"prices": series(100, 0)},
        {"prices": [*series(100, 101), series(100)[0]]},
        {"prices": [series(1)[0], series(1, 2, 3)[2]]},
        {"prices": series(100, 101), "fee_percent": "-1"},
        {"prices": series(100, 101), "fee_percent": "101"},
        {"prices": series(100, 101), "initial_btc": "-1"},
        {"prices": series(100, 101), "initial_btc": "0"},
        {"prices": series(100, 101), "rules": [{"kind": "moon"}]},
        {"prices": [{"at": "9999-01-01T00:00:00Z", "price_usd": 1}] * 2},
    ],
)
async def test_bad_back_tests_are_refused(owner: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await owner.post(PATH, json=body)).status_code == 422


async def test_a_long_one_is_done_by_a_job(
    owner: httpx.AsyncClient, running_service: Any, service: Service
) -> None:
    prices = series(*[100 + n % 13 for n in range(2400)])
    rules: list[dict[str, str]] = [{"kind": "hold"}] * 5
    rules[1] = {"kind": "dca", "amount_usd": "5", "break_even_multiple": "0.5"}
    body: dict[str, Any] = {"prices": prices, "initial_btc": "1", "rules": rules}
    started = await owner.post(PATH, json=body | {"break_even_usd": "50"})
    assert started.status_code == 202
    assert started.json()["report"] is None
    place = started.headers["Location"]
    assert place == f"/api/treasury/jobs/{started.json()['job_id']}"
    async with running_service(
        service,
        market_enabled=False,
        forecast_check_seconds=3600,
        treasury_sweep_seconds=3600,
        treasury_rules_seconds=3600,
    ):
        async with asyncio.timeout(40):
            while (await owner.get(place)).json()["state"] not in ("done", "failed"):
                await asyncio.sleep(0.2)
    assert (await owner.get(place)).json()["state"] == "done"
    done = (await owner.get(f"{PATH}/{started.json()['id']}")).json()
    short = {**body, "break_even_usd": "50", "rules": rules[:2]}
    direct = (await owner.post(PATH, json=short)).json()
    assert done["report"]["results"][:2] == direct["report"]["results"]
    assert direct["job_id"] is None
