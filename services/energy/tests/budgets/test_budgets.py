"""Budgets: what a month has cost, what it will have cost, and who is told of it, once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from common.ids import new_id
from common.runtime import Runtime
from common.testing import ClientFor
from energy.ahead import local_day, local_month, service_charges
from energy.budgets.standing import month_of, span_of
from energy.budgets.watching import look_at_all
from energy.domain.budgeting import reached
from energy.domain.tariff import Tariff

Make = Callable[..., Awaitable[Any]]
MAY = datetime(2026, 5, 1, tzinfo=UTC)
BUDGETS = "/api/electricity/budgets"


def may(day: float) -> datetime:
    return MAY + timedelta(days=day - 1)


async def test_a_month_costs_so_much_and_will_have_cost_so_much(
    new_site: Make, new_rate: Make, use: Make, new_budget: Make, standing: Make
) -> None:
    """Document 003's 9.14 a day: 18.28 after two days, 283.34 in the 31 days of May."""
    site = await new_site()
    await new_rate(daily_service_charge_usd="0.50")
    await use(site, may(1), may(3), 1.5)
    budget = await new_budget(site_id=str(site))
    found = await standing(budget, may(3))
    assert (found.actual, found.used_percent) == (Decimal("18.28"), Decimal("6.09"))
    assert (found.forecast, found.method) == (Decimal("283.34"), "weekly_pattern")
    assert found.forecast_percent == Decimal("94.45")
    assert (found.month, found.kwh, found.coverage_percent) == ("2026-05", 144, 100)
    half = await standing(budget, may(2))
    assert half.actual == Decimal("9.14")
    over = await standing(budget, may(40), "2026-05")
    assert (over.method, over.forecast, over.actual) == (
        "month_over", Decimal("18.28"), Decimal("18.28"),
    )  # fmt: skip
    before = await standing(budget, may(3), "2026-04")
    assert (before.method, before.actual) == ("month_over", None)


async def test_the_forecast_follows_the_week_and_the_tariffs_hours(
    new_site: Make, new_rate: Make, use: Make, new_budget: Make, standing: Make
) -> None:
    """Half the day 1 kWh an hour at 0.10, half of it 3 at 0.30: 1.20 and 10.80 a day."""
    site = await new_site()
    await new_rate(
        rate_type="tou",
        flat_rate_usd_per_kwh="0.10",
        tou_schedule=[{"name": "Day", "rate": "0.30", "days": list(range(7)), "start_hour": 12,
                       "end_hour": 24}],
    )  # fmt: skip
    for day in range(1, 8):
        await use(site, may(day), may(day + 0.5), 0.5)
        await use(site, may(day + 0.5), may(day + 1), 1.5)
    found = await standing(await new_budget(site_id=str(site)), may(8))
    assert found.actual == 7 * Decimal("12.00")
    assert found.forecast == 31 * Decimal("12.00")


async def test_each_threshold_is_told_once_a_month(
    client: httpx.AsyncClient, new_site: Make, new_rate: Make, use: Make, new_budget: Make,
    new_person: Make, look_at: Make, letters: Make, deliveries: Make,
) -> None:  # fmt: skip
    site, owner = await new_site(), await new_person()
    await client.post(
        "/api/electricity/webhooks", json={"name": "x", "url": "https://a.example.org"}
    )
    await new_rate(daily_service_charge_usd="0.50")
    await use(site, may(1), may(3), 1.5)
    budget = await new_budget(site_id=str(site), monthly_amount="20")
    for _ in range(3):
        await look_at(may(3))
    told = [orjson.loads(one.body)["data"] for one in await deliveries()]
    # 18.28 of 20: 50 and 80 per cent were passed at once, and the month will not do.
    assert [(one["basis"], one["percent"]) for one in told] == [("actual", 80), ("forecast", 100)]
    assert (told[0]["amount"], told[0]["used_percent"]) == ("18.28", "91.4")
    assert [(one.template, one.user_id) for one in await letters()] == [("budget", owner)] * 2
    await use(site, may(3), may(4), 1.5)
    for _ in range(3):
        await look_at(may(4))
    told = [orjson.loads(one.body)["data"] for one in await deliveries()]
    assert [(one["basis"], one["percent"]) for one in told][2:] == [("actual", 100)]
    answer = await client.get(f"{BUDGETS}/{budget['id']}", params={"month": "2026-05"})
    notices = answer.json()["standing"]["notices"]
    assert [(one["basis"], one["percent"]) for one in notices] == [
        ("actual", 50), ("actual", 80), ("forecast", 100), ("actual", 100),
    ]  # fmt: skip
    await use(site, may(32), may(33), 1.5)
    await look_at(may(33))  # June: 9.14 of 20, and the forecast
    told = [orjson.loads(one.body)["data"] for one in await deliveries()]
    assert [(one["month"], one["basis"]) for one in told][3:] == [("2026-06", "forecast")]


