"""What a summary estimates by the machines' rating, and spans of which nothing can be known."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from common.clock import now

Make = Callable[..., Awaitable[Any]]
SUMMARY = "/api/electricity/costs/summary"
SPANS = ("/api/electricity/costs", SUMMARY, "/api/electricity/trends",
         "/api/electricity/costs/compare-sites", "/api/electricity/profit-by-period",
         "/api/electricity/profit-and-loss")  # fmt: skip


async def estimated(client: AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await client.get(SUMMARY, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_estimate_holds_a_months_charges_once(
    client: AsyncClient, new_site: Make, new_miner: Make, new_rate: Make
) -> None:
    machine = await new_miner(await new_site())
    await new_rate(
        daily_service_charge_usd="0.50", demand_charge_usd_per_kw="10",
        taxes=[{"name": "VAT", "percent": "10"}],
    )  # fmt: skip
    found = await estimated(client)
    # 2,520 kWh at 0.12, thirty days of 0.50, 3.5 kW at 10 once, and a tenth of it all.
    assert found["estimated_monthly_cost_usd"] == "387.640000"
    assert found["estimated_daily_cost_usd"] == "12.921333"
    alone = await estimated(client, miner_id=machine)
    assert alone["estimated_monthly_cost_usd"] == "302.400000"


async def test_an_estimates_steps_are_a_months(
    client: AsyncClient, new_site: Make, new_miner: Make, new_rate: Make
) -> None:
    await new_miner(await new_site())
    steps = [{"up_to_kwh": "1000", "rate": "0.10"}, {"up_to_kwh": None, "rate": "0.20"}]
    await new_rate(rate_type="tiered", flat_rate_usd_per_kwh=None, tiered_rates=steps)
    assert (await estimated(client))["estimated_monthly_cost_usd"] == "404.000000"


async def test_each_site_is_estimated_by_its_own_rate(
    client: AsyncClient, new_site: Make, new_miner: Make, new_rate: Make
) -> None:
    one, other = await new_site(location="One"), await new_site(location="Other")
    await new_miner(one)
    for _ in range(2):
        await new_miner(other)
    await new_rate(site_id=str(one), daily_service_charge_usd="0.50", name="First")
    none = await estimated(client)
    assert (none["estimate"], none["estimated_daily_cost_usd"]) == (None, None)
    assert "no rate is in force" in none["notes"][0]
    await new_rate(site_id=str(other), flat_rate_usd_per_kwh="0.05", name="Second")
    found = {
        place: (await estimated(client, **({"location": place} if place else {})))["estimate"]
        for place in ("one", "OTHER", "")
    }
    assert [one["num_miners"] for one in found.values()] == [1, 2, 3]
    assert [one["monthly_cost_usd"] for one in found.values()] == [
        "317.400000", "252.000000", "569.400000",
    ]  # fmt: skip
    assert [one["rate_name"] for one in found.values()] == ["First", "Second", "First, Second"]
    assert (found["one"]["rate_version"], found[""]["rate_version"]) == (1, None)
    assert (await estimated(client, location="Nowhere"))["estimate"] is None


async def test_machines_without_a_rate_are_never_estimated_at_nothing(
    client: AsyncClient, new_site: Make, new_miner: Make
) -> None:
    await new_miner(await new_site())
    found = await estimated(client)
    assert (found["estimated_daily_cost_usd"], found["estimated_monthly_cost_usd"]) == (None, None)
    assert (found["total_cost_usd"], found["estimate_basis"]) == (None, None)
    assert found["notes"] == ["Nothing is estimated: no rate is in force for some of the machines."]


async def test_a_month_of_an_index_is_estimated_by_the_last(
    client: AsyncClient, new_site: Make, new_miner: Make, new_rate: Make
) -> None:
    await new_miner(await new_site())
    made = await client.post(
        "/api/electricity/index-series", json={"name": "Spot", "currency": "USD"}
    )
    assert made.status_code == 201, made.text
    series = made.json()["series"]["id"]
    await new_rate(rate_type="index", flat_rate_usd_per_kwh=None, index_series_id=series)
    assert "price" in (await estimated(client))["notes"][0]
    start = (now() - timedelta(days=95)).replace(hour=0, minute=0, second=0, microsecond=0)
    prices = {"prices": [{"start": start.isoformat(), "price_per_mwh": "100"}]}
    more = await client.post(f"/api/electricity/index-series/{series}/prices", json=prices)
    assert more.is_success, more.text
    assert (await estimated(client))["estimated_monthly_cost_usd"] == "252.000000"


@pytest.mark.parametrize("path", SPANS)
@pytest.mark.parametrize(
    ("first", "last", "field"),
    [(3, 5, "start_date"), (3, None, "start_date"), (None, 40, "end_date")],
)
async def test_the_future_is_no_span(
    client: AsyncClient, path: str, first: int | None, last: int | None, field: str
) -> None:
    params = {
        name: str((now() + timedelta(days=days)).date())
        for name, days in (("start_date", first), ("end_date", last))
        if days is not None
    }
    answer = await client.get(path, params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "span_refused")
    assert answer.json()["field"] == field
