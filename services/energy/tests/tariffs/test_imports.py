"""Rates from elsewhere: the Utility Rate Database, Octopus, and our own exports."""

import copy
from decimal import Decimal
from typing import Any

import httpx
import pytest

from common.ids import new_id

IMPORT = "/api/electricity/rates/import"
RATES = "/api/electricity/rates"
CALCULATE = "/api/electricity/calculate"


def grid(weekday: dict[int, int] | None = None, months: range = range(12)) -> list[list[int]]:
    """A 12 x 24 schedule of period 0, but for some hours of some months."""
    hours = weekday or {}
    return [
        [hours.get(hour, 0) if month in months else 0 for hour in range(24)] for month in range(12)
    ]


PEAK = dict.fromkeys(range(12, 18), 1)
SUMMER = range(5, 9)
URDB: dict[str, Any] = {
    "label": "539f6a23ec4f024411ec8bf9",
    "name": "Industrial Time of Use",
    "utility": "Example Power & Light",
    "description": "An invented tariff",
    "energyratestructure": [
        [{"rate": 0.05, "adj": 0.002, "unit": "kWh", "sell": 0.03}],
        [{"rate": 0.11, "adj": 0.0020000000000000001, "unit": "kWh", "sell": 0.03}],
    ],
    "energyweekdayschedule": grid(PEAK, SUMMER),
    "energyweekendschedule": grid(),
    "flatdemandstructure": [[{"rate": 4.5}]],
    "flatdemandmonths": [0] * 12,
    "flatdemandunit": "kW",
    "demandratestructure": [[{"rate": 0}], [{"rate": 7.25, "adj": 0.25}]],
    "demandweekdayschedule": grid(PEAK, SUMMER),
    "demandweekendschedule": grid(),
    "demandrateunit": "kW",
    "demandwindow": 30,
    "fixedchargefirstmeter": 120,
    "fixedchargeunits": "$/year",
    "mincharge": 25,
    "minchargeunits": "$/month",
    "dgrules": "Net Billing Instantaneous",
    "approved": True,
}


def urdb(**changes: Any) -> dict[str, Any]:
    document = {k: v for k, v in (copy.deepcopy(URDB) | changes).items() if v is not None}
    return {"format": "urdb", "timezone": "America/Chicago", "document": document}


