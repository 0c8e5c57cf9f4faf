"""Long schedules, letters beyond ASCII, pages: what a stranger's patch was found to lack."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.testing import TenantSessions
from energy.facts.models import Site
from energy.main import create_app
from energy.settings import Settings

RATES = "/api/electricity/rates"
SERIES = "/api/electricity/index-series"
FLAT: dict[str, Any] = {
    "name": "Flat",
    "rate_type": "flat",
    "flat_rate_usd_per_kwh": "0.12",
    "daily_service_charge_usd": "0.50",
    "timezone": "UTC",
}
LOAD = {"power_w": 3000, "start_time": "2026-07-01T00:00:00Z", "end_time": "2026-07-02T00:00:00Z"}
MONEY = (
    "energy_cost_usd", "service_charge_usd", "demand_charge_usd", "coincident_charge_usd",
    "minimum_top_up_usd", "credits_usd", "taxes_usd", "export_credit_usd", "total_cost_usd",
    "avg_rate_usd_per_kwh", "avg_energy_rate_usd_per_kwh",
)  # fmt: skip
NewSite = Callable[..., Awaitable[UUID]]


def six_places(text: str) -> bool:
    return len(text.partition(".")[2]) == 6 and text != "-0.000000"


async def test_money_always_has_six_places(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/electricity/calculate", json=LOAD | {"rate": FLAT})
    found = answer.json()
    assert found["total_cost_usd"] == "9.140000"
    assert found["demand_charge_usd"] == "0.000000"
    assert found["credits_usd"] == "0.000000"
    assert all(six_places(found[name]) for name in MONEY), found
    assert all(six_places(one) for one in found["tou_breakdown_usd"].values())
    assert all(six_places(line["amount_usd"]) for line in found["lines"])
    assert all(six_places(line["quantity"]) for line in found["lines"])
    assert all(six_places(found[name]) for name in ("total_kwh", "exported_kwh", "duration_hours"))


async def test_compared_money_has_six_places(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/electricity/compare", json=LOAD | {"rates": [FLAT]})
    [one] = answer.json()["comparisons"]
    assert one["more_than_cheapest_usd"] == "0.000000"
    assert one["demand_charge_usd"] == "0.000000"


async def test_hundreds_of_overlapping_rows_have_a_short_answer(client: httpx.AsyncClient) -> None:
    rows = [
        {"name": f"Row {n}", "rate": "0.1", "start": f"{n // 60:02}:{n % 60:02}", "end": "24:00"}
        for n in range(600)
    ]
    rate = {"rate_type": "tou", "timezone": "UTC", "tou_schedule": rows}
    asked = {"rate": rate, "year": 2026}
    answer = await client.post("/api/electricity/coverage", json=asked)
    found = answer.json()
    assert len(answer.content) < 1_000_000
    assert found["overlaps_total"] >= len(found["overlaps"]) > 0
    assert max(len(span["names"]) for span in found["overlaps"]) == 8
    refused = await client.post(RATES, json=rate | {"name": "Long"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == "schedule_overlaps"


async def test_a_rates_size_is_counted_in_bytes(client: httpx.AsyncClient) -> None:
    rows = [
        {
            "name": "\N{HIGH VOLTAGE SIGN}" * 120,
            "rate": "0.1",
            "start": clock(2 * n),
            "end": clock(2 * n + 2),
        }
        for n in range(300)
    ]
    rate = {
        "name": "Bright", "rate_type": "tou", "timezone": "UTC", "flat_rate_usd_per_kwh": "0.1",
        "tou_schedule": rows,
    }  # fmt: skip
    refused = await client.post(RATES, json=rate)
    assert refused.status_code == 422
    assert refused.json()["code"] == "rate_too_large"


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@pytest.mark.parametrize("asked", ["ZÜRICH  WEST", "Zürich West"])
async def test_locations_beyond_ascii(
    client: httpx.AsyncClient, tenant_session: TenantSessions, new_site: NewSite, asked: str
) -> None:
    site_id = await new_site("Europe/Zurich")
    async with tenant_session() as session:
        site = await session.get_one(Site, site_id)
        site.location = asked
    made = await client.post(RATES, json=FLAT | {"site_id": str(site_id), "active": True})
    assert made.status_code == 201
    of_site = await client.get("/api/electricity/current-rate", params={"location": asked})
    assert of_site.status_code == 200, of_site.text
    await client.post(RATES, json=FLAT | {"location": "zürich west"})
    listed = await client.get(RATES, params={"location": asked})
    assert listed.json()["count"] == 1
    nowhere = await client.get(RATES, params={"location": ""})
    assert nowhere.json()["count"] == 0


async def test_versions_and_series_come_in_pages(client: httpx.AsyncClient) -> None:
    made = await client.post(RATES, json=FLAT)
    rate_id = made.json()["rate"]["id"]
    for price in ("0.13", "0.14"):
        await client.put(f"{RATES}/{rate_id}", json={"flat_rate_usd_per_kwh": price})
    page = (await client.get(f"{RATES}/{rate_id}/versions?limit=1&offset=1")).json()
    assert [one["version"] for one in page["versions"]] == [2]
    assert (page["count"], page["total"]) == (1, 3)
    for name in ("A", "B"):
        await client.post(SERIES, json={"name": name})
    listed = (await client.get(f"{SERIES}?limit=1&offset=1")).json()
    assert [one["name"] for one in listed["series"]] == ["B"]
    assert (listed["count"], listed["total"]) == (1, 2)
    assert (await client.get(f"{SERIES}?limit=0")).status_code == 422


async def test_compared_rates_are_read_at_once_and_keep_their_order(
    client: httpx.AsyncClient,
) -> None:
    ids: list[str] = []
    for price in ("0.3", "0.1", "0.2"):
        made = await client.post(RATES, json=FLAT | {"flat_rate_usd_per_kwh": price})
        ids.append(made.json()["rate"]["id"])
    body = LOAD | {"rate_ids": [*ids, ids[0]]}
    found = (await client.post("/api/electricity/compare", json=body)).json()["comparisons"]
    assert [one["rate_used"]["id"] for one in found] == [ids[1], ids[2], ids[0]]
    assert Decimal(found[2]["more_than_cheapest_usd"]) == Decimal("14.4")


@pytest.mark.parametrize(
    ("intervals", "field"),
    [
        (5, "intervals"),
        ("many", "intervals"),
        ({"start": 1}, "intervals"),
        ([], "intervals"),
        ([5], "intervals"),
        ([{"start": "2026-07-01T00:00:00Z", "end": "2026-07-01T01:00:00Z", "kwh": "x"}], "kwh"),
        ([{"start": "2026-07-01T00:00:00Z", "kwh": "1"}], "end"),
        ([{"end": "tomorrow"}] * 600, "start"),
    ],
)
@pytest.mark.parametrize("path", ["calculate", "compare"])
async def test_what_is_no_list_of_readings_is_refused(
    client: httpx.AsyncClient, path: str, intervals: object, field: str
) -> None:
    rate = {"rate": FLAT} if path == "calculate" else {"rates": [FLAT]}
    body = rate | {"intervals": intervals}
    refused = await client.post(f"/api/electricity/{path}", json=body)
    assert refused.status_code == 422, refused.text
    problem = refused.json()
    assert problem["field"] == field
    assert problem["errors"][0]["pointer"].startswith("/body/intervals")


def test_readings_are_told_in_the_schema_though_they_are_read_later(settings: Settings) -> None:
    schemas = create_app(settings).openapi()["components"]["schemas"]
    told = schemas["Calculation"]["properties"]["intervals"]["anyOf"][0]
    assert told["items"]["$ref"].endswith("/Reading")
    assert told["maxItems"] == 110_000


async def test_a_correction_of_the_first_version_holds_before_it_too(
    client: httpx.AsyncClient,
) -> None:
    since = {"valid_from": "2026-01-01T00:00:00Z"}
    made = await client.post(RATES, json=FLAT | since | {"active": True})
    rate_id = made.json()["rate"]["id"]
    await client.put(f"{RATES}/{rate_id}", json=since | {"flat_rate_usd_per_kwh": "0.21"})
    for asked in ("2025-06-01T00:00:00Z", "2026-06-01T00:00:00Z"):
        found = await client.get("/api/electricity/current-rate", params={"timestamp": asked})
        assert found.json()["rate_usd_per_kwh"] == "0.21"
        assert found.json()["rate"]["version"] == 2


@pytest.mark.parametrize(
    "start", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-07-01", "5"]
)
async def test_a_remote_or_unclear_start_of_prices_is_refused(
    client: httpx.AsyncClient, start: str
) -> None:
    made = (await client.post(SERIES, json={"name": "A"})).json()["series"]["id"]
    refused = await client.get(f"{SERIES}/{made}/prices", params={"start": start})
    assert (refused.status_code, refused.json()["field"]) == (422, "start")


async def test_the_price_that_is_kept_ends_with_its_hours(client: httpx.AsyncClient) -> None:
    rows = [
        {"name": "Night", "rate": "0.08", "start_hour": 21, "end_hour": 7},
        {"name": "Day", "rate": "0.18", "start_hour": 7, "end_hour": 21},
    ]
    rate = {"name": "TOU", "rate_type": "tou", "timezone": "UTC", "tou_schedule": rows}
    made = await client.post(RATES, json=rate | {"active": True})
    asked = [("06:59:59", "Night"), ("03:00:00", "Night"), ("07:00:00", "Day"),
             ("20:59:59", "Day"), ("21:00:00", "Night"), ("06:59:59", "Night")]  # fmt: skip
    for clock_time, name in asked:
        params = {"timestamp": f"2026-07-01T{clock_time}Z"}
        found = (await client.get("/api/electricity/current-rate", params=params)).json()
        assert (found["period"], found["starts_at"] <= params["timestamp"]) == (name, True)
        assert found["ends_at"] > params["timestamp"]
    rows[1]["rate"] = "0.30"
    await client.put(f"{RATES}/{made.json()['rate']['id']}", json={"tou_schedule": rows})
    noon = (await client.get("/api/electricity/current-rate")).json()
    assert noon["rate_usd_per_kwh"] in ("0.08", "0.3")