async def test_many_lookers_tell_once(
    new_site: Make, new_rate: Make, use: Make, new_budget: Make, new_person: Make,
    runtime: Runtime, letters: Make,
) -> None:  # fmt: skip
    site = await new_site()
    await new_person()
    await new_rate()
    await use(site, may(1), may(2), 1.5)
    await new_budget(site_id=str(site), monthly_amount="1", forecast_percent=None)
    await asyncio.gather(*(look_at_all(runtime, at=may(2)) for _ in range(8)))
    await look_at_all(runtime, at=may(2))
    assert len(await letters()) == 1


async def test_a_clients_budget_is_of_its_own_machines(
    client: httpx.AsyncClient, client_as: ClientFor, deliver: Any, new_site: Make, new_rate: Make,
    use: Make, new_budget: Make, new_person: Make, standing: Make, look_at: Make, letters: Make,
) -> None:  # fmt: skip
    site, theirs = await new_site(), new_id()
    answer = await client.post(
        BUDGETS, json={"name": "x", "monthly_amount": 1, "client_id": str(theirs)}
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "client_unknown")
    await deliver(
        "identity.organisation.changed.v1", {"id": theirs, "parent_id": new_id(), "name": "Acme"}
    )
    await new_person()
    reader = await new_person("Client", client_id=theirs)
    await new_rate(daily_service_charge_usd="0.50")
    await use(site, may(1), may(3), 1.5, theirs)
    budget = await new_budget(client_id=str(theirs), monthly_amount="10")
    found = await standing(budget, may(3))
    # Energy alone: fixed charges are the operator's. 8.64 a day, so far and for the days left.
    assert (found.actual, found.forecast) == (Decimal("17.28"), Decimal("267.84"))
    assert found.method == "run_rate_7d"
    await look_at(may(3))
    assert {one.user_id for one in await letters()} == {reader}
    mine = client_as(client_id=theirs, role="Client")
    assert (await mine.get(f"{BUDGETS}/{budget['id']}")).status_code == 200
    assert (await mine.get("/api/electricity/messages")).json()["total"] == 2
    other = client_as(client_id=new_id(), role="Client")
    assert (await other.get(f"{BUDGETS}/{budget['id']}")).status_code == 404
    assert (await other.get("/api/electricity/messages")).json()["total"] == 0
    for client_id in (None, str(theirs)):
        body = {"name": "x", "monthly_amount": 1, "client_id": client_id}
        assert (await other.post(BUDGETS, json=body)).status_code == 403


async def test_the_whole_organisations_budget_is_of_all_sites(
    new_site: Make, new_rate: Make, use: Make, new_budget: Make, standing: Make
) -> None:
    await new_rate(flat_rate_usd_per_kwh="0.10")
    for _ in range(2):
        await use(await new_site(), may(1), may(2), 1.0)
    found = await standing(await new_budget(), may(2))
    assert (found.actual, found.forecast) == (Decimal("9.6"), Decimal("297.6"))


async def test_costs_that_nobody_can_convert_are_named(
    new_site: Make, new_rate: Make, use: Make, new_budget: Make, standing: Make, look_at: Make,
    letters: Make, new_person: Make,
) -> None:  # fmt: skip
    site = await new_site()
    await new_person()
    await new_rate(currency="QQX")
    await use(site, may(1), may(2), 1.5)
    budget = await new_budget(monthly_amount="0.01")
    found = await standing(budget, may(2))
    assert (found.actual, found.forecast, found.method) == (None, None, "unknown")
    assert found.other_currencies == ["QQX"]
    await look_at(may(2))
    assert await letters() == []


async def test_unrated_energy_is_said_and_costs_nothing_known(
    new_site: Make, use: Make, new_budget: Make, standing: Make
) -> None:
    site = await new_site()
    await use(site, may(1), may(1.5), 1.5)
    found = await standing(await new_budget(site_id=str(site)), may(1.5))
    assert (found.actual, found.unrated_kwh, found.method) == (None, 36, "unknown")


