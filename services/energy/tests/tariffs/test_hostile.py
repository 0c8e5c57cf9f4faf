"""Whatever is sent, the answer is right or a problem of the caller's; never a fault of ours."""

import asyncio
import copy
import random
from collections.abc import Iterator
from typing import Any, cast

import httpx

RATE: dict[str, Any] = {
    "name": "Rate",
    "rate_type": "tou",
    "timezone": "America/New_York",
    "currency": "USD",
    "location": "Barn",
    "flat_rate_usd_per_kwh": "0.1",
    "tou_schedule": [
        {"name": "A", "rate": "0.2", "days": [0, 1], "start_hour": 7, "end_hour": 12,
         "months": [6, 7], "day_type": "weekday", "demand_charge_usd_per_kw": 3},
        {"name": "B", "start": "13:15", "end": "14:30",
         "tiers": [{"up_to_kwh": 5, "rate": "0.1"}, {"up_to_kwh": None, "rate": "0.2"}],
         "demand_tiers": [{"up_to_kw": 5, "usd_per_kw": 1}, {"usd_per_kw": 2}]},
    ],
    "demand_charges": [
        {"name": "Summer", "months": [6, 7], "usd_per_kw": "2"},
        {"months": [1], "tiers": [{"up_to_kw": 9, "usd_per_kw": 1}, {"usd_per_kw": 2}]},
    ],
    "minimum_daily_charge_usd": 1,
    "minimum_yearly_charge_usd": "30",
    "season_start_month": 5,
    "season_end_month": 9,
    "holidays": ["2026-07-03"],
    "wrap_day": "start",
    "tier_unit": "kwh_per_month",
    "tier_rule": "chronological",
    "demand_charge_usd_per_kw": 4,
    "demand_interval_minutes": 15,
    "demand_window": "sliding",
    "demand_ratchet_percent": 80,
    "demand_ratchet_months": 11,
    "coincident_peak_usd_per_kw": 7,
    "coincident_hours": [{"start": "2026-07-01T17:00:00Z", "end": "2026-07-01T18:00:00Z"}],
    "minimum_monthly_charge_usd": 5,
    "taxes": [{"name": "VAT", "percent": "5"}],
    "credits": [{"name": "C", "usd_per_month": "1"}],
}  # fmt: skip
CALCULATION: dict[str, Any] = {
    "rate": RATE,
    "intervals": [
        {"start": "2026-07-01T00:00:00Z", "end": "2026-07-01T01:00:00Z", "kwh": "3",
         "price_usd_per_mwh": 5},
        {"start": "2026-07-01T01:00:00Z", "end": "2026-07-01T01:30:00Z", "kwh": "-2",
         "price_usd_per_mwh": 5},
    ],
    "start_time": "2026-07-01T00:00:00Z",
    "end_time": "2026-07-02T00:00:00Z",
}  # fmt: skip
URDB: dict[str, Any] = {
    "format": "urdb",
    "timezone": "UTC",
    "document": {
        "name": "U",
        "energyratestructure": [[{"max": 5, "rate": 1, "unit": "kWh"}, {"rate": 2, "adj": 0.1}]],
        "energyweekdayschedule": [[0] * 24] * 12,
        "energyweekendschedule": [[0] * 24] * 12,
        "flatdemandstructure": [[{"rate": 4}]],
        "flatdemandmonths": [0] * 12,
        "demandwindow": 30,
        "fixedchargefirstmeter": 1,
        "fixedchargeunits": "$/day",
        "mincharge": 1,
        "minchargeunits": "$/month",
        "lookbackpercent": 0.5,
        "lookbackrange": 6,
    },
}
OCTOPUS: dict[str, Any] = {
    "format": "octopus",
    "document": {
        "next": None,
        "results": [
            {"value_exc_vat": 1, "value_inc_vat": 2, "valid_from": "2026-07-01T00:00:00Z",
             "valid_to": "2026-07-01T00:30:00Z", "payment_method": None},
        ],
    },
}  # fmt: skip
SERIES: dict[str, Any] = {
    "name": "S",
    "currency": "GBP",
    "prices": [{"start": "2026-07-01T00:00:00Z", "end": None, "price_per_mwh": 3}],
}
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 24, 25, 2**31, 2**63, 10**30, -(10**18), 0.1, 1e-12, 1e300, "",
    " ", "0", "-0", "1e5", "1e999999", "-1e-999999", "NaN", "Infinity", "٣", "0x10", "x" * 5000,
    "<b>", "2026-07-01", "2026-07-01T24:00:00Z", "2026-07-01T00:00:00+23:59", "2000-01-01T00:00Z",
    "2100-12-31T23:59:59-23:00", "2026-03-29T01:30:00", "UTC", "Etc/GMT+12", "é" * 64, "\u202e",
    [], [[]], {}, [None], {"a": {}}, [0] * 50, {"start": "2026-07-01"}, "00:00", "24:00", "7",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every member."""
    if path:
        yield path
    members: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        members = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        members = list(enumerate(cast("list[Any]", value)))
    for name, member in members:
        yield from places(member, (*path, name))


def mutants(body: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(20261121)
    everywhere = list(places(body))
    for _ in range(count):
        made = copy.deepcopy(body)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            *way, last = chance.choice(everywhere)
            holder: Any = made
            try:
                for step in way:
                    holder = holder[step]
                holder[last] = chance.choice(HOSTILE)
            except (IndexError, KeyError, TypeError):
                continue  # an earlier mutation took the place away
        yield made


async def sent(client: httpx.AsyncClient, url: str, body: dict[str, Any], count: int) -> set[int]:
    """Send the body and its mutants; return the statuses."""
    found: set[int] = {(await client.post(url, json=body)).status_code}
    for mutant in mutants(body, count):
        answer = await client.post(url, json=mutant)
        assert answer.status_code < 500, (mutant, answer.text)
        if answer.status_code == 422:
            assert answer.json()["field"], answer.text
        found.add(answer.status_code)
    return found


async def test_hostile_rates(client: httpx.AsyncClient) -> None:
    assert await sent(client, "/api/electricity/rates", RATE, 400) == {201, 422}


async def test_hostile_calculations(client: httpx.AsyncClient) -> None:
    found = await sent(client, "/api/electricity/calculate", CALCULATION, 400)
    assert {200, 422} <= found <= {200, 404, 422}


async def test_hostile_comparisons_and_coverages(client: httpx.AsyncClient) -> None:
    body = {name: value for name, value in CALCULATION.items() if name != "rate"}
    found = await sent(client, "/api/electricity/compare", body | {"rates": [RATE]}, 100)
    assert {200, 422} <= found
    draft = {"rate": RATE, "year": 2026}
    assert {200, 422} <= await sent(client, "/api/electricity/coverage", draft, 200)


async def test_hostile_documents(client: httpx.AsyncClient) -> None:
    url = "/api/electricity/rates/import"
    for body in (URDB, OCTOPUS):
        found = await sent(client, url, body, 200)
        assert {201, 422} <= found


async def test_hostile_series(client: httpx.AsyncClient) -> None:
    assert {201, 422} <= await sent(client, "/api/electricity/index-series", SERIES, 150)


async def test_rates_and_imports_at_once_do_not_lock_each_other_out(
    client: httpx.AsyncClient,
) -> None:
    """Both take the lock on the rates before the one on the trail."""
    answers = await asyncio.gather(
        *(
            client.post(path, json=body)
            for _ in range(8)
            for path, body in (
                ("/api/electricity/rates", RATE),
                ("/api/electricity/rates/import", OCTOPUS),
                ("/api/electricity/initialize", None),
            )
        )
    )
    assert {answer.status_code for answer in answers} == {200, 201}
