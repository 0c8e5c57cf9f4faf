"""Rates that no bill can be made by: 422 with the field named, stored and sent along alike."""

from typing import Any

import httpx
import pytest

from common.ids import new_id

RATES = "/api/electricity/rates"
CALCULATE = "/api/electricity/calculate"
DAY = {
    "power_w": 3000,
    "start_time": "2026-07-01T00:00:00Z",
    "end_time": "2026-07-02T00:00:00Z",
}


def flat(**fields: Any) -> dict[str, Any]:
    return {"name": "x", "rate_type": "flat", "flat_rate_usd_per_kwh": "0.12"} | fields


def tou(*rows: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "x", "rate_type": "tou", "tou_schedule": list(rows)} | fields


def row(**fields: Any) -> dict[str, Any]:
    return {"name": "All", "rate": "0.1", "start_hour": 0, "end_hour": 24} | fields


def tiered(*tiers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "x", "rate_type": "tiered", "tiered_rates": list(tiers)} | fields


BAD: list[tuple[dict[str, Any], str]] = [
    # the zone and plain fields
    (flat(timezone="Mars/Olympus"), "timezone"),
    (flat(timezone="../etc/passwd"), "timezone"),
    (flat(timezone="localtime"), "timezone"),
    (flat(timezone=""), "timezone"),
    (flat(rate_type="dear"), "rate_type"),
    (flat(name=""), "name"),
    (flat(name="   "), "name"),
    (flat(name="x" * 129), "name"),
    (flat(name=None), "name"),
    (flat(location="x" * 129), "location"),
    (flat(currency="dollars"), "currency"),
    (flat(currency="usd"), "currency"),
    (flat(flat_rate=0.1), "flat_rate"),
    (flat(season_start_month=13), "season_start_month"),
    (flat(season_start_month=5), "season_end_month"),
    (flat(site_id="7"), "site_id"),
    (flat(index_series_id=str(new_id())), "index_series_id"),
    # money
    (flat(flat_rate_usd_per_kwh="NaN"), "flat_rate_usd_per_kwh"),
    (flat(flat_rate_usd_per_kwh="Infinity"), "flat_rate_usd_per_kwh"),
    (flat(flat_rate_usd_per_kwh="-Infinity"), "flat_rate_usd_per_kwh"),
    (flat(flat_rate_usd_per_kwh="cheap"), "flat_rate_usd_per_kwh"),
    (flat(flat_rate_usd_per_kwh=True), "flat_rate_usd_per_kwh"),
    (flat(flat_rate_usd_per_kwh=-0.01), "flat_rate_usd_per_kwh"),
    (flat(flat_rate_usd_per_kwh="1e400"), "flat_rate_usd_per_kwh"),
    (flat(flat_rate_usd_per_kwh="1e-10"), "flat_rate_usd_per_kwh"),
    (flat(flat_rate_usd_per_kwh=None), "flat_rate_usd_per_kwh"),
    (flat(flat_rate_usd_per_kwh=[0.1]), "flat_rate_usd_per_kwh"),
    (flat(daily_service_charge_usd=-1), "daily_service_charge_usd"),
    (flat(monthly_service_charge_usd="NaN"), "monthly_service_charge_usd"),
    (flat(minimum_monthly_charge_usd=-1), "minimum_monthly_charge_usd"),
    (flat(demand_charge_usd_per_kw=-1), "demand_charge_usd_per_kw"),
    (flat(coincident_peak_usd_per_kw=-1), "coincident_peak_usd_per_kw"),
    (flat(taxes=[{"name": "VAT", "percent": 101}]), "percent"),
    (flat(taxes=[{"name": "VAT"}]), "percent"),
    (flat(credits=[{"name": "C"}]), "usd_per_kwh"),
    # demand
    (flat(demand_interval_minutes=7), "demand_interval_minutes"),
    (flat(demand_interval_minutes=0), "demand_interval_minutes"),
    (flat(demand_window="rolling"), "demand_window"),
    (flat(demand_ratchet_percent=120), "demand_ratchet_percent"),
    (flat(demand_ratchet_percent=80), "demand_ratchet_months"),
    (flat(demand_ratchet_months=-1), "demand_ratchet_months"),
    (flat(coincident_hours=["2026-13-01T00:00:00Z"]), "start"),
    (flat(coincident_hours=[7]), "coincident_hours"),
    (
        flat(coincident_hours=["2026-07-01T17:00:00Z", "2026-07-01T16:30:00Z"]),
        "coincident_hours",
    ),
    (flat(export_usd_per_kwh=-0.01), "export_usd_per_kwh"),
    # schedules
    (tou(), "tou_schedule"),
    (tou(tou_schedule=None), "tou_schedule"),
    (tou(row(start_hour=24)), "start_hour"),
    (tou(row(start_hour=-1)), "start_hour"),
    (tou(row(end_hour=25)), "end_hour"),
    (tou(row(end_hour=-1)), "end_hour"),
    (tou(row(start_hour=7, end_hour=7)), "end"),
    (tou(row(start_hour=0, end_hour=0)), "end"),
    (tou(row(start_hour=7.5)), "start_hour"),
    (tou(row(start_hour="seven")), "start_hour"),
    (tou(row(start_hour=True)), "start_hour"),
    (tou(row(start_hour=None)), "start"),
    (tou(row(end_hour=None)), "end"),
    (tou(row(start="7:30")), "start"),
    (tou(row(start_hour=None, start="24:00")), "start"),
    (tou(row(start_hour=None, start="07:60")), "start"),
    (tou(row(start="07:30")), "start"),
    (tou(row(days=[])), "days"),
    (tou(row(days=[7])), "days"),
    (tou(row(days=[-1])), "days"),
    (tou(row(days=[0, 0])), "days"),
    (tou(row(days=["Monday"])), "days"),
    (tou(row(days=0)), "days"),
    (tou(row(months=[])), "months"),
    (tou(row(months=[0])), "months"),
    (tou(row(months=[13])), "months"),
    (tou(row(day_type="workday")), "day_type"),
    (tou(row(rate="NaN")), "rate"),
    (tou(row(rate=-0.1)), "rate"),
    (tou(row(rate=None)), "rate"),
    (tou(row(rate="0.1", tiers=[{"rate": "0.1"}])), "rate"),
    (tou(row(name="")), "name"),
    (tou(row(colour="red")), "colour"),
    (tou(row(), row(name="Other")), "tou_schedule"),
    (tou(row(end_hour=12)), "tou_schedule"),
    (tou(row(days=[0, 1, 2, 3, 4])), "tou_schedule"),
    (tou(row(months=[1])), "tou_schedule"),
    (tou(row(day_type="weekday")), "tou_schedule"),
    (tou(*[row()] * 601), "tou_schedule"),
    (flat(tou_schedule=[row()]), "tou_schedule"),
    # tiers
    (tiered(), "tiered_rates"),
    (tiered(tiered_rates=None), "tiered_rates"),
    (tiered({"up_to_kwh": 100, "rate": "0.1"}), "tiered_rates"),
    (tiered({"up_to_kwh": 200, "rate": 1}, {"up_to_kwh": 100, "rate": 1}, {"rate": 1}),
     "tiered_rates"),
    (tiered({"up_to_kwh": 100, "rate": 1}, {"up_to_kwh": 100, "rate": 1}, {"rate": 1}),
     "tiered_rates"),
    (tiered({"up_to_kwh": None, "rate": 1}, {"rate": 1}), "tiered_rates"),
    (tiered({"up_to_kwh": 0, "rate": 1}, {"rate": 1}), "up_to_kwh"),
    (tiered({"up_to_kwh": 100, "rate": -1}, {"rate": 1}), "rate"),
    (tiered({"rate": 1}, tier_unit="kwh_per_year"), "tier_unit"),
    (tiered({"rate": 1}, tier_rule="random"), "tier_rule"),
    # holidays
    (flat(holidays=["2025-02-30"]), "holidays"),
    (flat(holidays=["20250304"]), "holidays"),
    (flat(holidays=[20_250_304]), "holidays"),
]  # fmt: skip


