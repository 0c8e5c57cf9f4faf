"""Series of index prices: stored, uploaded, read, and what rates make of them."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from common.ids import new_id
from common.testing import ClientFor

URL = "/api/electricity/index-series"
RATES = "/api/electricity/rates"
CALCULATE = "/api/electricity/calculate"


def price(start: str, per_mwh: Any, end: str | None = None) -> dict[str, Any]:
    row = {"start": f"2026-07-01T{start}:00Z", "price_per_mwh": per_mwh}
    return row | ({"end": f"2026-07-01T{end}:00Z"} if end else {})


HALF_HOURS = [
    price("01:00", "-10.5", "01:30"),
    price("00:30", "100", "01:00"),
    price("00:00", 50, "00:30"),
]


async def series(client: httpx.AsyncClient, *prices: dict[str, Any], **fields: Any) -> Any:
    answer = await client.post(URL, json={"name": "Market", "prices": list(prices)} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["series"]


async def prices_in(client: httpx.AsyncClient, series_id: str, **params: Any) -> Any:
    return (await client.get(f"{URL}/{series_id}/prices", params=params)).json()


async def test_a_series_is_stored_in_order(client: httpx.AsyncClient) -> None:
    made = await series(client, *HALF_HOURS)
    assert (made["prices"], made["currency"], made["source"]) == (3, "USD", "upload")
    assert made["first_start"] == "2026-07-01T00:00:00Z"
    assert (await client.get(f"{URL}/{made['id']}")).json()["series"] == made
    assert (await client.get(URL)).json() == {"ok": True, "series": [made], "count": 1, "total": 1}
    found = await prices_in(client, made["id"])
    assert [one["price_per_mwh"] for one in found["prices"]] == ["50", "100", "-10.5"]
    part = await prices_in(client, made["id"], limit=2)
    assert (part["count"], part["next_start"]) == (2, "2026-07-01T01:00:00Z")
    rest = await prices_in(client, made["id"], start=part["next_start"])
    assert (rest["count"], rest["next_start"]) == (1, None)


async def test_a_later_price_replaces_one_that_starts_then(client: httpx.AsyncClient) -> None:
    made = await series(client, *HALF_HOURS)
    body = {"prices": [price("00:30", "7", "01:00"), price("01:30", 8, "02:00")]}
    answer = await client.post(f"{URL}/{made['id']}/prices", json=body)
    assert answer.json()["series"]["prices"] == 4
    found = await prices_in(client, made["id"])
    assert [one["price_per_mwh"] for one in found["prices"]] == ["50", "7", "-10.5", "8"]


async def test_csv_and_forms_are_read(client: httpx.AsyncClient) -> None:
    made = await series(client)
    csv = "Start;End;Price per MWh\n2026-07-01 00:00;2026-07-01 00:30;50.25\n2026-07-01 00:30;;-3\n"
    url = f"{URL}/{made['id']}/upload"
    headers = {"content-type": "text/csv"}
    answer = await client.post(
        url, content=csv, headers=headers, params={"timezone": "Europe/London"}
    )
    assert answer.status_code == 200, answer.text
    found = await prices_in(client, made["id"])
    assert found["prices"][0] == {
        "start": "2026-06-30T23:00:00Z",
        "end": "2026-06-30T23:30:00Z",
        "price_per_mwh": "50.25",
    }
    form = await client.post(url, files={"file": ("p.csv", csv.encode(), "text/csv")})
    assert form.json()["series"]["prices"] == 4  # read as UTC this time


@pytest.mark.parametrize(
    ("csv", "field"),
    [
        ("start,price_per_mwh\n2026-07-01T00:00Z,cheap\n", "price_per_mwh"),
        ("start,price_per_mwh\n2026-07-01T00:00Z,NaN\n", "price_per_mwh"),
        ("start,price_per_mwh\n2026-02-30T00:00Z,5\n", "start"),
        ("start,end,price_per_mwh\n2026-07-01T01:00Z,2026-07-01T00:00Z,5\n", "end"),
        ("start,price_per_mwh\n2026-07-01T00:00Z,5\n2026-07-01T00:00Z,6\n", "start"),
        ("start,price_per_mwh\n", "file"),
        ("start,price\n2026-07-01T00:00Z,5\n", None),
        ("", None),
        ("start,price_per_mwh\n=1+1,5\n", "start"),
    ],
)
async def test_files_that_are_no_prices(
    client: httpx.AsyncClient, csv: str, field: str | None
) -> None:
    made = await series(client)
    url, headers = f"{URL}/{made['id']}/upload", {"content-type": "text/csv"}
    answer = await client.post(url, content=csv, headers=headers)
    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.text
    assert (await client.get(f"{URL}/{made['id']}")).json()["series"]["prices"] == 0


@pytest.mark.parametrize(
    ("prices", "field"),
    [
        ([price("00:00", 1, "01:00"), price("00:30", 1)], "start"),
        ([price("00:00", 1), price("00:00", 2)], "start"),
        ([price("01:00", 1, "00:30")], "end"),
        ([price("01:00", 1, "01:00")], "end"),
        ([price("01:00", "Infinity")], "price_per_mwh"),
        ([price("01:00", None)], "price_per_mwh"),
        ([price("01:00", "1e7")], "price_per_mwh"),
        ([price("25:00", 1)], "start"),
        ([price("00:00", 1)] * 20_001, "prices"),
    ],
)
async def test_prices_that_are_refused(
    client: httpx.AsyncClient, prices: list[dict[str, Any]], field: str
) -> None:
    answer = await client.post(URL, json={"name": "x", "prices": prices})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_an_index_rate_takes_its_prices_from_a_series(client: httpx.AsyncClient) -> None:
    made = await series(client, *HALF_HOURS)
    rate = {
        "name": "Index",
        "rate_type": "index",
        "index_series_id": made["id"],
        "adder_usd_per_kwh": "0.01",
        "timezone": "UTC",
    }
    stored = await client.post(RATES, json=rate)
    assert stored.status_code == 201, stored.text
    load = {
        "power_w": 2000,
        "start_time": "2026-07-01T00:00:00Z",
        "end_time": "2026-07-01T01:30:00Z",
    }
    found = (await client.post(CALCULATE, json=load)).json()
    # A kWh each at 0.05, 0.10 and -0.0105, and 3 kWh with 0.01 on top.
    assert Decimal(found["total_cost_usd"]) == Decimal("0.1695")
    url = "/api/electricity/current-rate"
    at = (await client.get(url, params={"timestamp": "2026-07-01T01:10:00Z"})).json()
    assert at["rate_usd_per_kwh"] == "-0.0005"
    assert at["ends_at"] == "2026-07-01T01:30:00Z"
    later = (await client.get(url, params={"timestamp": "2026-07-01T02:00:00Z"})).json()
    assert later["rate_usd_per_kwh"] is None  # not known is not nothing
    longer = await client.post(CALCULATE, json=load | {"end_time": "2026-07-01T02:00:00Z"})
    assert longer.status_code == 422
    assert longer.json()["errors"][0]["code"] == "price_missing"


async def test_an_open_price_lasts_until_the_next(client: httpx.AsyncClient) -> None:
    made = await series(client, price("00:00", 100), price("02:00", 200))
    rate = {"rate_type": "index", "index_series_id": made["id"], "timezone": "UTC"}
    load = {
        "power_w": 1000,
        "start_time": "2026-07-01T01:00:00Z",
        "end_time": "2026-07-01T04:00:00Z",
    }
    found = (await client.post(CALCULATE, json=load | {"rate": rate})).json()
    assert Decimal(found["total_cost_usd"]) == Decimal("0.5")


async def test_a_series_that_a_rate_needs_stays(client: httpx.AsyncClient) -> None:
    made, other = await series(client), await series(client)
    rate = {"name": "i", "rate_type": "index", "index_series_id": made["id"]}
    await client.post(RATES, json=rate)
    kept = await client.delete(f"{URL}/{made['id']}")
    assert (kept.status_code, kept.json()["code"]) == (409, "series_in_use")
    assert (await client.delete(f"{URL}/{other['id']}")).json() == {"ok": True, "id": other["id"]}
    assert (await client.get(f"{URL}/{other['id']}")).status_code == 404


async def test_currencies_must_agree(client: httpx.AsyncClient) -> None:
    made = await series(client, currency="GBP")
    rate = {"name": "i", "rate_type": "index", "index_series_id": made["id"]}
    answer = await client.post(RATES, json=rate)
    assert (answer.status_code, answer.json()["field"]) == (422, "index_series_id")
    assert (await client.post(RATES, json=rate | {"currency": "GBP"})).status_code == 201


async def test_series_are_ones_own(client: httpx.AsyncClient, client_as: ClientFor) -> None:
    made = await series(client, *HALF_HOURS)
    stranger = client_as(organisation_id=new_id())
    url = f"{URL}/{made['id']}"
    for answer in (
        await stranger.get(url),
        await stranger.get(f"{url}/prices"),
        await stranger.post(f"{url}/prices", json={"prices": HALF_HOURS}),
        await stranger.post(f"{url}/upload", content="start,price_per_mwh\n"),
        await stranger.delete(url),
    ):
        assert answer.status_code == 404
    rate = {"name": "i", "rate_type": "index", "index_series_id": made["id"]}
    assert (await stranger.post(RATES, json=rate)).status_code == 422
    reader = client_as(scopes=frozenset({"tariffs:read"}), role="Host")
    assert (await reader.post(URL, json={"name": "x"})).status_code == 403
    assert (await reader.delete(url)).status_code == 403