async def taken(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(IMPORT, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def bill_of(client: httpx.AsyncClient, rate_id: str, **load: Any) -> dict[str, Any]:
    answer = await client.post(CALCULATE, json={"rate_id": rate_id} | load)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_rate_of_the_database(client: httpx.AsyncClient) -> None:
    found = await taken(client, urdb())
    rate = found["rate"]
    assert found["warnings"] == []
    assert rate["id"]
    assert rate["name"] == "Industrial Time of Use"
    assert rate["utility_name"] == "Example Power & Light"
    assert (rate["rate_type"], rate["timezone"]) == ("tou", "America/Chicago")
    assert rate["demand_charge_usd_per_kw"] == "4.5"
    assert rate["demand_interval_minutes"] == 30
    assert rate["monthly_service_charge_usd"] == "10"
    assert rate["minimum_monthly_charge_usd"] == "25"
    assert rate["export_usd_per_kwh"] == "0.03"
    assert {row["rate"] for row in rate["tou_schedule"]} == {"0.052", "0.112"}
    coverage = await client.get("/api/electricity/coverage", params={"rate_id": rate["id"]})
    assert coverage.json()["complete"] is True


async def test_its_bill_is_what_the_document_says(client: httpx.AsyncClient) -> None:
    rate = (await taken(client, urdb()))["rate"]
    july = {"start_time": "2026-07-01T00:00:00", "end_time": "2026-08-01T00:00:00"}
    found = await bill_of(client, rate["id"], power_w=1_000_000, **july)
    # July 2026 has 23 weekdays with six peak hours each, of 744 hours in all.
    peak, rest = 23 * 6 * 1000, (744 - 23 * 6) * 1000
    energy = peak * Decimal("0.112") + rest * Decimal("0.052")
    demand = 1000 * Decimal("4.5") + 1000 * Decimal("7.5")
    assert Decimal(found["energy_cost_usd"]) == energy
    assert Decimal(found["demand_charge_usd"]) == demand
    assert Decimal(found["total_cost_usd"]) == energy + demand + 10
    winter = {"start_time": "2026-01-01T00:00:00", "end_time": "2026-02-01T00:00:00"}
    found = await bill_of(client, rate["id"], power_w=0, **winter)
    assert Decimal(found["total_cost_usd"]) == 25  # the minimum


async def test_a_wrapped_answer_and_names_in_capitals(client: httpx.AsyncClient) -> None:
    document = {name.upper(): value for name, value in URDB.items()}
    body = {"format": "urdb", "document": {"items": [document]}}
    assert (await taken(client, body))["rate"]["name"] == "Industrial Time of Use"


async def test_one_price_is_flat_and_its_steps_are_tiers(client: httpx.AsyncClient) -> None:
    plain = {
        "name": "Plain",
        "energyratestructure": [[{"rate": 0.1}]],
        "energyweekdayschedule": grid(),
        "energyweekendschedule": grid(),
        "fixedchargefirstmeter": 0.5,
        "fixedchargeunits": "$/day",
    }
    rate = (await taken(client, {"format": "urdb", "document": plain}))["rate"]
    assert (rate["rate_type"], rate["flat_rate_usd_per_kwh"]) == ("flat", "0.1")
    assert rate["daily_service_charge_usd"] == "0.5"
    steps = [{"max": 1000, "rate": 0.08, "unit": "kWh daily"}, {"rate": 0.1, "unit": "kWh daily"}]
    body = {"format": "urdb", "document": plain | {"energyratestructure": [steps]}}
    rate = (await taken(client, body))["rate"]
    assert (rate["rate_type"], rate["tier_unit"]) == ("tiered", "kwh_per_day")
    assert rate["tiered_rates"] == [
        {"up_to_kwh": "1000", "rate": "0.08"},
        {"up_to_kwh": None, "rate": "0.1"},
    ]


async def test_steps_by_the_kilowatt_in_periods(client: httpx.AsyncClient) -> None:
    steps = [{"max": 200, "rate": 0.1, "unit": "kWh/kW"}, {"rate": 0.05, "unit": "kWh/kW"}]
    found = await taken(client, urdb(energyratestructure=[steps, steps]))
    assert found["rate"]["tier_unit"] == "kwh_per_kw"
    assert found["rate"]["tou_schedule"][0]["tiers"][0]["up_to_kwh"] == "200"


async def test_a_monthly_demand_charge_that_varies(client: httpx.AsyncClient) -> None:
    found = await taken(
        client,
        urdb(
            flatdemandstructure=[[{"rate": 2}], [{"rate": 8}]],
            flatdemandmonths=[0] * 5 + [1] * 4 + [0] * 3,
            demandratestructure=None,
        ),
    )
    rate = found["rate"]
    for month, demand in (("01", 2), ("07", 8)):
        times = {"start_time": f"2026-{month}-10T00:00:00", "end_time": f"2026-{month}-11T00:00:00"}
        bill = await bill_of(client, rate["id"], power_w=100_000, **times)
        assert Decimal(bill["demand_charge_usd"]) == demand * 100


async def test_a_seasonal_monthly_demand_charge_beside_one_by_hours(
    client: httpx.AsyncClient,
) -> None:
    monthly = {
        "flatdemandstructure": [[{"rate": 0}], [{"rate": 8}]],
        "flatdemandmonths": [0] * 5 + [1] * 4 + [0] * 3,
    }
    rate = (await taken(client, urdb(**monthly)))["rate"]
    assert rate["demand_charges"] == [
        {"name": "Demand", "months": [6, 7, 8, 9], "tiers": None, "usd_per_kw": "8"}
    ]
    for month, demand in (("01", "0"), ("07", "15.5")):
        times = {"start_time": f"2026-{month}-10T00:00:00", "end_time": f"2026-{month}-11T00:00:00"}
        bill = await bill_of(client, rate["id"], power_w=100_000, **times)
        assert Decimal(bill["demand_charge_usd"]) == Decimal(demand) * 100
    exported = (await client.get(f"{RATES}/{rate['id']}/export")).json()
    again = await taken(client, {"format": "hashyard", "document": exported})
    assert again["rate"]["demand_charges"] == rate["demand_charges"]


async def test_demand_charges_in_steps(client: httpx.AsyncClient) -> None:
    steps = {
        "flatdemandstructure": [[{"max": 40, "rate": 2}, {"max": 90, "rate": 3}, {"rate": 5}]],
        "demandratestructure": [[{"rate": 0}], [{"max": 50, "rate": 1}, {"rate": 4, "adj": 0.5}]],
    }
    rate = (await taken(client, urdb(**steps)))["rate"]
    times = {"start_time": "2026-07-10T00:00:00", "end_time": "2026-07-11T00:00:00"}
    bill = await bill_of(client, rate["id"], power_w=100_000, **times)
    by_month = 40 * 2 + 50 * 3 + 10 * 5
    by_hours = 50 * 1 + 50 * Decimal("4.5")
    assert Decimal(bill["demand_charge_usd"]) == by_month + by_hours
    demand = [line for line in bill["lines"] if line["kind"] == "demand"]
    assert [line["quantity"] for line in demand] == [
        "40.000000", "50.000000", "10.000000", "50.000000", "50.000000",
    ]  # fmt: skip
    assert demand[0]["note"] == "step 1: up to 40 kW"


async def test_minimums_of_a_day_and_of_a_year(client: httpx.AsyncClient) -> None:
    june = {"start_time": "2026-06-01T00:00:00", "end_time": "2026-07-01T00:00:00"}
    of_day = (await taken(client, urdb(mincharge=2, minchargeunits="$/day")))["rate"]
    assert of_day["minimum_daily_charge_usd"] == "2"
    found = await bill_of(client, of_day["id"], power_w=0, **june)
    assert Decimal(found["total_cost_usd"]) == 60
    of_year = (await taken(client, urdb(mincharge=365, minchargeunits="$/year")))["rate"]
    year = {"start_time": "2026-01-01T00:00:00", "end_time": "2027-01-01T00:00:00"}
    found = await bill_of(client, of_year["id"], power_w=0, **year)
    assert Decimal(found["total_cost_usd"]) == 365
    [line] = [line for line in found["lines"] if line["kind"] == "minimum"]
    assert (line["month"], line["amount_usd"]) == ("2026-12", "245.000000")
    found = await bill_of(client, of_year["id"], power_w=0, **june)
    assert Decimal(found["total_cost_usd"]) == 30
    older = {"mincharge": None, "minchargeunits": None, "minmonthlycharge": 70}
    rate = (await taken(client, urdb(**older, annualmincharge=900)))["rate"]
    assert rate["minimum_monthly_charge_usd"] == "70"
    assert rate["minimum_yearly_charge_usd"] == "900"


async def test_a_ratchet_of_a_seasonal_charge(client: httpx.AsyncClient) -> None:
    changes = {
        "demandratestructure": None,
        "flatdemandstructure": [[{"rate": 4}], [{"rate": 8}]],
        "flatdemandmonths": [0] * 5 + [1] * 4 + [0] * 3,
        "lookbackPercent": 0.5,
        "lookbackRange": 11,
    }
    rate = (await taken(client, urdb(**changes)))["rate"]
    readings = [
        {"start": "2026-09-01T00:00:00", "end": "2026-09-02T00:00:00", "power_w": 100_000},
        {"start": "2026-10-01T00:00:00", "end": "2026-10-02T00:00:00", "power_w": 10_000},
    ]
    found = await bill_of(client, rate["id"], intervals=readings)
    assert Decimal(found["demand_charge_usd"]) == 100 * 8 + 50 * 4


async def test_a_ratchet(client: httpx.AsyncClient) -> None:
    changes = {"demandratestructure": None, "lookbackPercent": 0.8, "lookbackRange": 11}
    rate = (await taken(client, urdb(**changes)))["rate"]
    assert (rate["demand_ratchet_percent"], rate["demand_ratchet_months"]) == ("80", 11)


async def test_what_is_fed_in_is_paid_as_the_document_says(client: httpx.AsyncClient) -> None:
    nothing = [[{"rate": 0.1, "sell": None}], [{"rate": 0.2, "sell": 0}]]
    found = await taken(client, urdb(energyratestructure=nothing, dgrules=None))
    assert (found["rate"]["export_usd_per_kwh"], found["warnings"]) == (None, [])
    # A period that no hour is of says nothing of what a bill has.
    unused = [*URDB["energyratestructure"], [{"rate": 0.3, "sell": 0.3, "max": 5}]]
    found = await taken(client, urdb(energyratestructure=unused, fixedchargeeaaddl=0))
    assert (found["rate"]["export_usd_per_kwh"], found["warnings"]) == ("0.03", [])


STEPS_IN_MJ = [[{"max": 10, "rate": 0.1, "unit": "MJ"}, {"rate": 0.2, "unit": "MJ"}]] * 2
DAILY_PER_KW = [[{"rate": 0.1, "unit": "kWh/kW daily"}]] * 2
SOLD = [[{"rate": 0.1, "sell": 0.01}], [{"rate": 0.2, "sell": 0.02}]]
SOLD_AT_TIMES = [[{"rate": 0.1}], [{"rate": 0.2, "sell": 0.02}]]
BOUNDED = [[{"rate": 0.1}], [{"rate": 0.2, "max": 5}]]
BOUNDED_DEMAND = [[{"rate": 4, "max": 40}, {"rate": 5, "max": 90}]]
MIXED = [
    [{"max": 10, "rate": 0.1, "unit": "kWh"}, {"rate": 0.2, "unit": "kWh daily"}],
    [{"rate": 0.1}],
]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"energyratestructure": STEPS_IN_MJ}, "energyratestructure"),
        ({"energyratestructure": DAILY_PER_KW}, "energyratestructure"),
        ({"energyratestructure": MIXED}, "energyratestructure"),
        ({"energyratestructure": [[{"rate": 0.1}]]}, "energyratestructure"),
        ({"energyratestructure": [[{"rate": 1}, {"rate": 2}]] * 2}, "energyratestructure"),
        ({"energyratestructure": []}, "energyratestructure"),
        ({"energyratestructure": None}, "energyratestructure"),
        ({"energyratestructure": [[{"rate": "NaN"}]] * 2}, "rate"),
        ({"energyratestructure": [[{"rate": -5}]] * 2}, "rate"),
        ({"energyweekdayschedule": [[0] * 24] * 11}, "energyweekdayschedule"),
        ({"energyweekdayschedule": [[0] * 23] * 12}, "energyweekdayschedule"),
        ({"energyweekendschedule": None}, "energyweekendschedule"),
        ({"demandweekendschedule": None}, "demandweekendschedule"),
        ({"demandrateunit": "kVA"}, "demandrateunit"),
        ({"flatdemandunit": "kW daily"}, "flatdemandunit"),
        ({"demandratestructure": [[{"rate": 1}, {"rate": 2}]] * 2}, "demandratestructure"),
        ({"demandratestructure": [[{"rate": 1}]]}, "demandratestructure"),
        ({"flatdemandstructure": [[{"rate": 1}]],
          "flatdemandmonths": [0] * 6 + [1] * 6}, "flatdemandstructure"),
        ({"flatdemandstructure": [[{"rate": 1}], [{"rate": 9}]],
          "flatdemandmonths": None}, "flatdemandmonths"),
        ({"demandwindow": 7}, "demandwindow"),
        ({"fixedchargeunits": "$/week"}, "fixedchargeunits"),
        ({"minchargeunits": "$/week"}, "minchargeunits"),
        ({"lookbackpercent": 0.8}, "lookbackrange"),
        ({"lookbackpercent": 0.8, "lookbackrange": 6}, "lookbackpercent"),
        ({"lookbackpercent": 0.8, "lookbackrange": 6, "lookbackmonths": [0, 1] * 6},
         "lookbackmonths"),
        ({"coincidentratestructure": [[{"rate": 3}]]}, "coincidentratestructure"),
        ({"energyratestructure": SOLD}, "sell"),
        ({"energyratestructure": SOLD_AT_TIMES}, "sell"),
        ({"energyratestructure": [[{"rate": 0.1, "sell": -0.01}]] * 2}, "sell"),
        ({"energyratestructure": BOUNDED}, "energyratestructure"),
        ({"flatdemandstructure": BOUNDED_DEMAND}, "flatdemandstructure"),
        ({"demandratestructure": BOUNDED_DEMAND * 2}, "demandratestructure"),
        ({"fixedchargeeaaddl": 4}, "fixedchargeeaaddl"),
        ({"fueladjustmentsmonthly": [0.01] * 12}, "fueladjustmentsmonthly"),
    ],
)  # fmt: skip
async def test_what_is_not_supported_is_refused_by_name(
    client: httpx.AsyncClient, changes: dict[str, Any], field: str
) -> None:
    answer = await client.post(IMPORT, json=urdb(**changes))
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field, answer.json()
    assert (await client.get(RATES)).json()["count"] == 0


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({"dgrules": "Net Metering"}, True),
        ({"dgrules": "Buy All Sell All"}, True),
        ({"dgrules": None, "usenetmetering": True}, True),
        ({"dgrules": "Net Billing Instantaneous"}, False),
        ({"dgrules": None}, False),
    ],
)
async def test_a_rule_of_own_generation_is_no_load_s_matter(
    client: httpx.AsyncClient, changes: dict[str, Any], *, warned: bool
) -> None:
    answer = await client.post(IMPORT, json=urdb(**changes))
    assert answer.status_code == 201, answer.text
    assert [one.startswith("dgrules") for one in answer.json()["warnings"]] == [True] * warned