@pytest.mark.parametrize(("rate", "field"), BAD)
async def test_bad_rates(client: httpx.AsyncClient, rate: dict[str, Any], field: str) -> None:
    stored = await client.post(RATES, json=rate)
    assert stored.status_code == 422, stored.text
    assert stored.json()["field"] == field, stored.json()
    inline = await client.post(CALCULATE, json=DAY | {"rate": rate})
    assert inline.status_code == 422, inline.text
    assert inline.json()["field"] == field
    assert (await client.get(RATES)).json()["count"] == 0


async def test_the_first_overlap_and_the_first_hole_are_named(client: httpx.AsyncClient) -> None:
    two = tou(row(name="A", end_hour=12), row(name="B", start_hour=10), flat_rate_usd_per_kwh="0.1")
    answer = (await client.post(RATES, json=two)).json()
    assert answer["code"] == "rate_refused"
    assert answer["errors"][0]["code"] == "schedule_overlaps"
    for word in ("monday", "10:00", "12:00", "A", "B"):
        assert word in answer["detail"]
    answer = (await client.post(RATES, json=tou(row(end_hour=22)))).json()
    assert answer["errors"][0]["code"] == "schedule_has_holes"
    for word in ("monday", "22:00", "24:00"):
        assert word in answer["detail"]


