"""Costs over HTTP: lists, sums, trends, sites, records by hand."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from httpx import AsyncClient

from common.clock import now
from common.ids import new_id
from common.testing import ClientFor

DAY = datetime(2026, 5, 4, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
Make = Callable[..., Awaitable[Any]]
COSTS = "/api/electricity/costs"
SUMMARY = "/api/electricity/costs/summary"
RECORD = "/api/electricity/record-costs"
WHEN = {"start_date": "2026-05-04", "end_date": "2026-05-04"}
CLIENT_SCOPES = frozenset({"miners:read", "telemetry:read", "costs:read", "wind:read"})


async def got(client: AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["ok"] is True
    return found


async def test_costs_are_listed_newest_first_in_bounded_pages(
    client: AsyncClient, new_site: Make, new_rate: Make, close_day: Make, rate: Make
) -> None:
    site = await new_site()
    made = await new_rate()
    await close_day(site, DAY, NEXT, [(new_id(), None, 1.5, 100.0)])
    await rate()
    page = await got(client, COSTS, **WHEN, limit=40)
    assert (page["count"], page["total"], page["pages"], page["limit"]) == (40, 48, 2, 40)
    last = await got(client, COSTS, **WHEN, limit=40, page=2)
    assert last["count"] == 8
    every = page["costs"] + last["costs"]
    starts = [one["period_start"] for one in every]
    assert starts == sorted(starts, reverse=True)
    assert every[0]["period_end"] == "2026-05-05T00:00:00Z"
    row = every[-1]
    assert (row["miner_ip"], row["location"], row["total_kwh"]) == (None, "Odessa", "1.500000")
    assert (row["energy_cost_usd"], row["rate_name"]) == ("0.180000", made["name"])
    assert (row["avg_power_kw"], row["rate_version"]) == ("3.000000", 1)
    assert (await got(client, COSTS, **WHEN, page=3))["costs"] == []
    assert (await got(client, COSTS))["total"] == 0
    assert (await got(client, COSTS, **WHEN, location="  ODESSA "))["total"] == 48
    assert (await got(client, COSTS, **WHEN, location="Elsewhere"))["total"] == 0


async def test_a_machine_is_asked_for_by_id_or_address(
    client: AsyncClient,
    new_site: Make,
    new_miner: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
) -> None:
    site = await new_site()
    await new_rate()
    machine = await new_miner(site, ip="127.64.0.9")
    for at, kwh in ((DAY, 1.5), (DAY + HALF_HOUR, None)):
        await close(site, at, [(new_id(), None, 2.0, 1.0), (machine, None, kwh, 100.0)])
    await rate()
    by_id = await got(client, COSTS, **WHEN, miner_id=machine)
    by_ip = await got(client, COSTS, **WHEN, miner_ip="127.64.0.9")
    newest, oldest = by_id["costs"]
    assert (newest["total_kwh"], newest["energy_cost_usd"]) == (None, None)
    assert newest["unknown_machines"] == 1
    assert (oldest["total_kwh"], oldest["energy_cost_usd"]) == ("1.500000", "0.180000")
    assert (oldest["miner_ip"], oldest["miner_id"]) == ("127.64.0.9", str(machine))
    assert [one["period_start"] for one in by_ip["costs"]] == [
        one["period_start"] for one in by_id["costs"]
    ]
    sums = await got(client, SUMMARY, **WHEN, miner_ip="127.64.0.9")
    assert (sums["total_cost_usd"], sums["coverage_percent"]) == ("0.180000", "50.000000")
    assert sums["tou_breakdown_usd"] == {"Flat": "0.180000"}
    assert sums["fixed_charges"] == "not of single machines and clients"
    await new_miner(site, ip="127.64.0.9")
    twice = await client.get(COSTS, params={"miner_ip": "127.64.0.9"})
    assert (twice.status_code, twice.json()["code"]) == (422, "miner_unclear")
    assert (await got(client, COSTS, **WHEN, miner_ip="127.64.0.77"))["total"] == 0


async def test_a_summary_says_what_was_real_and_what_is_estimated(
    client: AsyncClient,
    new_site: Make,
    new_miner: Make,
    new_rate: Make,
    close_day: Make,
    rate: Make,
) -> None:
    empty = await got(client, SUMMARY)
    assert (empty["estimate_basis"], empty["estimated_daily_cost_usd"]) == (None, None)
    assert (empty["total_cost_usd"], empty["num_records"]) == (None, 0)
    site = await new_site()
    await new_rate(daily_service_charge_usd="0.50")
    machine = await new_miner(site)
    guess = await got(client, SUMMARY)
    # 3,500 W for a day at 0.12, and the service charge.
    assert (guess["estimate_basis"], guess["estimated"]) == ("nameplate", True)
    assert guess["estimated_daily_cost_usd"] == "10.580000"
    assert guess["estimated_monthly_cost_usd"] == "317.400000"
    assert guess["estimate"]["num_miners"] == 1
    await close_day(site, DAY, NEXT, [(machine, None, 1.5, 100.0)])
    await rate()
    real = await got(client, SUMMARY, **WHEN)
    assert (real["estimate_basis"], real["estimated"]) == ("recorded", False)
    assert (real["total_cost_usd"], real["total_kwh"]) == ("9.140000", "72.000000")
    assert (real["estimated_daily_cost_usd"], real["num_records"]) == ("9.140000", 48)
    assert real["estimated_monthly_cost_usd"] == "274.200000"
    assert real["tou_breakdown_usd"] == {"Flat": "8.640000"}
    assert real["avg_rate_usd_per_kwh"] == "0.126944"
    assert real["estimate"]["real_to_estimated_percent"] == "86.389414"
    assert real["by_currency"][0]["service_charge_usd"] == "0.500000"
    assert real["fixed_charges"] == "included"


async def test_a_month_is_estimated_with_its_peak_once(
    client: AsyncClient, new_site: Make, new_rate: Make, close_day: Make, rate: Make
) -> None:
    site = await new_site()
    await new_rate(demand_charge_usd_per_kw="10", taxes=[{"name": "VAT", "percent": "10"}])
    await close_day(site, DAY, NEXT, [(new_id(), None, 1.5, 100.0)])
    await rate()
    real = await got(client, SUMMARY, **WHEN)
    # 72 kWh at 0.12 on each of thirty days, 3 kW at 10 once, and a tenth of both.
    assert real["demand_charge_usd"] == "0.967742"  # of the month's 30.00, a day
    assert real["estimated_monthly_cost_usd"] == "318.120000"
    assert real["estimated_daily_cost_usd"] == "10.604000"


async def test_several_currencies_are_never_added_up(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    dollars, pounds = await new_site(), await new_site(location="London")
    await new_rate(site_id=str(dollars))
    await new_rate(site_id=str(pounds), currency="GBP", name="Pounds")
    for site in (dollars, pounds):
        await close(site, DAY, [(new_id(), None, 1.0, 1.0)])
    await rate()
    sums = await got(client, SUMMARY, **WHEN)
    assert (sums["total_cost_usd"], sums["total_kwh"]) == (None, "2.000000")
    assert {one["currency"]: one["total_cost_usd"] for one in sums["by_currency"]} == {
        "USD": "0.120000", "GBP": "0.120000",
    }  # fmt: skip
    assert "several currencies" in sums["notes"][0]
    one = await got(client, SUMMARY, **WHEN, site_id=pounds)
    assert (one["currency"], one["total_cost_usd"]) == ("GBP", "0.120000")


async def test_a_client_sees_its_own_machines_and_no_charge_of_the_site(
    client: AsyncClient,
    client_as: ClientFor,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
) -> None:
    site, mine, own, others = await new_site(), new_id(), new_id(), new_id()
    await new_rate(daily_service_charge_usd="48", demand_charge_usd_per_kw="5")
    foreign = new_id()
    rows = [(own, mine, 1.0, 10.0), (foreign, others, 2.0, 20.0), (new_id(), None, 4.0, 40.0)]
    await close(site, DAY, rows)
    await rate()
    seen = client_as(role="Client", scopes=CLIENT_SCOPES, client_id=mine)
    sums = await got(seen, SUMMARY, **WHEN)
    assert (sums["total_kwh"], sums["total_cost_usd"]) == ("1.000000", "0.120000")
    assert (sums["service_charge_usd"], sums["demand_charge_usd"]) == ("0.000000", "0.000000")
    [record] = (await got(seen, COSTS, **WHEN))["costs"]
    assert (record["client_id"], record["energy_cost_usd"]) == (str(mine), "0.120000")
    for params in ({"client_id": others}, {"miner_id": foreign}):
        assert (await got(seen, COSTS, **WHEN, **params))["total"] == 0
        assert (await got(seen, SUMMARY, **WHEN, **params))["total_kwh"] == "0.000000"
    assert (await got(seen, COSTS, **WHEN, miner_id=own))["total"] == 1
    sites = await got(seen, "/api/electricity/costs/compare-sites", **WHEN)
    assert sites["sites"][0]["amounts"][0]["total_cost_usd"] == "0.120000"
    trend = await got(seen, "/api/electricity/trends", **WHEN)
    assert [one["amounts"]["total_kwh"] for one in trend["points"]] == ["1.000000"]
    for by, count in (("machine", 1), ("client", 1), ("site", 1)):
        lines = await got(seen, "/api/electricity/profit-and-loss", **WHEN, by=by)
        assert [one["total_kwh"] for one in lines["items"]] == ["1.000000"] * count
        assert lines["items"][0]["fixed_charges_usd"] is None
    periods = await got(seen, "/api/electricity/profit-by-period", **WHEN)
    assert [one["total_kwh"] for one in periods["periods"]] == ["1.000000"]
    assert (await seen.post(RECORD, json={})).status_code == 403
    assert (await seen.post("/api/electricity/rerate", json={})).status_code == 403
    stranger = client_as(organisation_id=new_id())
    assert (await got(stranger, SUMMARY, **WHEN))["total_kwh"] == "0.000000"
    other_site = await stranger.get(COSTS, params={"site_id": str(site)})
    assert (other_site.status_code, other_site.json()["code"]) == (404, "site_unknown")


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"limit": 0}, 422),
        ({"limit": -1}, 422),
        ({"limit": 1_000_000_000}, 422),
        ({"page": 0}, 422),
        ({"start_date": "2026-05-05", "end_date": "2026-05-04"}, 422),
        ({"start_date": "2025-02-30"}, 422),
        ({"start_date": "20250304"}, 422),
        ({"start_date": "0001-01-01", "end_date": "0001-01-02"}, 422),
        ({"start_date": "2020-01-01", "end_date": "2026-01-01"}, 422),
        ({"location": "x" * 129}, 422),
        ({"miner_id": "1'; DROP TABLE"}, 422),
        ({"client_id": str(new_id()), "start_date": "2026-01-01"}, 422),
        ({"site": "x"}, 422),
        ({"location": "<script>' OR 1=1"}, 200),
    ],
)
async def test_bad_questions(client: AsyncClient, params: dict[str, Any], status: int) -> None:
    answer = await client.get(COSTS, params=params)
    assert answer.status_code == status, answer.text
    if "limit" in params:
        assert "1000" in answer.text or params["limit"] <= 0


async def test_trends_by_day_month_and_season_beside_the_year_before(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    site = await new_site()
    await new_rate(daily_service_charge_usd="0.10")
    for at, kwh in (
        (datetime(2025, 1, 10, tzinfo=UTC), 1.0), (datetime(2025, 12, 31, 23, 30, tzinfo=UTC), 2.0),
        (datetime(2026, 1, 10, tzinfo=UTC), 3.0), (datetime(2026, 3, 1, tzinfo=UTC), 4.0),
    ):  # fmt: skip
        await close(site, at, [(new_id(), None, kwh, 1.0)])
    await rate()
    span = {"start_date": "2025-12-01", "end_date": "2026-03-31"}
    path = "/api/electricity/trends"
    days = (await got(client, path, **span))["points"]
    assert [(one["label"], one["amounts"]["total_kwh"]) for one in days] == [
        ("2025-12-31", "2.000000"), ("2026-01-10", "3.000000"), ("2026-03-01", "4.000000"),
    ]  # fmt: skip
    assert days[0]["amounts"]["total_cost_usd"] == "0.340000"
    months = (await got(client, path, **span, interval="month", compare="previous_year"))["points"]
    assert [one["label"] for one in months] == ["2025-12", "2026-01", "2026-03"]
    assert months[1]["previous_year"]["total_kwh"] == "1.000000"
    assert (months[1]["change_percent"], months[0]["previous_year"]) == ("109.090909", None)
    seasons = (await got(client, path, **span, interval="season"))["points"]
    assert [(one["label"], one["amounts"]["total_kwh"]) for one in seasons] == [
        ("2026 winter", "5.000000"), ("2026 spring", "4.000000"),
    ]  # fmt: skip
    assert (await client.get(path, params={"interval": "year"})).status_code == 422


async def test_sites_stand_beside_each_other_the_cheapest_first(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    dear, cheap = await new_site(location="Dear"), await new_site(location="Cheap")
    await new_rate(site_id=str(dear), flat_rate_usd_per_kwh="0.30")
    await new_rate(site_id=str(cheap), flat_rate_usd_per_kwh="0.05")
    for site in (dear, cheap):
        await close(site, DAY, [(new_id(), None, 2.0, 1.0)])
    await rate()
    found = await got(client, "/api/electricity/costs/compare-sites", **WHEN)
    assert [(one["name"], one["amounts"][0]["total_cost_usd"]) for one in found["sites"]] == [
        ("Cheap", "0.100000"), ("Dear", "0.600000"),
    ]  # fmt: skip


async def test_a_record_by_hand_is_kept_once(client: AsyncClient, new_rate: Make) -> None:
    await new_rate(daily_service_charge_usd="0.50")
    body = {"period_start": DAY.isoformat(), "period_end": NEXT.isoformat(), "power_w": 3000,
            "location": "Barn"}  # fmt: skip
    first = await client.post(RECORD, json=body)
    assert first.status_code == 201, first.text
    assert first.json()["cost"]["total_cost_usd"] == "9.140000"
    again = await client.post(RECORD, json=body)
    assert (again.status_code, again.json()["created"]) == (201, False)
    assert again.json()["cost"]["id"] == first.json()["cost"]["id"]
    other = await client.post(RECORD, json=body | {"power_w": 4000})
    assert (other.status_code, other.json()["code"]) == (409, "already_recorded")
    overlap = body | {"period_start": (DAY + timedelta(hours=12)).isoformat()}
    assert (await client.post(RECORD, json=overlap)).status_code == 409
    machine = await client.post(RECORD, json=body | {"miner_ip": "10.0.0.7", "power_w": 1000})
    assert machine.json()["cost"]["service_charge_usd"] == "0.000000"
    sums = await got(client, SUMMARY, **WHEN, location="barn")
    # The whole fleet's record counts, not its machine's beside it.
    assert (sums["total_cost_usd"], sums["num_records"]) == ("9.140000", 1)
    assert (await got(client, COSTS, **WHEN, miner_ip="10.0.0.7"))["total"] == 1


async def test_telemetry_counts_before_records_by_hand(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    site = await new_site()
    await new_rate()
    body = {"period_start": DAY.isoformat(), "period_end": (DAY + HALF_HOUR).isoformat(),
            "total_kwh": "7", "site_id": str(site)}  # fmt: skip
    assert (await client.post(RECORD, json=body)).status_code == 201
    assert (await got(client, SUMMARY, **WHEN))["total_kwh"] == "7.000000"
    await close(site, DAY, [(new_id(), None, 2.0, 1.0)])
    await rate()
    assert (await got(client, SUMMARY, **WHEN))["total_kwh"] == "2.000000"
    assert (await got(client, COSTS, **WHEN))["total"] == 1
    late = await client.post(RECORD, json=body | {"total_kwh": "8"})
    assert (late.status_code, late.json()["code"]) == (409, "already_recorded")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"power_w": -1}, "invalid"),
        ({"power_w": "NaN"}, "invalid"),
        ({"power_w": 1e11}, "invalid"),
        ({"power_w": True}, "invalid"),
        ({"power_w": None}, "record_refused"),
        ({"total_kwh": 1}, "record_refused"),
        ({"period_end": DAY.isoformat()}, "record_refused"),
        ({"period_end": (DAY + timedelta(days=3)).isoformat()}, "record_refused"),
        ({"period_start": (now() + timedelta(hours=1)).isoformat(),
          "period_end": (now() + timedelta(hours=2)).isoformat()}, "record_refused"),
        ({"miner_ip": "x" * 65}, "invalid"),
        ({"rate": 5}, "invalid"),
    ],
)  # fmt: skip
async def test_what_cannot_be_recorded(
    client: AsyncClient, new_rate: Make, changes: dict[str, Any], code: str
) -> None:
    await new_rate()
    body = {"period_start": DAY.isoformat(), "period_end": NEXT.isoformat(), "power_w": 0}
    answer = await client.post(RECORD, json=body | changes)
    assert (answer.status_code, answer.json()["code"].startswith(code[:6])) == (422, True)


async def test_no_rate_records_nothing_and_no_power_costs_nothing(
    client: AsyncClient, new_rate: Make
) -> None:
    body = {"period_start": DAY.isoformat(), "period_end": NEXT.isoformat(), "power_w": 0}
    answer = await client.post(RECORD, json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_active_rate")
    await new_rate()
    made = (await client.post(RECORD, json=body)).json()["cost"]
    assert (made["total_cost_usd"], made["avg_rate_usd_per_kwh"]) == ("0.000000", None)
    missing = await client.post(RECORD, json=body | {"miner_id": str(new_id())})
    assert (missing.status_code, missing.json()["code"]) == (404, "miner_unknown")


async def test_amounts_are_text_with_six_places(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    site = await new_site()
    await new_rate(flat_rate_usd_per_kwh="0.123456789")
    await close(site, DAY, [(new_id(), None, 1.000001, 1.0)])
    await rate()
    [row] = (await got(client, COSTS, **WHEN))["costs"]
    assert Decimal(row["energy_cost_usd"]) == Decimal("0.123457")
    assert row["avg_rate_usd_per_kwh"] == "0.123457"


async def test_a_machines_record_names_the_version_the_period_and_what_is_uniform(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    site, one, other = await new_site(), new_id(), new_id()
    schedule = [
        {"name": "Night", "rate": "0.10", "days": list(range(7)), "start": "00:00",
         "end": "06:15"},
        {"name": "Day", "rate": "0.20", "days": list(range(7)), "start": "06:15",
         "end": "24:00"},
    ]  # fmt: skip
    made = await new_rate(rate_type="tou", flat_rate_usd_per_kwh=None, tou_schedule=schedule)
    later = {"flat_rate_usd_per_kwh": "0.50", "rate_type": "flat", "tou_schedule": None,
             "valid_from": (DAY + timedelta(hours=12)).isoformat()}  # fmt: skip
    assert (await client.put(f"/api/electricity/rates/{made['id']}", json=later)).is_success
    for hour in (0, 6, 12):
        at = DAY + timedelta(hours=hour)
        await close(site, at, [(one, other, 1.0, 1.0), (new_id(), None, 3.0, 1.0)])
    await rate()
    for scope in ({"miner_id": one}, {"client_id": other}):
        noon, split, night = (await got(client, COSTS, **WHEN, **scope))["costs"]
        assert (noon["rate_version"], noon["tou_breakdown_usd"]) == (2, {"Flat": "0.500000"})
        assert (split["rate_version"], split["energy_taken_as_uniform"]) == (1, True)
        assert split["energy_cost_usd"] == "0.150000"
        assert split["tou_breakdown_usd"] == {"Night": "0.050000", "Day": "0.100000"}
        assert (night["energy_taken_as_uniform"], noon["energy_taken_as_uniform"]) == (False, False)
        sums = await got(client, SUMMARY, **WHEN, **scope)
        assert sums["uniform_half_hours"] == 1
        assert "uniform" in sums["notes"][0]
        assert sums["tou_breakdown_usd"] == {
            "Day": "0.100000", "Flat": "0.500000", "Night": "0.150000",
        }  # fmt: skip
        assert (await got(client, COSTS, **WHEN, **scope, period="Night"))["total"] == 2
    assert (await got(client, COSTS, **WHEN, period="Day"))["total"] == 1
    assert (await got(client, COSTS, **WHEN, period="None"))["total"] == 0


async def test_without_an_interval_the_last_hour_is_recorded(
    client: AsyncClient, new_rate: Make
) -> None:
    await new_rate()
    made = (await client.post(RECORD, json={"power_w": "2000"})).json()["cost"]
    assert (made["duration_hours"], made["energy_cost_usd"]) == ("1.000000", "0.240000")
    half = await client.post(RECORD, json={"power_w": 1, "period_start": DAY.isoformat()})
    assert (half.status_code, half.json()["code"]) == (422, "record_refused")