def unit_rate(start: str, end: str | None, exc: Any, inc: Any, **more: Any) -> dict[str, Any]:
    times = {"valid_from": start, "valid_to": end}
    return {"value_exc_vat": exc, "value_inc_vat": inc} | times | more


ROWS = [
    unit_rate("2026-07-01T01:00:00Z", "2026-07-01T01:30:00Z", -1.2, -1.26),
    unit_rate("2026-07-01T00:30:00Z", "2026-07-01T01:00:00Z", 20, 21),
    unit_rate("2026-07-01T00:00:00Z", "2026-07-01T00:30:00Z", 10, 10.5, payment_method=None),
]
PAGE: dict[str, Any] = {
    "count": 3,
    "next": None,
    "previous": None,
    "results": ROWS,
}


def octopus(document: Any = PAGE, **fields: Any) -> dict[str, Any]:
    return {"format": "octopus", "document": document} | fields


async def prices_of(client: httpx.AsyncClient, found: dict[str, Any]) -> list[tuple[str, str]]:
    answer = await client.get(f"/api/electricity/index-series/{found['series']['id']}/prices")
    return [(one["start"], one["price_per_mwh"]) for one in answer.json()["prices"]]


async def test_half_hourly_unit_rates(client: httpx.AsyncClient) -> None:
    found = await taken(client, octopus(name="Agile", location="Leeds"))
    rate = found["rate"]
    assert (rate["rate_type"], rate["currency"], rate["timezone"], rate["location"]) == (
        "index", "GBP", "Europe/London", "Leeds",
    )  # fmt: skip
    assert rate["index_series_id"] == found["series"]["id"]
    assert await prices_of(client, found) == [
        ("2026-07-01T00:00:00Z", "105"),
        ("2026-07-01T00:30:00Z", "210"),
        ("2026-07-01T01:00:00Z", "-12.6"),
    ]
    load = {"start_time": "2026-07-01T00:00:00Z", "end_time": "2026-07-01T01:30:00Z"}
    bill = await bill_of(client, rate["id"], power_w=2000, **load)
    assert Decimal(bill["total_cost_usd"]) == Decimal("0.3024")
    assert bill["currency"] == "GBP"