@pytest.mark.parametrize(
    "rate",
    [
        flat(flat_rate_usd_per_kwh=0),
        flat(credits=[{"name": "C", "usd_per_kwh": "-0.01"}]),
        flat(name="<script>alert(1)</script>'; DROP TABLE energy.electricity_rates; --"),
        flat(name="=HYPERLINK(1)"),
        {"name": "i", "rate_type": "index", "adder_usd_per_kwh": "-0.01"},
        tou(row(start_hour=0, end_hour=24)),
        tou(row(start_hour=None, end_hour=None, start="00:00", end="24:00")),
        tou(row(start_hour=21, end_hour=7), row(name="P", start_hour=7, end_hour=21)),
        tou(row(end_hour=12), flat_rate_usd_per_kwh="0.1"),
        tou(row(day_type="weekday"), row(name="W", day_type="weekend")),
        tiered({"up_to_kwh": 100, "rate": "0.1"}, {"rate": "0.2"}),
    ],
)
async def test_good_rates(client: httpx.AsyncClient, rate: dict[str, Any]) -> None:
    answer = await client.post(RATES, json=rate)
    assert answer.status_code == 201, answer.text
    assert answer.json()["rate"]["name"] == rate["name"]
    assert (await client.get(RATES)).json()["count"] == 1


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "1000000000"}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"active_only": "perhaps"}, "active_only"),
        ({"location": "x" * 129}, "location"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_bad_lists(client: httpx.AsyncClient, params: dict[str, str], field: str) -> None:
    answer = await client.get(RATES, params=params)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_an_offset_beyond_the_end_is_empty(client: httpx.AsyncClient) -> None:
    await client.post(RATES, json=flat())
    assert (await client.get(RATES, params={"offset": 5})).json() == {
        "ok": True,
        "rates": [],
        "count": 0,
        "total": 1,
    }


@pytest.mark.parametrize(
    ("year", "field"), [("1999", "year"), ("2101", "year"), ("x", "year"), ("2026.5", "year")]
)
async def test_bad_years(client: httpx.AsyncClient, year: str, field: str) -> None:
    await client.post(RATES, json=flat())
    answer = await client.get("/api/electricity/coverage", params={"year": year})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize("valid_from", ["2100-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "soon", 5])
async def test_valid_from_is_not_in_the_future(client: httpx.AsyncClient, valid_from: Any) -> None:
    rate = (await client.post(RATES, json=flat())).json()["rate"]
    url = f"{RATES}/{rate['id']}"
    for answer in (
        await client.post(RATES, json=flat(valid_from=valid_from)),
        await client.put(url, json={"valid_from": valid_from}),
        await client.post(f"{url}/activate", json={"valid_from": valid_from}),
    ):
        assert (answer.status_code, answer.json()["field"]) == (422, "valid_from")


async def test_a_change_is_checked_as_a_whole(client: httpx.AsyncClient) -> None:
    rate = (await client.post(RATES, json=tou(row(), timezone="UTC"))).json()["rate"]
    url = f"{RATES}/{rate['id']}"
    answer = await client.put(url, json={"rate_type": "flat"})
    assert (answer.status_code, answer.json()["field"]) == (422, "flat_rate_usd_per_kwh")
    answer = await client.put(url, json={"tou_schedule": []})
    assert (answer.status_code, answer.json()["field"]) == (422, "tou_schedule")
    answer = await client.put(url, json={"name": None})
    assert (answer.status_code, answer.json()["field"]) == (422, "name")
    assert (await client.get(url)).json()["rate"] == rate


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b'"x"', 422),
        (b'{"name": "x", "flat_rate_usd_per_kwh": NaN}', 400),
        (b'{"name": "a", "name": "b", "flat_rate_usd_per_kwh": 1}', 400),
        (b'{"name": "\\u0000", "flat_rate_usd_per_kwh": 1}', 422),
        (b'{"name": "\\ud800", "flat_rate_usd_per_kwh": 1}', 422),
        (b"[" * 100_000, 400),
    ],
)
async def test_bodies_that_are_no_rate(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    headers = {"content-type": "application/json"}
    answer = await client.post(RATES, content=body, headers=headers)
    assert answer.status_code == status
