"""Records by hand: whose they are, each piece of energy once, and what they cost."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from httpx import AsyncClient

from common.ids import new_id

DAY = datetime(2026, 5, 4, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
Make = Callable[..., Awaitable[Any]]
COSTS = "/api/electricity/costs"
SUMMARY = "/api/electricity/costs/summary"
RECORD = "/api/electricity/record-costs"
WHEN = {"start_date": "2026-05-04", "end_date": "2026-05-04"}
MONTH = {"start_date": "2026-05-01", "end_date": "2026-05-31"}
A_DAY = {"period_start": DAY.isoformat(), "period_end": NEXT.isoformat(), "power_w": 3000}
AN_HALF_HOUR = {"period_start": DAY.isoformat(), "period_end": (DAY + HALF_HOUR).isoformat()}
STEPS = [
    {"up_to_kwh": "5000", "rate": "0.10"},
    {"up_to_kwh": "12500", "rate": "0.13"},
    {"up_to_kwh": None, "rate": "0.12"},
]


async def got(client: AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def kept(client: AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(RECORD, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(client: AsyncClient, **body: Any) -> tuple[int, str]:
    answer = await client.post(RECORD, json=body)
    return answer.status_code, answer.json()["code"]


async def total(client: AsyncClient, **params: Any) -> str | None:
    found: str | None = (await got(client, SUMMARY, **WHEN | params))["total_cost_usd"]
    return found


async def test_a_machine_named_by_its_address_is_counted_once_beside_telemetry(
    client: AsyncClient, new_site: Make, new_miner: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    site = await new_site()
    machine = await new_miner(site, ip="127.64.0.9")
    await new_rate(flat_rate_usd_per_kwh="0.50", name="Everywhere")
    await new_rate(site_id=str(site))
    made = await kept(client, **AN_HALF_HOUR, total_kwh="2", miner_ip="127.64.0.9")
    cost = made["cost"]
    # The machine's site, and the site's own rate.
    assert (cost["miner_id"], cost["site_id"]) == (str(machine), str(site))
    assert cost["energy_cost_usd"] == "0.240000"
    again = await kept(client, **AN_HALF_HOUR, total_kwh="2", miner_id=str(machine))
    assert (again["created"], again["cost"]["id"]) == (False, cost["id"])
    await close(site, DAY, [(machine, None, 1.5, 100.0)])
    await rate()
    for scope in ({"miner_ip": "127.64.0.9"}, {"miner_id": str(machine)}, {}):
        assert (await total(client, **scope)) == "0.180000"
    late = await refused(client, **AN_HALF_HOUR, total_kwh="3", miner_ip="127.64.0.9")
    assert late == (409, "already_recorded")


async def test_an_address_of_several_machines_needs_its_site(
    client: AsyncClient, new_site: Make, new_miner: Make, new_rate: Make
) -> None:
    one, other = await new_site(location="One"), await new_site(location="Other")
    await new_miner(one, ip="10.0.0.7")
    machine = await new_miner(other, ip="10.0.0.7")
    await new_rate()
    assert await refused(client, **A_DAY, miner_ip="10.0.0.7") == (422, "miner_unclear")
    for place in ({"site_id": str(other)}, {"location": "other"}):
        made = await kept(client, **A_DAY, miner_ip="10.0.0.7", **place)
        assert made["cost"]["miner_id"] == str(machine)


async def test_a_location_that_is_a_sites_is_the_site(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    site = await new_site(location="Odessa")
    await new_rate()
    made = await kept(client, **AN_HALF_HOUR, total_kwh="7", location="ODESSA")
    assert made["cost"]["site_id"] == str(site)
    await close(site, DAY, [(new_id(), None, 1.5, 100.0)])
    await rate()
    for scope in ({}, {"location": "odessa"}, {"site_id": str(site)}):
        assert await total(client, **scope) == "0.180000"
    elsewhere = A_DAY | {"site_id": str(site), "location": "Barn"}
    assert await refused(client, **elsewhere) == (422, "record_refused")
    await new_site(location="Odessa")
    assert await refused(client, **A_DAY, location="Odessa") == (422, "record_refused")


@pytest.mark.parametrize("place", [{"location": "ODESSA"}, {"miner_ip": "10.0.0.7"}])
async def test_telemetry_of_what_becomes_known_later_counts_before_a_record(
    client: AsyncClient,
    new_site: Make,
    new_miner: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    place: dict[str, str],
) -> None:
    await new_rate()
    later = {"period_start": (DAY + HALF_HOUR).isoformat(),
             "period_end": (DAY + 2 * HALF_HOUR).isoformat()}  # fmt: skip
    for span in (AN_HALF_HOUR, later):
        await kept(client, **span, total_kwh="2", **place)
    assert await total(client, **place) == "0.480000"
    site = await new_site(location="Odessa")
    machine = await new_miner(site, ip="10.0.0.7")
    await close(site, DAY, [(machine, None, 1.5, 100.0)])
    await rate()
    for scope in ({}, place):
        assert await total(client, **scope) == "0.420000"


async def test_spellings_of_one_location_are_one(client: AsyncClient, new_rate: Make) -> None:
    await new_rate(daily_service_charge_usd="0.50")
    first = await kept(client, **A_DAY, location="Barn  West")
    again = await kept(client, **A_DAY, location=" BARN WEST")
    assert (again["created"], again["cost"]["id"]) == (False, first["cost"]["id"])
    other = await refused(client, **A_DAY | {"power_w": 4000}, location="barn west")
    assert other == (409, "already_recorded")
    # A machine's record beside its fleet's is no more energy, however the place is spelt.
    await kept(client, **A_DAY, location="BARN WEST", miner_ip="10.0.0.7")
    assert await total(client, location="barn west") == "9.140000"
    assert await total(client) == "9.140000"


async def test_one_of_many_at_once_is_kept(client: AsyncClient, new_rate: Make) -> None:
    await new_rate()
    spellings = [" " * blanks + name for blanks in range(4) for name in ("Barn", "BARN", "barn")]
    made = await asyncio.gather(*(kept(client, **A_DAY, location=one) for one in spellings))
    assert sum(one["created"] for one in made) == 1
    assert len({one["cost"]["id"] for one in made}) == 1


@pytest.mark.parametrize("location", ["Großstraße", "ZÜRICH  WEST", "Barn"])
async def test_a_location_finds_what_was_recorded_under_its_own_name(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make, location: str
) -> None:
    site = await new_site(location=location)
    await new_rate(location=location)
    await new_rate(name="Everywhere")
    await close(site, DAY, [(new_id(), None, 1.5, 100.0)])
    await rate()
    hand = f"Near {location}"
    await kept(client, **A_DAY, location=hand)
    asked = WHEN | {"location": location}
    assert (await got(client, COSTS, **asked))["total"] == 1
    assert await total(client, location=location) == "0.180000"
    assert len((await got(client, "/api/electricity/trends", **asked))["points"]) == 1
    sites = await got(client, "/api/electricity/costs/compare-sites", **asked)
    assert [one["name"] for one in sites["sites"]] == [location]
    assert await total(client, location=hand) == "8.640000"


async def test_a_site_known_by_hand_pays_its_daily_charge_once(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    site = await new_site()
    await new_rate(daily_service_charge_usd="0.50")
    noon = (DAY + timedelta(hours=12)).isoformat()
    await kept(client, **A_DAY | {"period_end": noon}, site_id=str(site))
    await kept(client, **A_DAY | {"period_start": noon}, location="Odessa")
    sums = await got(client, SUMMARY, **WHEN, site_id=str(site))
    assert (sums["total_cost_usd"], sums["service_charge_usd"]) == ("9.140000", "0.500000")
    assert (sums["fixed_charges"], sums["notes"]) == ("included", [])
    trend = await got(client, "/api/electricity/trends", **WHEN)
    assert trend["points"][0]["amounts"]["total_cost_usd"] == "9.140000"
    # Telemetry tells of the morning: the day's charge is its, and not the afternoon's too.
    await close(site, DAY, [(new_id(), None, 1.5, 100.0)])
    await rate()
    sums = await got(client, SUMMARY, **WHEN)
    assert (sums["total_kwh"], sums["service_charge_usd"]) == ("37.500000", "0.500000")
    trend = await got(client, "/api/electricity/trends", **WHEN)
    assert trend["points"][0]["amounts"]["service_charge_usd"] == "0.500000"


async def test_sites_known_by_hand_each_pay_their_own_charge(
    client: AsyncClient, new_site: Make, new_rate: Make
) -> None:
    await new_rate(daily_service_charge_usd="0.50")
    for location in ("One", "Other"):
        await new_site(location=location)
        await kept(client, **A_DAY, location=location)
    assert await total(client) == "18.280000"
    sites = await got(client, "/api/electricity/costs/compare-sites", **WHEN)
    assert [one["amounts"][0]["total_cost_usd"] for one in sites["sites"]] == ["9.140000"] * 2


async def test_what_records_by_hand_leave_out_is_said(
    client: AsyncClient, new_site: Make, new_rate: Make
) -> None:
    site = await new_site()
    await new_rate(
        daily_service_charge_usd="0.50", demand_charge_usd_per_kw="10",
        monthly_service_charge_usd="31", taxes=[{"name": "VAT", "percent": "10"}],
    )  # fmt: skip
    made = await kept(client, **A_DAY, site_id=str(site))
    assert made["cost"]["total_cost_usd"] == "9.140000"
    assert made["notes"] == ["Not in records by hand: demand, monthly service, taxes."]
    sums = await got(client, SUMMARY, **WHEN)
    assert sums["fixed_charges"] == "not of records by hand"
    assert made["notes"][0] in sums["notes"]


async def test_a_machines_record_by_hand_has_no_daily_charge_and_says_so(
    client: AsyncClient, new_rate: Make
) -> None:
    await new_rate(daily_service_charge_usd="0.50")
    made = await kept(client, **A_DAY, miner_ip="10.0.0.7")
    assert made["notes"] == ["Not in records by hand: daily service."]
    assert (await got(client, SUMMARY, **WHEN))["fixed_charges"] == "not of records by hand"


@pytest.mark.parametrize("tier_rule", ["pro_rata", "chronological"])
@pytest.mark.parametrize("place", [{"location": "Barn"}, {"miner_ip": "10.0.0.7"}])
async def test_records_of_a_month_add_up_to_the_months_steps(
    client: AsyncClient, new_rate: Make, place: dict[str, str], tier_rule: str
) -> None:
    await new_rate(rate_type="tiered", flat_rate_usd_per_kwh=None, tiered_rates=STEPS,
                   tier_rule=tier_rule)  # fmt: skip
    days = [datetime(2026, 5, 1, tzinfo=UTC) + timedelta(days=day) for day in range(30)]
    for start in [*days[10:], *days[:10]]:
        end = start + timedelta(days=1)
        span = {"period_start": start.isoformat(), "period_end": end.isoformat()}
        await kept(client, **span, total_kwh="1000", **place)
    sums = await got(client, SUMMARY, **MONTH, **place)
    assert (sums["total_kwh"], sums["energy_cost_usd"]) == ("30000.000000", "3575.000000")
    april = {"period_start": "2026-04-30T00:00:00Z", "period_end": "2026-05-01T00:00:00Z"}
    made = await kept(client, **april, total_kwh="1000", **place)
    assert made["cost"]["energy_cost_usd"] == "100.000000"


async def test_machines_of_one_place_share_its_steps(client: AsyncClient, new_rate: Make) -> None:
    await new_rate(rate_type="tiered", flat_rate_usd_per_kwh=None, tiered_rates=STEPS)
    for number in range(3):
        body = A_DAY | {"power_w": None, "total_kwh": "2500", "location": "Barn"}
        await kept(client, **body, miner_ip=f"10.0.0.{number}")
    # 5,000 at .10 and 2,500 at .13, though all ran at the same time.
    assert await total(client, location="Barn") == "825.000000"
    fleet = await kept(client, **A_DAY | {"power_w": None, "total_kwh": "7500"}, location="Barn")
    assert fleet["cost"]["energy_cost_usd"] == "825.000000"


async def test_the_same_load_costs_the_same_by_hand_and_by_telemetry(
    client: AsyncClient, new_site: Make, new_rate: Make, close: Make, rate: Make
) -> None:
    told, hand = await new_site(location="Told"), await new_site(location="Hand")
    await new_rate(rate_type="tiered", flat_rate_usd_per_kwh=None, tiered_rates=STEPS,
                   tier_rule="chronological")  # fmt: skip
    for hours in (0, 12, 40, 41):
        at = DAY + timedelta(hours=hours)
        await close(told, at, [(new_id(), None, 1500.0, 1.0), (new_id(), None, 1500.0, 1.0)])
        span = {"period_start": at.isoformat(), "period_end": (at + HALF_HOUR).isoformat()}
        await kept(client, **span, total_kwh="3000", site_id=str(hand))
    await rate()
    costs = [
        (await got(client, SUMMARY, **MONTH, site_id=str(site)))["energy_cost_usd"]
        for site in (told, hand)
    ]
    assert costs == ["1410.000000", "1410.000000"]


async def test_a_record_over_local_midnight_is_kept_by_the_day(
    client: AsyncClient, new_site: Make, new_rate: Make
) -> None:
    site = await new_site("America/Chicago")
    await new_rate(timezone="America/Chicago", daily_service_charge_usd="0.50")
    body = {"period_start": "2026-05-04T18:00:00", "period_end": "2026-05-05T06:00:00",
            "total_kwh": "12", "site_id": str(site)}  # fmt: skip
    made = await kept(client, **body)
    assert [one["total_kwh"] for one in made["costs"]] == ["6.000000", "6.000000"]
    assert [one["period_start"] for one in made["costs"]] == [
        "2026-05-04T23:00:00Z", "2026-05-05T05:00:00Z",
    ]  # fmt: skip
    whole = made["cost"]
    assert (whole["id"], whole["total_kwh"], whole["duration_hours"]) == (
        None, "12.000000", "12.000000",
    )  # fmt: skip
    assert whole["total_cost_usd"] == "1.690000"  # 1.44, and half a day's 0.50
    assert (await kept(client, **body))["created"] is False
    for day in ("2026-05-04", "2026-05-05"):
        span = {"start_date": day, "end_date": day}
        sums = await got(client, SUMMARY, **span, site_id=str(site))
        assert Decimal(sums["total_kwh"]) == 6
        trend = await got(client, "/api/electricity/trends", **span, site_id=str(site))
        assert [one["amounts"]["total_kwh"] for one in trend["points"]] == ["6.000000"]