async def test_without_vat_and_as_a_bare_list(client: httpx.AsyncClient) -> None:
    found = await taken(client, octopus(ROWS, vat="excluded"))
    assert [price for _, price in await prices_of(client, found)] == ["100", "200", "-12"]
    assert found["series"]["note"] == "VAT excluded"


async def test_times_without_offset_are_londons(client: httpx.AsyncClient) -> None:
    rows = [unit_rate("2026-07-01T00:00:00", "2026-07-01T00:30:00", 1, 1)]
    found = await taken(client, octopus({"results": rows}, timezone="America/New_York"))
    assert await prices_of(client, found) == [("2026-06-30T23:00:00Z", "10")]
    assert found["rate"]["timezone"] == "America/New_York"


async def test_more_pages_go_to_the_same_series(client: httpx.AsyncClient) -> None:
    first = await taken(client, octopus(PAGE | {"next": "https://example.org/?page=2"}))
    assert len(first["warnings"]) == 1
    rows = [unit_rate("2026-06-30T23:30:00Z", "2026-07-01T00:00:00Z", 5, 5), ROWS[0]]
    more = await taken(client, octopus(rows, rate_id=first["rate"]["id"]))
    assert more["rate"]["id"] == first["rate"]["id"]
    assert more["series"]["prices"] == 4
    assert (await client.get(RATES)).json()["count"] == 1


