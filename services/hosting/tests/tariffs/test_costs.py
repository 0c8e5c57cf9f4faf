"""What machines should cost, by tariffs as the energy service publishes them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.clock import now
from common.ids import new_id

Made = dict[str, Any]
New = Callable[..., Awaitable[Made]]
Hear = Callable[..., Awaitable[Any]]
ClientAs = Callable[..., httpx.AsyncClient]
KPI = "/api/hosting/kpi"


async def expected_of(client: httpx.AsyncClient, miner: Made) -> Made:
    answer = await client.get(f"/api/hosting/miners/{miner['id']}/detail")
    assert answer.status_code == 200, answer.text
    return answer.json()["expected"]


async def kpi(client: httpx.AsyncClient) -> Made:
    answer = await client.get(KPI)
    assert answer.status_code == 200, answer.text
    return answer.json()


def worth(shown: Made) -> tuple[str | None, str | None, str | None]:
    return shown["cost_usd_per_day"], shown["profit_usd_per_day"], shown["reason"]


async def test_a_machines_power_costs_what_the_sites_tariff_says(
    client: httpx.AsyncClient, new_miner: New, hear_quote: Hear, hear_tariff: Hear
) -> None:
    miner = await new_miner(hashrate_ths=200, power_w=3500)
    await hear_quote()
    at = now() - timedelta(days=1)
    rate = await hear_tariff(site_id=miner["site_id"], mean_usd_per_kwh="0.05", at=at)
    shown = await expected_of(client, miner)
    # 3.5 kW x 24 h x 0.05 USD = 4.20 USD; 200 TH/s earn 8 USD.
    assert worth(shown) == ("4.200000", "3.800000", None)
    assert shown["power_w"] == 3500
    assert shown["tariff"] == {
        "rate_id": rate,
        "rate_version": 3,
        "name": "Night and day",
        "mean_usd_per_kwh": "0.050000",
        "at": at.isoformat().replace("+00:00", "Z"),
        "stale": False,
    }


@pytest.mark.usefixtures("hear_quote")
async def test_a_cost_needs_no_quote_and_a_profit_does(
    client: httpx.AsyncClient, new_miner: New, hear_tariff: Hear
) -> None:
    miner = await new_miner(power_w=3500)
    await hear_tariff(mean_usd_per_kwh="0.05")
    assert worth(await expected_of(client, miner)) == ("4.200000", None, "no_quote")


async def test_the_nearest_rate_counts(
    client: httpx.AsyncClient, new_site: New, new_miner: New, hear_quote: Hear, hear_tariff: Hear
) -> None:
    """Nearest is the site's own, then its location's, its name's, the organisation's default."""
    site = await new_site(name="Hall One", location="West  TEXAS")
    miner = await new_miner(site_id=site["id"], power_w=1000)
    await hear_quote()
    assert worth(await expected_of(client, miner))[2] == "no_tariff"
    rates: list[tuple[Made, str, str]] = [
        ({}, "0.10", "2.400000"),
        ({"location": "hall one"}, "0.09", "2.160000"),
        ({"location": "west texas "}, "0.08", "1.920000"),
        ({"site_id": site["id"]}, "0.07", "1.680000"),
    ]
    heard: list[str] = []
    for place, price, cost in rates:
        heard.append(await hear_tariff(mean_usd_per_kwh=price, **place))
        assert worth(await expected_of(client, miner))[0] == cost
    for rate, (place, price, cost) in zip(reversed(heard), reversed(rates), strict=True):
        assert worth(await expected_of(client, miner))[0] == cost
        gone = {"rate_id": rate, "mean_usd_per_kwh": price, **place}
        await hear_tariff(version=2, active=False, removed=True, **gone)
    assert worth(await expected_of(client, miner)) == (None, None, "no_tariff")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"rate_type": "index", "mean_usd_per_kwh": None}, "tariff_varies"),
        ({"currency": "EUR"}, "tariff_not_in_usd"),
        ({"active": False}, "no_tariff"),
    ],
)
async def test_a_tariff_that_tells_no_price_is_named(
    client: httpx.AsyncClient,
    new_miner: New,
    hear_quote: Hear,
    hear_tariff: Hear,
    said: Made,
    reason: str,
) -> None:
    miner = await new_miner(hashrate_ths=100)
    await hear_quote()
    await hear_tariff(site_id=miner["site_id"], **said)
    shown = await expected_of(client, miner)
    assert worth(shown) == (None, None, reason)
    assert shown["revenue_usd_per_day"] == "4.000000"
    assert shown["tariff"] is None


async def test_the_tiles_sum_up_each_site_at_its_own_price(
    client: httpx.AsyncClient,
    new_site: New,
    new_miner: New,
    hear_quote: Hear,
    hear_tariff: Hear,
) -> None:
    north, south = await new_site(name="North"), await new_site(name="South")
    await new_site(name="Empty")
    await new_miner(site_id=north["id"], hashrate_ths=100, power_w=1000)
    await new_miner(site_id=south["id"], hashrate_ths=100, power_w=2000)
    await new_miner(site_id=south["id"], hashrate_ths=100, power_w=9000, approve=False)
    await hear_quote()
    await hear_tariff(site_id=north["id"], mean_usd_per_kwh="0.05")
    shown = await kpi(client)
    by_site = {site["site_name"]: site for site in shown["by_site"]}
    assert worth(by_site["North"]["expected"]) == ("1.200000", "2.800000", None)
    assert worth(by_site["South"]["expected"]) == (None, None, "no_tariff")
    assert worth(shown["expected"]) == (None, None, "no_tariff")
    assert by_site["South"]["active_power_w"] == 2000
    await hear_tariff(site_id=south["id"], mean_usd_per_kwh="0.10")
    shown = await kpi(client)  # counted before, priced now
    assert worth(shown["expected"]) == ("6.000000", "2.000000", None)
    assert shown["expected"]["power_w"] == shown["active_power_w"] == 3000
    assert shown["expected"]["tariff"] is None
    by_site = {site["site_name"]: site["expected"] for site in shown["by_site"]}
    assert by_site["South"]["tariff"]["mean_usd_per_kwh"] == "0.100000"
    assert worth(by_site["Empty"]) == ("0.000000", "0.000000", None)


async def test_a_client_sees_what_its_machines_cost_but_not_the_tariff(
    client: httpx.AsyncClient,
    client_as: ClientAs,
    new_site: New,
    new_miner: New,
    know_client: Callable[[], Awaitable[UUID]],
    hear_quote: Hear,
    hear_tariff: Hear,
) -> None:
    customer, site = await know_client(), await new_site()
    await new_miner(site_id=site["id"], power_w=9000)
    own = await new_miner(
        site_id=site["id"], hashrate_ths=100, power_w=1000, client_id=str(customer)
    )
    await hear_quote()
    await hear_tariff(site_id=site["id"], mean_usd_per_kwh="0.05")
    theirs = client_as(client_id=customer)
    shown = await kpi(theirs)
    for expected in (
        shown["expected"],
        shown["by_site"][0]["expected"],
        await expected_of(theirs, own),
    ):
        assert worth(expected) == ("1.200000", "2.800000", None)
        assert expected["tariff"] is None
    assert worth((await kpi(client))["expected"])[0] == "12.000000"


async def test_a_tariff_is_its_own_organisations(
    client: httpx.AsyncClient, new_miner: New, hear_quote: Hear, hear_tariff: Hear
) -> None:
    miner = await new_miner()
    await hear_quote()
    await hear_tariff(site_id=miner["site_id"], organisation_id=new_id())
    assert worth(await expected_of(client, miner))[2] == "no_tariff"


async def test_old_news_changes_nothing_and_the_newest_of_two_counts(
    client: httpx.AsyncClient, new_miner: New, hear_quote: Hear, hear_tariff: Hear
) -> None:
    miner = await new_miner(power_w=1000)
    await hear_quote()
    rate = await hear_tariff(version=5, mean_usd_per_kwh="0.05")
    await hear_tariff(version=4, rate_id=rate, mean_usd_per_kwh="0.50")
    earlier = now() - timedelta(minutes=1)  # its own end is still on the way
    await hear_tariff(at=earlier, mean_usd_per_kwh="0.90")
    assert worth(await expected_of(client, miner))[0] == "1.200000"


async def test_a_mean_of_a_week_gone_by_is_stale_unless_the_price_is_flat(
    client: httpx.AsyncClient, new_miner: New, hear_quote: Hear, hear_tariff: Hear
) -> None:
    miner = await new_miner()
    await hear_quote()
    at = now() - timedelta(days=8)
    for rate_type, stale in (("tou", True), ("flat", False)):
        await hear_tariff(at=at, rate_type=rate_type)
        at += timedelta(seconds=1)
        shown = await expected_of(client, miner)
        assert shown["tariff"]["stale"] is stale


@pytest.mark.parametrize("mean", ["NaN", "Infinity", "1e400", "cheap"])
async def test_a_mean_that_is_no_number_is_not_kept(
    client: httpx.AsyncClient, new_miner: New, hear_quote: Hear, hear_tariff: Hear, mean: str
) -> None:
    miner = await new_miner(power_w=1000)
    await hear_quote()
    rate = await hear_tariff(mean_usd_per_kwh="0.05")
    await hear_tariff(version=2, rate_id=rate, mean_usd_per_kwh=mean)
    assert worth(await expected_of(client, miner))[0] == "1.200000"
