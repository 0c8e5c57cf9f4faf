"""What machines should earn, by quotes as the calculator publishes them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from prometheus_client import REGISTRY

from common.clock import now
from common.ids import new_id

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
HearQuote = Callable[..., Awaitable[None]]
ClientAs = Callable[..., httpx.AsyncClient]
KPI = "/api/hosting/kpi"
FIGURES = ("btc_per_day", "revenue_usd_per_day", "cost_usd_per_day", "profit_usd_per_day")


async def expected_of(client: httpx.AsyncClient, miner: Made) -> Made:
    answer = await client.get(f"/api/hosting/miners/{miner['id']}/detail")
    assert answer.status_code == 200, answer.text
    return answer.json()["expected"]


async def expected_in_all(client: httpx.AsyncClient) -> Made:
    answer = await client.get(KPI)
    assert answer.status_code == 200, answer.text
    return answer.json()["expected"]


async def test_a_machines_rating_earns_at_the_quote(
    client: httpx.AsyncClient, new_miner: New, hear_quote: HearQuote
) -> None:
    miner = await new_miner(hashrate_ths=234.5)
    at = now() - timedelta(seconds=90)
    await hear_quote(at=at)
    shown = await expected_of(client, miner)
    assert 90 <= shown.pop("quote_age_s") < 150
    assert shown == {
        "basis": "nameplate",
        "hashrate_ths": 234.5,
        "power_w": 3500.0,
        "btc_per_day": "0.00009380",
        "revenue_usd_per_day": "9.380000",
        "cost_usd_per_day": None,
        "profit_usd_per_day": None,
        "tariff": None,
        "quote_at": at.isoformat().replace("+00:00", "Z"),
        "quote_source": "coingecko",
        "stale": False,
        "simulated": False,
        "reason": "no_tariff",
    }


async def test_a_machine_is_rated_as_its_model_is(
    client: httpx.AsyncClient, new_miner: New, know_model: Any, hear_quote: HearQuote
) -> None:
    await know_model("S21 of ours", "our s21", hashrate_ths=200, power_w=3500)
    miner = await new_miner(model="OUR S21", hashrate_ths=None, power_w=None)
    await hear_quote()
    assert (await expected_of(client, miner))["btc_per_day"] == "0.00008000"


@pytest.mark.usefixtures("hear_quote")
async def test_without_a_quote_nothing_is_claimed(
    client: httpx.AsyncClient, new_miner: New
) -> None:
    miner = await new_miner()
    for shown in (await expected_of(client, miner), await expected_in_all(client)):
        assert {shown[figure] for figure in FIGURES} == {None}
        assert (shown["reason"], shown["quote_at"], shown["quote_age_s"]) == (
            "no_quote",
            None,
            None,
        )
        assert (shown["stale"], shown["simulated"]) == (None, None)


async def test_the_tiles_sum_up_what_active_machines_are_rated_for(
    client: httpx.AsyncClient, new_site: New, new_miner: New, deliver: Any, hear_quote: HearQuote
) -> None:
    north, south = await new_site(name="North"), await new_site(name="South")
    await new_miner(site_id=north["id"], hashrate_ths=100.1)
    await new_miner(site_id=north["id"], hashrate_ths=200.2)
    await new_miner(site_id=south["id"], hashrate_ths=300)
    silent = await new_miner(site_id=south["id"], hashrate_ths=400)
    await new_miner(site_id=south["id"], hashrate_ths=500, approve=False)
    await hear_quote()
    await deliver(
        "telemetry.miner-state.went-offline.v1",
        {"miner_id": silent["id"], "site_id": south["id"], "timestamp": now()},
    )
    shown = (await client.get(KPI)).json()
    by_site = {site["site_name"]: site for site in shown["by_site"]}
    assert by_site["North"]["active_hashrate_ths"] == 300.3
    assert by_site["North"]["expected"]["revenue_usd_per_day"] == "12.012000"
    assert by_site["South"]["expected"]["btc_per_day"] == "0.00012000"
    assert shown["expected"]["hashrate_ths"] == shown["active_hashrate_ths"] == 600.3
    assert shown["expected"]["revenue_usd_per_day"] == "24.012000"
    assert shown["expected"]["reason"] == "no_tariff"


async def test_kept_tiles_are_worth_what_the_newest_quote_says(
    client: httpx.AsyncClient, new_miner: New, hear_quote: HearQuote
) -> None:
    def counts() -> float:
        labels = {"name": "hosting-tiles", "result": "miss"}
        return REGISTRY.get_sample_value("cache_reads_total", labels) or 0

    await new_miner(hashrate_ths=100)
    assert (await expected_in_all(client))["reason"] == "no_quote"
    counted = counts()
    await hear_quote(version=1, age_s=300)
    first = await expected_in_all(client)
    assert (first["revenue_usd_per_day"], first["quote_age_s"] >= 300) == ("4.000000", True)
    await hear_quote(version=2, age_s=0, hashprice_usd_per_ths_day="0.050000000")
    second = await expected_in_all(client)
    assert (second["revenue_usd_per_day"], second["quote_age_s"] < 300) == ("5.000000", True)
    assert counts() == counted


async def test_a_client_sees_what_its_own_machines_should_earn(
    client: httpx.AsyncClient,
    client_as: ClientAs,
    new_site: New,
    new_miner: New,
    know_client: Callable[[], Awaitable[UUID]],
    hear_quote: HearQuote,
) -> None:
    customer = await know_client()
    site = await new_site()
    await new_miner(site_id=site["id"], hashrate_ths=100)
    own = await new_miner(site_id=site["id"], hashrate_ths=200, client_id=str(customer))
    await hear_quote()
    callers = {
        "12.000000": client,
        "8.000000": client_as(client_id=customer),
        "0.000000": client_as(client_id=new_id()),
    }
    for revenue, caller in callers.items():
        assert (await expected_in_all(caller))["revenue_usd_per_day"] == revenue
    at_the_site = (await callers["8.000000"].get(KPI)).json()["by_site"]
    assert [it["expected"]["revenue_usd_per_day"] for it in at_the_site] == ["8.000000"]
    assert (await expected_of(callers["8.000000"], own))["revenue_usd_per_day"] == "8.000000"
    strange = await callers["0.000000"].get(f"/api/hosting/miners/{own['id']}/detail")
    assert strange.status_code == 404


@pytest.mark.parametrize("spoilt", [{"stale": True}, {"silent_s": 16 * 60}, {"simulated": True}])
async def test_a_doubtful_quote_says_so(
    client: httpx.AsyncClient, new_miner: New, hear_quote: HearQuote, spoilt: Made
) -> None:
    miner = await new_miner()
    await hear_quote(**spoilt)
    shown = await expected_of(client, miner)
    assert shown["simulated"] == ("simulated" in spoilt)
    assert shown["stale"] == ("simulated" not in spoilt)
    assert shown["btc_per_day"] == "0.00008000"


async def test_old_news_and_other_pairs_change_nothing(
    client: httpx.AsyncClient, new_miner: New, hear_quote: HearQuote, organisation: UUID
) -> None:
    miner = await new_miner(hashrate_ths=100)
    await hear_quote(version=5)
    other = {"hashprice_usd_per_ths_day": "9.000000000"}
    await hear_quote(version=4, **other)
    await hear_quote(version=5, age_s=600, **other)
    await hear_quote(version=6, pair="BTC/EUR", **other)
    await hear_quote(version=7, organisation_id=organisation, **other)
    assert (await expected_of(client, miner))["revenue_usd_per_day"] == "4.000000"
    await hear_quote(version=6, **other)
    assert (await expected_of(client, miner))["revenue_usd_per_day"] == "900.000000"


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-0.04", "0", "1e400", "dear", None])
async def test_a_hashprice_that_is_none_is_not_kept(
    client: httpx.AsyncClient, new_miner: New, hear_quote: HearQuote, price: str | None
) -> None:
    miner = await new_miner(hashrate_ths=100)
    await hear_quote(version=1)
    await hear_quote(version=2, hashprice_usd_per_ths_day=price)
    assert (await expected_of(client, miner))["revenue_usd_per_day"] == "4.000000"