async def test_payment_methods_are_not_mixed(client: httpx.AsyncClient) -> None:
    rows = [
        unit_rate("2026-07-01T00:00:00Z", None, 20, 21, payment_method="DIRECT_DEBIT"),
        unit_rate("2026-07-01T00:00:00Z", None, 25, 26, payment_method="NON_DIRECT_DEBIT"),
    ]
    answer = await client.post(IMPORT, json=octopus(rows))
    assert (answer.status_code, answer.json()["field"]) == (422, "payment_method")
    found = await taken(client, octopus(rows, payment_method="NON_DIRECT_DEBIT"))
    assert await prices_of(client, found) == [("2026-07-01T00:00:00Z", "260")]


async def test_a_page_that_repeats_a_row_is_fine(client: httpx.AsyncClient) -> None:
    rows = [*ROWS, ROWS[0]]
    assert (await taken(client, octopus(rows)))["series"]["prices"] == 3


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([], "results"),
        ([unit_rate("2026-07-01T00:00:00Z", None, 1, None)], "value_inc_vat"),
        ([unit_rate("2026-07-01T00:00:00Z", None, 1, "NaN")], "value_inc_vat"),
        ([unit_rate("soon", None, 1, 1)], "valid_from"),
        ([{"value_inc_vat": 1, "valid_from": None}], "valid_from"),
        ([unit_rate("2026-07-01T01:00:00Z", "2026-07-01T00:00:00Z", 1, 1)], "valid_to"),
        ([unit_rate("2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z", 1, 1),
          unit_rate("2026-07-01T00:30:00Z", "2026-07-01T01:30:00Z", 1, 1)], "start"),
        ([7], "results"),
    ],
)  # fmt: skip
async def test_bad_unit_rates(client: httpx.AsyncClient, rows: list[Any], field: str) -> None:
    answer = await client.post(IMPORT, json=octopus({"results": rows}))
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert (await client.get("/api/electricity/index-series")).json()["count"] == 0