async def test_a_budget_is_changed_and_forgotten(
    client: httpx.AsyncClient, client_as: ClientFor, new_budget: Make, new_site: Make
) -> None:
    site = await new_site(zone="Europe/Berlin")
    budget = await new_budget(site_id=str(site))
    assert (budget["timezone"], budget["thresholds"]) == ("Europe/Berlin", [50, 80, 100])
    url = f"{BUDGETS}/{budget['id']}"
    change = {"monthly_amount": "12.50", "thresholds": [90], "forecast_percent": None,
              "last_month": "2026-12"}  # fmt: skip
    answer = await client.patch(url, json=change)
    body = answer.json()
    assert (body["monthly_amount"], body["thresholds"]) == ("12.50", [90])
    assert (body["forecast_percent"], body["last_month"], body["name"]) == (
        None, "2026-12", "Power",
    )  # fmt: skip
    assert (await client.patch(url, json={"last_month": "2025-12"})).status_code == 422
    answer = await client.get(url, params={"month": "2027-01"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_in_budget")
    assert (await client_as(organisation_id=new_id()).get(url)).status_code == 404
    assert (await client_as(scopes=frozenset({"costs:read"})).delete(url)).status_code == 403
    assert (await client.get(BUDGETS, params={"site_id": str(site)})).json()["total"] == 1
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(url)).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("monthly_amount", 0), ("monthly_amount", -5), ("monthly_amount", "NaN"),
        ("monthly_amount", True), ("monthly_amount", 1e13), ("currency", "dollars"),
        ("timezone", "Mars/Base"), ("thresholds", [80, 50]), ("thresholds", [50, 50]),
        ("thresholds", [0]), ("thresholds", [1001]), ("thresholds", [True]),
        ("thresholds", list(range(1, 13))), ("forecast_percent", 0), ("first_month", "2026-13"),
        ("first_month", "2026-5"), ("last_month", "2025-12"), ("name", " "), ("name", "x" * 129),
        ("recipients", [str(UUID(int=5))]), ("client_id", "x"), ("version", 3),
    ],
)  # fmt: skip
async def test_a_budget_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, field: str, value: Any
) -> None:
    body = {"name": "x", "monthly_amount": "1", "first_month": "2026-05"} | {field: value}
    answer = await client.post(BUDGETS, json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_months_are_local() -> None:
    new_york = "America/New_York"
    assert month_of(datetime(2026, 3, 1, 4, 59, tzinfo=UTC), new_york) == date(2026, 2, 1)
    assert month_of(datetime(2026, 3, 1, 5, 0, tzinfo=UTC), new_york) == date(2026, 3, 1)
    start, end = span_of(date(2026, 3, 1), new_york)
    assert end - start == timedelta(days=31) - timedelta(hours=1)  # the clock goes forward
    assert local_month(start, new_york) == (start, end)
    assert local_day(datetime(2026, 3, 8, 12, tzinfo=UTC), new_york) == (
        datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC),
    )  # fmt: skip
    assert span_of(date(2026, 12, 1), "UTC")[1] == datetime(2027, 1, 1, tzinfo=UTC)


def test_service_charges_count_days_and_months_whatever_their_length() -> None:
    tariff = Tariff(
        name="x",
        rate_type="flat",
        timezone="America/New_York",
        flat_rate=Decimal(0),
        daily_service_charge=Decimal("0.50"),
        monthly_service_charge=Decimal(31),
    )
    start, end = span_of(date(2026, 3, 1), tariff.timezone)
    assert service_charges(tariff, start, end) == Decimal("46.5")
    short_day = local_day(datetime(2026, 3, 8, 12, tzinfo=UTC), tariff.timezone)
    assert round(service_charges(tariff, *short_day) - Decimal("0.5"), 6) == round(
        Decimal(31 * 23) / (31 * 24 - 1), 6
    )


def test_a_threshold_is_reached_exactly_at_it() -> None:
    hundred = Decimal(100)
    assert reached(Decimal("79.999999"), hundred, [50, 80, 100]) == [50]
    assert reached(Decimal(80), hundred, [100, 80, 50]) == [50, 80]
    assert reached(Decimal(0), hundred, [50]) == []


async def test_a_price_that_rises_within_the_month_is_foreseen(
    client: httpx.AsyncClient, new_site: Make, new_rate: Make, use: Make, new_budget: Make,
    standing: Make,
) -> None:  # fmt: skip
    """10 days at 0.10 and 21 days at 0.20, 72 kWh a day."""
    site = await new_site()
    since = "2026-01-01T00:00:00Z"
    made = await new_rate(flat_rate_usd_per_kwh="0.10", valid_from=since)
    change = {"flat_rate_usd_per_kwh": "0.20", "valid_from": may(11).isoformat()}
    answer = await client.put(f"/api/electricity/rates/{made['id']}", json=change)
    assert answer.status_code == 200, answer.text
    await use(site, may(1), may(3), 1.5)
    found = await standing(await new_budget(site_id=str(site)), may(3))
    assert found.actual == Decimal("14.4")
    assert found.forecast == 10 * Decimal("7.2") + 21 * Decimal("14.4")
