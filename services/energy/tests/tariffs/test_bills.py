"""Bills and prices over HTTP: the documents' examples, the peers' wrong answers, bad input."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from common.ids import new_id
from common.testing import ClientFor, TenantSessions

Deliver = Callable[..., Awaitable[Any]]
CALCULATE = "/api/electricity/calculate"
RATES = "/api/electricity/rates"
FLAT = {
    "name": "Flat",
    "rate_type": "flat",
    "flat_rate_usd_per_kwh": 0.12,
    "daily_service_charge_usd": 0.50,
    "timezone": "UTC",
}
TOU = {
    "name": "TOU",
    "rate_type": "tou",
    "timezone": "UTC",
    "tou_schedule": [
        {"name": "Off-Peak", "rate": 0.08, "start_hour": 21, "end_hour": 7},
        {"name": "Peak", "rate": 0.18, "start_hour": 7, "end_hour": 21},
    ],
}
DAY = {"power_w": 3000, "start_time": "2026-07-01T00:00:00Z", "end_time": "2026-07-02T00:00:00Z"}


async def bill_of(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(CALCULATE, json=DAY | body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    amounts = [Decimal(line["amount_usd"]) for line in found["lines"]]
    assert sum(amounts) == Decimal(found["total_cost_usd"])
    return found


async def refused(client: httpx.AsyncClient, body: dict[str, Any], field: str) -> dict[str, Any]:
    answer = await client.post(CALCULATE, json=body)
    assert answer.status_code == 422, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["field"] == field, problem
    return problem


def is_money(found: str | None, expected: str) -> bool:
    return found is not None and Decimal(found) == Decimal(expected)


async def test_the_documents_flat_example(client: httpx.AsyncClient) -> None:
    found = await bill_of(client, rate=FLAT)
    assert is_money(found["total_kwh"], "72")
    assert is_money(found["energy_cost_usd"], "8.64")
    assert is_money(found["service_charge_usd"], "0.50")
    assert is_money(found["total_cost_usd"], "9.14")
    assert is_money(found["demand_charge_usd"], "0")
    assert is_money(found["avg_rate_usd_per_kwh"], "0.126944")
    assert found["rate_used"]["name"] == "Flat"
    assert found["rate_used"]["id"] is None


async def test_the_documents_tou_example(client: httpx.AsyncClient) -> None:
    found = await bill_of(client, rate=TOU)
    breakdown = found["tou_breakdown_usd"]
    assert is_money(breakdown["Off-Peak"], "2.40")
    assert is_money(breakdown["Peak"], "7.56")
    assert is_money(found["total_cost_usd"], "9.96")


async def test_thirty_days_of_service_and_a_hundred_kilowatts(client: httpx.AsyncClient) -> None:
    rate = FLAT | {"demand_charge_usd_per_kw": 5}
    month = {"start_time": "2026-06-01T00:00:00Z", "end_time": "2026-07-01T00:00:00Z"}
    found = await bill_of(client, rate=rate, power_w=100_000, **month)
    assert is_money(found["service_charge_usd"], "15.00")
    assert is_money(found["demand_charge_usd"], "500.00")


async def test_nothing_is_stored(client: httpx.AsyncClient, tenant_session: TenantSessions) -> None:
    rate = (await client.post(RATES, json=FLAT)).json()["rate"]
    tables = ("outbox", "audit_event", "electricity_rates", "electricity_rate_version")

    async def counts() -> list[Any]:
        async with tenant_session() as session:
            return [
                await session.scalar(text(f"SELECT count(*) FROM energy.{table}"))
                for table in tables
            ]

    before = await counts()
    await bill_of(client, rate_id=rate["id"])
    await bill_of(client, rate=FLAT)
    assert await counts() == before


async def test_by_id_by_location_and_by_default(
    client: httpx.AsyncClient, deliver: Deliver
) -> None:
    default = (await client.post(RATES, json=FLAT)).json()["rate"]
    barn = (await client.post(RATES, json=TOU | {"location": "Barn"})).json()["rate"]
    found = await bill_of(client)
    assert found["rate_used"]["id"] == default["id"]
    found = await bill_of(client, location="barn")
    assert (found["rate_used"]["id"], found["rate_used"]["version"]) == (barn["id"], 1)
    found = await bill_of(client, rate_id=barn["id"])
    assert is_money(found["total_cost_usd"], "9.96")
    site_id = str(new_id())
    site = {"site_id": site_id, "name": "S", "location": "Barn", "timezone": "Europe/London"}
    await deliver("hosting.site.changed.v1", site)
    assert (await bill_of(client, site_id=site_id))["rate_used"]["id"] == barn["id"]


async def test_a_stored_rate_and_the_same_inline_cost_the_same(client: httpx.AsyncClient) -> None:
    rate = (await client.post(RATES, json=TOU)).json()["rate"]
    stored, inline = await bill_of(client, rate_id=rate["id"]), await bill_of(client, rate=rate)
    assert stored["lines"] == inline["lines"]


async def test_no_rate_in_force_is_404_and_never_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post(CALCULATE, json=DAY)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_active_rate")
    answer = await client.post(CALCULATE, json=DAY | {"rate_id": str(new_id())})
    assert (answer.status_code, answer.json()["code"]) == (404, "rate_not_found")


async def test_intervals_are_billed_over_their_own_span(client: httpx.AsyncClient) -> None:
    intervals = [
        {"start": "2026-07-01T12:00:00Z", "end": "2026-07-02T00:00:00Z", "kwh": "36"},
        {"start": "2026-07-01T00:00:00Z", "end": "2026-07-01T12:00:00Z", "power_w": 3000},
    ]
    answer = await client.post(CALCULATE, json={"intervals": intervals, "rate": FLAT})
    assert is_money(answer.json()["total_cost_usd"], "9.14")
    assert answer.json()["start_time"] == "2026-07-01T00:00:00Z"


async def test_a_longer_span_than_the_intervals_has_its_service_charge(
    client: httpx.AsyncClient,
) -> None:
    intervals = [{"start": "2026-07-01T06:00:00Z", "end": "2026-07-01T07:00:00Z", "kwh": "1"}]
    times = {key: DAY[key] for key in ("start_time", "end_time")}
    answer = await client.post(CALCULATE, json={"intervals": intervals, "rate": FLAT} | times)
    assert is_money(answer.json()["service_charge_usd"], "0.50")
    assert is_money(answer.json()["energy_cost_usd"], "0.12")


async def test_a_boundary_inside_a_reading_is_said(client: httpx.AsyncClient) -> None:
    intervals = [{"start": "2026-07-01T06:30:00Z", "end": "2026-07-01T07:30:00Z", "kwh": "3"}]
    found = (await client.post(CALCULATE, json={"intervals": intervals, "rate": TOU})).json()
    assert is_money(found["total_cost_usd"], "0.39")  # a step of one hour would say 0.24
    assert found["split_intervals"] == 1
    assert found["notes"]


@pytest.mark.parametrize(
    ("rate", "start", "end", "total"),
    [
        # New York has 20 to 21 o'clock at 00 to 01 UTC: peak, not off-peak.
        ({"timezone": "America/New_York"}, "2026-07-02T00:00:00Z", "2026-07-02T01:00:00Z", "0.54"),
        # Days of 23 and of 25 hours have 69 and 75 kWh.
        ({"timezone": "America/New_York"}, "2026-03-08T00:00:00", "2026-03-09T00:00:00", "9.72"),
        ({"timezone": "America/New_York"}, "2026-11-01T00:00:00", "2026-11-02T00:00:00", "10.20"),
        # Out of season the fallback holds.
        (
            {"season_start_month": 5, "season_end_month": 9, "flat_rate_usd_per_kwh": "0.12"},
            "2026-01-06T18:00:00Z",
            "2026-01-06T19:00:00Z",
            "0.36",
        ),
    ],
)
async def test_what_the_peer_gets_wrong(
    client: httpx.AsyncClient, rate: dict[str, Any], start: str, end: str, total: str
) -> None:
    found = await bill_of(client, rate=TOU | rate, start_time=start, end_time=end)
    assert is_money(found["total_cost_usd"], total)


@pytest.mark.parametrize(
    ("wrap_day", "hour", "total"),
    [("start", "2026-07-04T03", "0.30"), ("start", "2026-07-03T03", "0.05"),
     ("instant", "2026-07-03T03", "0.30"), ("instant", "2026-07-04T03", "0.05")],
)  # fmt: skip
async def test_a_friday_night(
    client: httpx.AsyncClient, wrap_day: str, hour: str, total: str
) -> None:
    night = {"name": "Friday night", "rate": "0.30", "days": [4], "start_hour": 22, "end_hour": 6}
    rest = [
        {"name": "Else", "rate": "0.05", "days": [4], "start_hour": 6, "end_hour": 22},
    ]
    rate = {
        "rate_type": "tou",
        "timezone": "UTC",
        "flat_rate_usd_per_kwh": "0.05",
        "wrap_day": wrap_day,
        "tou_schedule": [night, *rest],
    }
    found = await bill_of(
        client, rate=rate, power_w=1000, start_time=f"{hour}:00:00Z", end_time=f"{hour}:59:59Z"
    )
    assert round(Decimal(found["total_cost_usd"]), 2) == Decimal(total)


async def test_tiers_are_billed_as_tiers(client: httpx.AsyncClient) -> None:
    tiers = [{"up_to_kwh": 10_000, "rate": "0.08"}, {"up_to_kwh": None, "rate": "0.11"}]
    rate = {"rate_type": "tiered", "tiered_rates": tiers, "timezone": "UTC"}
    month = {"start_time": "2026-06-01T00:00:00Z", "end_time": "2026-07-01T00:00:00Z"}
    found = await bill_of(client, rate=rate, power_w=48_611 + Decimal(0).__int__(), **month)
    kwh = Decimal(found["total_kwh"])
    assert is_money(found["total_cost_usd"], str(800 + (kwh - 10_000) * Decimal("0.11")))


async def test_an_index_rate_takes_the_prices_of_its_readings(client: httpx.AsyncClient) -> None:
    intervals = [
        {"start": "2026-07-01T00:00:00Z", "end": "2026-07-01T00:30:00Z", "kwh": "1",
         "price_usd_per_mwh": "-20"},
        {"start": "2026-07-01T00:30:00Z", "end": "2026-07-01T01:00:00Z", "kwh": "2",
         "price_usd_per_mwh": "100"},
    ]  # fmt: skip
    rate = {"rate_type": "index", "adder_usd_per_kwh": "0.01", "timezone": "UTC"}
    found = (await client.post(CALCULATE, json={"intervals": intervals, "rate": rate})).json()
    assert is_money(found["total_cost_usd"], "0.21")  # 1 x -0.02 + 2 x 0.10 + 3 x 0.01
    no_price = [
        {key: value for key, value in one.items() if "price" not in key} for one in intervals
    ]
    problem = await refused(client, {"intervals": no_price, "rate": rate}, "index")
    assert problem["errors"][0]["code"] == "price_missing"


async def test_no_use_has_no_mean_rate(client: httpx.AsyncClient) -> None:
    found = await bill_of(client, power_w=0, rate=FLAT)
    assert found["avg_rate_usd_per_kwh"] is None
    assert is_money(found["total_cost_usd"], "0.50")


async def test_power_may_be_text(client: httpx.AsyncClient) -> None:
    assert is_money((await bill_of(client, power_w="3000.0", rate=FLAT))["total_cost_usd"], "9.14")


BAD_LOADS: list[tuple[dict[str, Any], str]] = [
    ({"power_w": -1}, "power_w"),
    ({"power_w": "NaN"}, "power_w"),
    ({"power_w": "Infinity"}, "power_w"),
    ({"power_w": "many"}, "power_w"),
    ({"power_w": True}, "power_w"),
    ({"power_w": 10_000_000_001}, "power_w"),
    ({"power_w": "1e400"}, "power_w"),
    ({"power_w": None}, "power_w"),
    ({"end_time": "2026-07-01T00:00:00Z"}, "end_time"),
    ({"end_time": "2026-06-30T00:00:00Z"}, "end_time"),
    ({"end_time": None}, "end_time"),
    ({"start_time": None}, "start_time"),
    ({"start_time": "2026-02-30T00:00:00Z"}, "start_time"),
    ({"start_time": 20_260_701}, "start_time"),
    ({"start_time": "20260701"}, "start_time"),
    ({"start_time": "1999-12-31T00:00:00Z"}, "start_time"),
    ({"end_time": "9999-12-31T00:00:00Z"}, "end_time"),
    ({"end_time": "2037-07-02T00:00:00Z"}, "end_time"),
    ({"start_time": "2026-07-01T00:00:00.5Z"}, "start_time"),
    ({"colour": "red"}, "colour"),
    ({"intervals": [], "power_w": None}, "intervals"),
    ({"intervals": [{"start": "2026-07-01T00:00:00Z", "end": "2026-07-01T01:00:00Z"}]}, "power_w"),
]


@pytest.mark.parametrize(("change", "field"), BAD_LOADS)
async def test_bad_loads(client: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    await refused(client, DAY | {"rate": FLAT} | change, field)


def reading(start: str, end: str, **energy: Any) -> dict[str, Any]:
    return {"start": f"2026-07-01T{start}:00Z", "end": f"2026-07-01T{end}:00Z", **energy}


BAD_READINGS: list[tuple[list[dict[str, Any]], str]] = [
    ([reading("01:00", "00:30", kwh=1)], "end"),
    ([reading("01:00", "01:00", kwh=1)], "end"),
    ([reading("00:00", "01:00", kwh=1), reading("00:30", "01:30", kwh=1)], "start"),
    ([reading("00:00", "01:00")], "intervals"),
    ([reading("00:00", "01:00", kwh=1, power_w=1)], "intervals"),
    ([reading("00:00", "01:00", power_w=-1)], "power_w"),
    ([reading("00:00", "01:00", kwh="NaN")], "kwh"),
    ([reading("00:00", "00:01", kwh=999_999_999)], "kwh"),
    ([reading("00:00", "01:00", kwh=1, price_usd_per_mwh="inf")], "price_usd_per_mwh"),
    ([{"start": "2026-07-01T00:00:00", "end": "2026-07-01T01:00:00Z", "kwh": 1}], "start"),
]


@pytest.mark.parametrize(("intervals", "field"), BAD_READINGS)
async def test_bad_readings(
    client: httpx.AsyncClient, intervals: list[dict[str, Any]], field: str
) -> None:
    rate = {name: value for name, value in FLAT.items() if name != "timezone"}
    await refused(client, {"intervals": intervals, "rate": rate}, field)


async def test_readings_outside_the_span_are_refused(client: httpx.AsyncClient) -> None:
    times = {key: DAY[key] for key in ("start_time", "end_time")}
    outside = {"start": "2026-07-02T00:00:00Z", "end": "2026-07-02T01:00:00Z", "kwh": 1}
    await refused(client, {"intervals": [outside], "rate": FLAT} | times, "intervals")


async def test_the_place_of_a_bad_reading_is_that_of_the_request(client: httpx.AsyncClient) -> None:
    rows = [reading("05:00", "06:00", kwh=1), reading("01:00", "00:30", kwh=1)]
    problem = await refused(client, {"intervals": rows, "rate": FLAT}, "end")
    assert problem["errors"][0]["pointer"] == "/body/intervals/1/end"


async def test_too_many_readings(client: httpx.AsyncClient) -> None:
    row = reading("00:00", "01:00", kwh=1)
    body = {"intervals": [row] * 110_001, "rate": FLAT}
    answer = await client.post(CALCULATE, json=body)
    assert (answer.status_code, answer.json().get("field", "body")) in (
        (422, "intervals"),
        (413, "body"),
    )


async def test_a_time_without_offset_is_the_rates(client: httpx.AsyncClient) -> None:
    naive = {"start_time": "2026-07-01T00:00:00", "end_time": "2026-07-02T00:00:00"}
    rate = {name: value for name, value in FLAT.items() if name != "timezone"}
    problem = await refused(client, DAY | naive | {"rate": rate}, "start_time")
    assert problem["code"] == "naive_time"
    found = await bill_of(client, rate=FLAT | {"timezone": "America/New_York"}, **naive)
    assert found["start_time"] == "2026-07-01T04:00:00Z"
    assert is_money(found["service_charge_usd"], "0.50")


async def test_only_one_rate_may_be_asked_for(client: httpx.AsyncClient) -> None:
    both = DAY | {"rate": FLAT, "rate_id": str(new_id())}
    answer = await client.post(CALCULATE, json=both)
    assert answer.status_code == 422


async def test_current_rate_says_the_period_and_its_ends(client: httpx.AsyncClient) -> None:
    url = "/api/electricity/current-rate"
    missing = await client.get(url)
    assert (missing.status_code, missing.json()["code"]) == (404, "no_active_rate")
    await client.post(RATES, json=TOU | {"timezone": "America/New_York"})
    found = (await client.get(url, params={"timestamp": "2026-07-01T12:00:00Z"})).json()
    assert (found["period"], found["rate_usd_per_kwh"]) == ("Peak", "0.18")
    assert (found["starts_at"], found["ends_at"]) == (
        "2026-07-01T11:00:00Z",
        "2026-07-02T01:00:00Z",
    )
    naive = (await client.get(url, params={"timestamp": "2026-07-01T08:00:00"})).json()
    assert naive["timestamp"] == "2026-07-01T12:00:00Z"
    at_boundary = (await client.get(url, params={"timestamp": "2026-07-02T01:00:00Z"})).json()
    assert at_boundary["period"] == "Off-Peak"
    assert (await client.get(url)).status_code == 200


async def test_a_local_time_has_the_rate_that_was_in_force_then(client: httpx.AsyncClient) -> None:
    url = "/api/electricity/current-rate"
    first = FLAT | {"timezone": "America/New_York", "valid_from": "2026-01-01T00:00:00Z"}
    rate = (await client.post(RATES, json=first)).json()["rate"]
    dearer = {"flat_rate_usd_per_kwh": "0.20", "valid_from": "2026-11-20T12:00:00Z"}
    await client.put(f"{RATES}/{rate['id']}", json=dearer)
    for timestamp, price in (
        ("2026-01-15T12:00:00Z", "0.12"),
        ("2026-01-15T12:00:00", "0.12"),
        ("2026-11-20T06:59:59", "0.12"),  # New York is five hours behind
        ("2026-11-20T07:00:00", "0.2"),
    ):
        found = (await client.get(url, params={"timestamp": timestamp})).json()
        assert (found["rate_usd_per_kwh"], found["rate"]["version"]) == (
            price,
            1 if price == "0.12" else 2,
        ), timestamp


async def test_a_local_time_is_read_in_the_zone_of_the_rate_that_held_then(
    client: httpx.AsyncClient,
) -> None:
    url = "/api/electricity/current-rate"
    first = FLAT | {"timezone": "Asia/Tokyo", "valid_from": "2026-01-01T00:00:00Z"}
    rate = (await client.post(RATES, json=first)).json()["rate"]
    moved = {"timezone": "America/New_York", "valid_from": "2026-11-10T12:00:00Z"}
    await client.put(f"{RATES}/{rate['id']}", json=moved)
    for timestamp, instant, version in (
        ("2026-11-10T06:00:00", "2026-11-09T21:00:00Z", 1),
        ("2026-11-10T08:00:00", "2026-11-09T23:00:00Z", 1),  # it comes twice: the first one counts
        ("2026-11-10T21:00:00", "2026-11-11T02:00:00Z", 2),
    ):
        found = (await client.get(url, params={"timestamp": timestamp})).json()
        assert (found["timestamp"], found["rate"]["version"]) == (instant, version)
    back = {"timezone": "Asia/Tokyo", "valid_from": "2026-11-12T12:00:00Z"}
    await client.put(f"{RATES}/{rate['id']}", json=back)
    skipped = await client.get(url, params={"timestamp": "2026-11-12T10:00:00"})
    assert (skipped.status_code, skipped.json()["code"]) == (404, "no_active_rate")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2026-02-30T00:00:00Z"}, "timestamp"),
        ({"timestamp": "1783000000"}, "timestamp"),
        ({"timestamp": "2026-07-01T00:00:00"}, "timestamp"),
        ({"location": "x" * 129}, "location"),
        ({"site_id": "7"}, "site_id"),
        ({"place": "here"}, "place"),
    ],
)
async def test_bad_questions_for_the_current_rate(
    client: httpx.AsyncClient, params: dict[str, str], field: str
) -> None:
    rate = {name: value for name, value in FLAT.items() if name != "timezone"}
    await client.post(RATES, json=rate)
    answer = await client.get("/api/electricity/current-rate", params=params)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_compare_ranks_the_rates(client: httpx.AsyncClient) -> None:
    flat = (await client.post(RATES, json=FLAT)).json()["rate"]
    tou = (await client.post(RATES, json=TOU)).json()["rate"]
    url = "/api/electricity/compare"
    found = (await client.get(url, params=DAY)).json()
    assert [one["rate_used"]["id"] for one in found["comparisons"]] == [flat["id"], tou["id"]]
    assert [one["rank"] for one in found["comparisons"]] == [1, 2]
    assert is_money(found["comparisons"][1]["more_than_cheapest_usd"], "0.82")
    assert found["count"] == 2
    one = (await client.get(url, params=DAY | {"rate_ids": tou["id"]})).json()
    assert one["count"] == 1
    both = (await client.get(url, params=DAY | {"rate_ids": f"{tou['id']},{flat['id']}"})).json()
    assert both["count"] == 2
    more = await client.post(url, json=DAY | {"rate_ids": [flat["id"]], "rates": [TOU]})
    assert [one["rank"] for one in more.json()["comparisons"]] == [1, 2]
    gone = await client.get(url, params=DAY | {"rate_ids": str(new_id())})
    assert gone.status_code == 404
    unclear = await client.get(url, params=DAY | {"rate_ids": f"{tou['id']},all"})
    assert unclear.status_code == 422


async def test_compare_ranks_each_currency_for_itself(client: httpx.AsyncClient) -> None:
    rates = [FLAT, TOU, FLAT | {"currency": "GBP"}]
    found = (await client.post("/api/electricity/compare", json=DAY | {"rates": rates})).json()
    ranks = [(one["rate_used"]["currency"], one["rank"]) for one in found["comparisons"]]
    assert ranks == [("GBP", 1), ("USD", 1), ("USD", 2)]


async def test_compare_says_which_rate_has_no_price(client: httpx.AsyncClient) -> None:
    rates = [FLAT, {"rate_type": "index", "timezone": "UTC"}]
    found = (await client.post("/api/electricity/compare", json=DAY | {"rates": rates})).json()
    assert [one["rank"] for one in found["comparisons"]] == [1, None]
    assert "prices" in found["comparisons"][1]["problem"]


async def test_compare_without_rates_is_404(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/electricity/compare", params=DAY)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_active_rate")


async def test_coverage_shows_holes_and_overlaps(client: httpx.AsyncClient) -> None:
    rate = (await client.post(RATES, json=TOU)).json()["rate"]
    url = "/api/electricity/coverage"
    whole = (await client.get(url, params={"rate_id": rate["id"], "year": 2026})).json()
    assert whole["complete"] is True
    assert (await client.get(url)).json()["rate"]["id"] == rate["id"]
    rows = [
        {"name": "A", "rate": 0.1, "days": [0], "start_hour": 0, "end_hour": 12},
        {"name": "B", "rate": 0.1, "days": [0], "start_hour": 10, "end_hour": 24},
    ]
    draft = {"rate_type": "tou", "tou_schedule": rows}
    found = (await client.post(url, json={"rate": draft, "year": 2026})).json()
    assert found["complete"] is False
    assert found["overlaps"][0] == {
        "month": 1,
        "day": "monday",
        "start": "10:00",
        "end": "12:00",
        "names": ["A", "B"],
    }
    assert {hole["day"] for hole in found["holes"]} >= {"tuesday", "sunday"}


@pytest.mark.parametrize(
    ("fields", "has_fallback"),
    [
        ({}, False),
        ({"flat_rate_usd_per_kwh": "0.1"}, True),
        ({"tiered_rates": [{"rate": "0.1"}]}, True),
        ({"rate_type": "index"}, True),
    ],
)
async def test_coverage_says_whether_holes_have_a_price(
    client: httpx.AsyncClient, fields: dict[str, Any], has_fallback: bool
) -> None:
    rows = [{"name": "A", "rate": 0.1, "start_hour": 0, "end_hour": 12}]
    rate = {"rate_type": "tou", "tou_schedule": rows, "timezone": "UTC"} | fields
    body = {"rate": rate, "year": 2026}
    found = (await client.post("/api/electricity/coverage", json=body)).json()
    assert (found["complete"], found["has_fallback"]) == (False, has_fallback)
    stored = await client.post(RATES, json=rate | {"name": "With holes"})
    assert stored.status_code == (201 if has_fallback else 422)


async def test_prices_are_of_ones_own_rates(
    client: httpx.AsyncClient, client_as: ClientFor
) -> None:
    rate = (await client.post(RATES, json=FLAT)).json()["rate"]
    stranger = client_as(organisation_id=new_id())
    answer = await stranger.post(CALCULATE, json=DAY | {"rate_id": rate["id"]})
    assert answer.status_code == 404
    assert (await stranger.post(CALCULATE, json=DAY)).status_code == 404
    assert (await stranger.get("/api/electricity/current-rate")).status_code == 404
    params = {"rate_id": rate["id"]}
    assert (await stranger.get("/api/electricity/coverage", params=params)).status_code == 404
    nobody = client_as(scopes=frozenset({"costs:read"}), role="Client")
    for method, path in (("POST", "calculate"), ("GET", "current-rate"), ("GET", "coverage")):
        answer = await nobody.request(method, f"/api/electricity/{path}", json=DAY)
        assert answer.status_code == 403