async def test_unit_rates_for_a_rate_without_series(client: httpx.AsyncClient) -> None:
    flat = {"name": "f", "flat_rate_usd_per_kwh": 1}
    rate = (await client.post(RATES, json=flat)).json()["rate"]
    answer = await client.post(IMPORT, json=octopus(rate_id=rate["id"]))
    assert (answer.status_code, answer.json()["field"]) == (422, "rate_id")
    answer = await client.post(IMPORT, json=octopus(rate_id=str(new_id())))
    assert answer.status_code == 404


HARD = {
    "name": "Hard",
    "rate_type": "tou",
    "timezone": "America/New_York",
    "currency": "CAD",
    "flat_rate_usd_per_kwh": "0.1",
    "tou_schedule": [
        {"name": "P", "rate": "0.2", "start": "07:30", "end": "12:15", "months": [6, 7],
         "days": [0, 4], "day_type": "weekday", "demand_charge_usd_per_kw": "3",
         "demand_period": "D"},
        {"name": "H", "day_type": "holiday", "start_hour": 12, "end_hour": 14,
         "tiers": [{"up_to_kwh": 5, "rate": "0.1"}, {"rate": "0.2"}], "days": [0, 1, 2, 3, 4]},
    ],
    "holidays": ["2026-07-03"],
    "season_start_month": 5,
    "season_end_month": 9,
    "wrap_day": "start",
    "daily_service_charge_usd": "0.333333",
    "minimum_monthly_charge_usd": "5",
    "demand_charge_usd_per_kw": "4",
    "demand_window": "sliding",
    "demand_ratchet_percent": "80",
    "demand_ratchet_months": 11,
    "coincident_peak_usd_per_kw": "7",
    "coincident_hours": ["2026-07-01T17:00:00-04:00"],
    "taxes": [{"name": "VAT", "percent": "5"}],
    "credits": [{"name": "C", "usd_per_month": "1"}],
    "export_usd_per_kwh": "0.01",
}  # fmt: skip


async def test_what_is_exported_can_be_imported(client: httpx.AsyncClient) -> None:
    rate = (await client.post(RATES, json=HARD)).json()["rate"]
    answer = await client.get(f"{RATES}/{rate['id']}/export")
    assert "attachment" in answer.headers["content-disposition"]
    body = {"format": "hashyard", "document": answer.json()}
    copied = (await taken(client, body))["rate"]
    assert copied["id"] != rate["id"]
    again = (await client.get(f"{RATES}/{copied['id']}/export")).json()
    assert again["rate"] == answer.json()["rate"]
    load = {
        "power_w": 3000,
        "start_time": "2026-07-01T00:00:00Z",
        "end_time": "2026-07-08T00:00:00Z",
    }
    first, second = [await bill_of(client, one["id"], **load) for one in (rate, copied)]
    assert first["lines"] == second["lines"]


async def test_an_old_version_is_exported(client: httpx.AsyncClient) -> None:
    rate = (await client.post(RATES, json=HARD)).json()["rate"]
    await client.put(f"{RATES}/{rate['id']}", json={"name": "Newer"})
    url = f"{RATES}/{rate['id']}/export"
    assert (await client.get(url)).json()["rate"]["name"] == "Newer"
    old = await client.get(url, params={"version": 1})
    assert (old.json()["version"], old.json()["rate"]["name"]) == (1, "Hard")
    assert (await client.get(url, params={"version": 3})).status_code == 404
    assert (await client.get(f"{RATES}/{new_id()}/export")).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": "arcadia", "document": {}}, "format"),
        ({"format": "urdb"}, "document"),
        ({"format": "urdb", "document": 7}, "document"),
        ({"format": "urdb", "document": []}, "document"),
        ({"format": "urdb", "document": {"items": []}}, "document"),
        ({"format": "urdb", "document": {}}, "energyratestructure"),
        ({"format": "octopus", "document": {}}, "results"),
        ({"format": "octopus", "document": {"results": "x"}}, "results"),
        ({"format": "hashyard", "document": {}}, "name"),
        ({"format": "hashyard", "document": {"rate": 5}}, "document"),
        ({"format": "hashyard", "document": []}, "document"),
        ({"format": "hashyard", "document": {"name": "x", "colour": 1}}, "colour"),
        (octopus(vat="half"), "vat"),
        (octopus(timezone="Mars"), "timezone"),
        (octopus(colour="red"), "colour"),
    ],
)
async def test_documents_that_are_none(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await client.post(IMPORT, json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
