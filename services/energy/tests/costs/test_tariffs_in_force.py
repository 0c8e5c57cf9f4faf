"""Which tariff counts: versions, boundaries, steps, days of 23 and 25 hours, whole months."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from httpx import AsyncClient
from sqlalchemy import select

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from common.testing import TenantSessions
from energy.costs.models import ElectricityCost, RatingDue, SiteCharge
from energy.costs.rater import sweep
from energy.costs.reading import CostSum, cost_between

DAY = datetime(2026, 5, 4, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
Make = Callable[..., Awaitable[Any]]
Published = Callable[..., Awaitable[list[dict[str, Any]]]]
TOU: dict[str, Any] = {
    "rate_type": "tou",
    "flat_rate_usd_per_kwh": None,
    "tou_schedule": [
        {"name": "Off-Peak", "rate": "0.08", "days": list(range(7)), "start": "21:00",
         "end": "07:00"},
        {"name": "Peak", "rate": "0.18", "days": list(range(7)), "start": "07:00",
         "end": "21:00"},
    ],
}  # fmt: skip


async def sums(sessions: TenantSessions, start: datetime, end: datetime, **scope: Any) -> CostSum:
    async with sessions() as session:
        return await cost_between(session, start=start, end=end, **scope)


async def rows_of(sessions: TenantSessions, site: UUID) -> list[ElectricityCost]:
    async with sessions() as session:
        query = select(ElectricityCost).where(ElectricityCost.site_id == site)
        return list(await session.scalars(query.order_by(ElectricityCost.period_start)))


async def test_the_documents_time_of_use_day(
    new_site: Make, new_rate: Make, close_day: Make, rate: Make, tenant_session: TenantSessions
) -> None:
    site = await new_site()
    await new_rate(**TOU)
    await close_day(site, DAY, NEXT, [(new_id(), None, 1.5, 100.0)])
    await rate()
    assert (await sums(tenant_session, DAY, NEXT)).total_cost == Decimal("9.96")
    amounts: dict[str, Decimal] = {}
    for row in await rows_of(tenant_session, site):
        for name, amount in (row.tou_breakdown_usd or {}).items():
            amounts[name] = amounts.get(name, Decimal(0)) + Decimal(amount)
    assert amounts == {"Off-Peak": Decimal("2.40"), "Peak": Decimal("7.56")}


async def test_a_boundary_inside_a_half_hour_takes_energy_as_uniform_and_says_so(
    new_site: Make, new_rate: Make, close: Make, rate: Make, tenant_session: TenantSessions
) -> None:
    site = await new_site()
    schedule = [dict(row) for row in TOU["tou_schedule"]]
    schedule[0]["end"] = schedule[1]["start"] = "07:10"
    await new_rate(**TOU | {"tou_schedule": schedule})
    await close(site, DAY + timedelta(hours=7), [(new_id(), None, 3.0, 100.0)])
    await rate()
    [row] = await rows_of(tenant_session, site)
    assert (row.split, row.energy_cost_usd) == (True, Decimal("0.44"))
    assert row.tou_breakdown_usd == {"Off-Peak": "0.080000", "Peak": "0.360000"}
    assert (await sums(tenant_session, DAY, NEXT)).split_records == 1


async def test_a_later_version_counts_from_its_start_and_re_rates_what_it_covers(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close_day: Make,
    rate: Make,
    tenant_session: TenantSessions,
    published: Published,
    deliver: Make,
) -> None:
    site, miner = await new_site(), new_id()
    made = await new_rate()
    await close_day(site, DAY, NEXT + timedelta(days=1), [(miner, None, 1.0, 100.0)])
    await rate()
    noon = NEXT + timedelta(hours=12)
    path = f"/api/electricity/rates/{made['id']}"
    changed = await client.put(
        path, json={"flat_rate_usd_per_kwh": "0.20", "valid_from": noon.isoformat()}
    )
    assert changed.status_code == 200, changed.text
    told = (await published("energy.tariff.changed.v1"))[-1]
    await deliver("energy.tariff.changed.v1", told["data"], version=told["version"])
    before = len(await published("energy.cost.rated.v1"))
    await rate()
    assert (await sums(tenant_session, DAY, NEXT)).energy_cost == Decimal("5.76")
    assert (await sums(tenant_session, NEXT, noon)).energy_cost == Decimal("2.88")
    assert (await sums(tenant_session, noon, NEXT + timedelta(days=1))).energy_cost == Decimal(
        "4.8"
    )
    assert {row.rate_version for row in await rows_of(tenant_session, site)} == {1, 2}
    after = await published("energy.cost.rated.v1")
    assert [one["data"]["day"] for one in after[before:]] == ["2026-05-05"]
    assert (after[-1]["data"]["rate_version"], after[-1]["data"]["revision"]) == (2, 2)
    machine = await sums(tenant_session, noon, NEXT + timedelta(days=1), miner_id=miner)
    assert machine.energy_cost == Decimal("4.8")


async def test_days_of_23_and_25_hours_have_their_own_energy_and_one_service_charge(
    new_site: Make, new_rate: Make, close_day: Make, rate: Make, tenant_session: TenantSessions
) -> None:
    zone = ZoneInfo("America/New_York")
    site = await new_site("America/New_York")
    await new_rate(**TOU | {"timezone": "America/New_York", "daily_service_charge_usd": "0.50"})
    for day, kwh, cost in (
        (date(2026, 3, 8), "69", Decimal("9.72")),
        (date(2025, 11, 2), "75", Decimal("10.20")),
    ):
        start = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        after = day + timedelta(days=1)
        end = datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC)
        await close_day(site, start, end, [(new_id(), None, 1.5, 100.0)])
        await rate()
        found = await sums(tenant_session, start, end)
        assert (found.kwh, found.energy_cost) == (Decimal(kwh), cost)
        assert found.service_charge == Decimal("0.50")
        shares = [
            row.service_charge_usd or Decimal(0)
            for row in await rows_of(tenant_session, site)
            if start <= row.period_start < end
        ]
        assert sum(shares) == Decimal("0.50")


async def test_demand_is_charged_once_a_month_however_many_machines(
    new_site: Make, new_rate: Make, close: Make, rate: Make, tenant_session: TenantSessions
) -> None:
    site = await new_site()
    await new_rate(demand_charge_usd_per_kw="5.00", monthly_service_charge_usd="31")
    await close(site, DAY, [(new_id(), None, 0.5, 1.0) for _ in range(100)])
    await close(site, DAY + timedelta(days=2), [(new_id(), None, 0.1, 1.0)])
    await rate()
    first, last = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    month = await sums(tenant_session, first, last)
    assert (month.demand_charge, month.service_charge) == (Decimal(500), Decimal(31))
    half = await sums(tenant_session, first, first + timedelta(days=15, hours=12))
    assert half.demand_charge == Decimal(250)


async def test_two_versions_in_a_month_share_its_demand_by_time(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
) -> None:
    site = await new_site()
    made = await new_rate(demand_charge_usd_per_kw="4.00", taxes=[{"name": "VAT", "percent": 10}])
    middle = datetime(2026, 4, 16, tzinfo=UTC)
    body = {"demand_charge_usd_per_kw": "8.00", "valid_from": middle.isoformat()}
    assert (await client.put(f"/api/electricity/rates/{made['id']}", json=body)).is_success
    await close(site, datetime(2026, 4, 2, tzinfo=UTC), [(new_id(), None, 5.0, 1.0)])
    await rate()
    span = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    month = await sums(tenant_session, *span)
    assert month.demand_charge == Decimal(60)
    assert month.taxes == Decimal("6.06")


async def test_steps_follow_the_months_total_whichever_day_comes_last(
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    published: Published,
) -> None:
    site = await new_site()
    tiers = [{"up_to_kwh": "10", "rate": "0.10"}, {"up_to_kwh": None, "rate": "0.30"}]
    await new_rate(rate_type="tiered", flat_rate_usd_per_kwh=None, tiered_rates=tiers)
    miner = new_id()
    await close(site, DAY, [(miner, None, 10.0, 1.0)])
    await rate()
    assert (await sums(tenant_session, DAY, NEXT)).energy_cost == Decimal(1)
    await close(site, NEXT, [(miner, None, 10.0, 1.0)])
    await rate()
    await rate()
    # 20 kWh: ten at each step; pro rata each day bears the same.
    assert (await sums(tenant_session, DAY, NEXT)).energy_cost == Decimal(2)
    assert (await sums(tenant_session, NEXT, NEXT + timedelta(days=1))).energy_cost == Decimal(2)
    days = [one["data"]["day"] for one in await published("energy.cost.rated.v1")]
    assert days == ["2026-05-04", "2026-05-05", "2026-05-04"]


async def test_an_index_without_a_price_leaves_its_half_hours_unrated(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    deliver: Make,
    published: Published,
) -> None:
    made = await client.post(
        "/api/electricity/index-series", json={"name": "Day ahead", "currency": "USD"}
    )
    assert made.is_success, made.text
    series = made.json()["series"]["id"]
    prices = [{"start": DAY.isoformat(), "end": (DAY + HALF_HOUR).isoformat(),
               "price_per_mwh": "-50"}]  # fmt: skip
    stored = await client.post(
        f"/api/electricity/index-series/{series}/prices", json={"prices": prices}
    )
    assert stored.is_success, stored.text
    site = await new_site()
    await new_rate(
        rate_type="index", flat_rate_usd_per_kwh=None, index_series_id=series,
        adder_usd_per_kwh="0.01",
    )  # fmt: skip
    for at in (DAY, DAY + HALF_HOUR):
        await close(site, at, [(new_id(), None, 2.0, 1.0)])
    await rate()
    cost = await sums(tenant_session, DAY, NEXT)
    assert (cost.kwh, cost.unrated_kwh, cost.energy_cost) == (4, 2, Decimal("-0.08"))
    # Another price of the same time, and one where there was none.
    prices = [
        {"start": at.isoformat(), "end": (at + HALF_HOUR).isoformat(), "price_per_mwh": price}
        for at, price in ((DAY, "40"), (DAY + HALF_HOUR, "90"))
    ]
    path = f"/api/electricity/index-series/{series}/prices"
    assert (await client.post(path, json={"prices": prices})).is_success
    told = (await published("energy.index-prices.changed.v1"))[-1]
    await deliver("energy.index-prices.changed.v1", told["data"], version=told["version"])
    await rate()
    cost = await sums(tenant_session, DAY, NEXT)
    assert (cost.unrated_kwh, cost.energy_cost) == (0, Decimal("0.30"))


async def test_a_corrected_price_of_an_index_rates_its_days_anew_however_late(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    worker_session: Any,
    deliver: Make,
    published: Published,
) -> None:
    days = [DAY + timedelta(days=number) for number in range(3)]
    prices = [{"start": day.isoformat(), "price_per_mwh": "100"} for day in days]
    made = await client.post(
        "/api/electricity/index-series",
        json={"name": "Day ahead", "currency": "USD", "prices": prices},
    )
    assert made.is_success, made.text
    series = made.json()["series"]["id"]
    site = await new_site()
    await new_rate(rate_type="index", flat_rate_usd_per_kwh=None, index_series_id=series)
    for day in days:
        await close(site, day, [(new_id(), None, 1.0, 1.0)])
    await rate()
    path = f"/api/electricity/index-series/{series}/prices"
    corrected = {"start": days[1].isoformat(), "price_per_mwh": "50"}
    assert (await client.post(path, json={"prices": [corrected]})).is_success
    told = (await published("energy.index-prices.changed.v1"))[-1]
    assert told["data"]["ends_at"] == days[2].isoformat().replace("+00:00", "Z")
    # The message may come as late as it likes: nothing is looked for by the clock.
    await deliver("energy.index-prices.changed.v1", told["data"], version=told["version"])
    async with worker_session() as session:
        due = select(RatingDue.day).where(RatingDue.site_id == site)
        assert list(await session.scalars(due)) == [days[1].date()]
    await rate()
    costs = [row.energy_cost_usd for row in await rows_of(tenant_session, site)]
    assert costs == [Decimal("0.1"), Decimal("0.05"), Decimal("0.1")]


async def test_a_site_nobody_has_named_yet_is_rated_once_it_is_known(
    runtime: Runtime,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    worker_session: Any,
    published: Published,
) -> None:
    site = new_id()
    await new_rate()
    await close(site, DAY + timedelta(hours=22), [(new_id(), None, 1.0, 1.0)])
    await rate()
    assert await published("energy.cost.rated.v1") == []
    await new_site("Asia/Tokyo", site_id=site)
    async with worker_session() as session:
        due = await session.scalar(select(RatingDue).where(RatingDue.site_id == site))
        assert due is not None
        assert due.due_at > now()
        due.due_at = now() - timedelta(seconds=1)
    await rate()
    [first] = await published("energy.cost.rated.v1")
    assert (first["data"]["day"], first["data"]["kwh"]) == ("2026-05-05", "1.000000")
    # The site turns out to lie elsewhere: its days are others.
    await new_site("UTC", site_id=site, version=2)
    await sweep(runtime)
    await rate()
    told = [one["data"] for one in await published("energy.cost.rated.v1")]
    assert [one["day"] for one in told if one["told_half_hours"]] == ["2026-05-05", "2026-05-04"]
    assert (await sums(tenant_session, DAY, NEXT)).kwh == 1


async def test_a_day_that_was_rated_before_its_end_gets_its_whole_charge(
    runtime: Runtime,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    worker_session: Any,
) -> None:
    site = await new_site()
    await new_rate(daily_service_charge_usd="4.80")
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    for age in (3, 1):
        await close(site, today - timedelta(days=age), [(new_id(), None, 1.0, 1.0)])
    await rate()
    async with worker_session() as session:
        yesterday = await session.scalar(
            select(SiteCharge).where(
                SiteCharge.site_id == site, SiteCharge.kind == "day",
                SiteCharge.starts_on == (today - timedelta(days=1)).date(),
            )
        )  # fmt: skip
        assert yesterday is not None
        yesterday.ends_at = today - timedelta(hours=12)
        yesterday.service_charge = Decimal("2.40")
    await sweep(runtime)
    await rate()
    # The day of which nothing was told at all is charged as well.
    cost = await sums(tenant_session, today - timedelta(days=3), today)
    assert cost.service_charge == Decimal("14.40")


async def changed(client: AsyncClient, rate_id: str, **fields: Any) -> None:
    answer = await client.put(f"/api/electricity/rates/{rate_id}", json=fields)
    assert answer.is_success, answer.text


async def test_a_rate_of_another_zone_is_billed_by_the_sites_months(
    new_site: Make, new_rate: Make, close: Make, rate: Make, tenant_session: TenantSessions
) -> None:
    """In London, June begins in New York's May: one month, one peak, one allowance."""
    zone = ZoneInfo("Europe/London")
    first, end = (datetime(2026, month, 1, tzinfo=zone).astimezone(UTC) for month in (6, 7))
    site = await new_site("Europe/London")
    tiers = [{"up_to_kwh": "100", "rate": "0.10"}, {"up_to_kwh": None, "rate": "0.30"}]
    await new_rate(
        timezone="America/New_York", demand_charge_usd_per_kw="5.00", rate_type="tiered",
        flat_rate_usd_per_kwh=None, tiered_rates=tiers,
    )  # fmt: skip
    for at in (first, first + timedelta(days=9), end - HALF_HOUR):
        await close(site, at, [(new_id(), None, 50.0, 1.0)])
    await rate()
    await rate()
    month = await sums(tenant_session, first, end)
    assert month.demand_charge == Decimal(500)
    assert round(month.energy_cost, 6) == Decimal(25)


@pytest.mark.parametrize("rule", ["pro_rata", "chronological"])
async def test_versions_of_one_month_share_its_steps(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    rule: str,
) -> None:
    site = await new_site()
    tiers = [{"up_to_kwh": "50", "rate": "0.10"}, {"up_to_kwh": None, "rate": "0.30"}]
    made = await new_rate(
        rate_type="tiered", flat_rate_usd_per_kwh=None, tiered_rates=tiers, tier_rule=rule,
        taxes=[{"name": "VAT", "percent": 10}],
    )  # fmt: skip
    noon = datetime(2026, 5, 16, 12, tzinfo=UTC)
    await changed(client, made["id"], description="as before", valid_from=noon.isoformat())
    for day in (2, 9, 20):
        await close(site, datetime(2026, 5, day, tzinfo=UTC), [(new_id(), None, 100.0, 1.0)])
    await rate()
    await rate()
    month = await sums(tenant_session, datetime(2026, 5, 1, tzinfo=UTC),
                       datetime(2026, 6, 1, tzinfo=UTC))  # fmt: skip
    assert round(month.energy_cost, 6) == Decimal(80)
    assert round(month.taxes, 6) == Decimal(8)
    assert {row.rate_version for row in await rows_of(tenant_session, site)} == {1, 2}
    # 50 at 0.10 and 250 at 0.30, all of the last 100 in the second step; or the same mix each day.
    last = await sums(tenant_session, noon, noon + timedelta(days=9))
    expected = {"chronological": Decimal(30), "pro_rata": Decimal(80) / 3}[rule]
    assert round(last.energy_cost, 6) == round(expected, 6)


async def test_a_version_that_begins_inside_a_half_hour_prices_its_part_of_it(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    deliver: Make,
    published: Published,
) -> None:
    site, miner = await new_site(), new_id()
    made = await new_rate(flat_rate_usd_per_kwh="0.10")
    noon = DAY + timedelta(hours=12)
    for at in (noon - HALF_HOUR, noon, noon + HALF_HOUR):
        await close(site, at, [(miner, None, 3.0, 100.0)])
    await rate()
    since = noon + timedelta(minutes=10)
    await changed(
        client, made["id"], flat_rate_usd_per_kwh="0.40", valid_from=since.isoformat()
    )  # fmt: skip
    told = (await published("energy.tariff.changed.v1"))[-1]
    await deliver("energy.tariff.changed.v1", told["data"], version=told["version"])
    await rate()
    rows = await rows_of(tenant_session, site)
    assert [(row.energy_cost_usd, row.split, row.rate_version) for row in rows] == [
        (Decimal("0.30"), False, 1), (Decimal("0.90"), True, 2), (Decimal("1.20"), False, 2),
    ]  # fmt: skip
    assert (await sums(tenant_session, DAY, NEXT, miner_id=miner)).energy_cost == Decimal("2.4")
    answer = await client.get(
        "/api/electricity/costs",
        params={"miner_id": str(miner), "start_date": "2026-05-04", "end_date": "2026-05-04"},
    )
    record = answer.json()["costs"][1]
    assert (record["rate_version"], record["energy_taken_as_uniform"]) == (2, True)


async def test_an_index_of_two_periods_is_told_apart_by_what_each_cost(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
) -> None:
    prices = [{"start": DAY.isoformat(), "end": NEXT.isoformat(), "price_per_mwh": "100"}]
    made = await client.post(
        "/api/electricity/index-series",
        json={"name": "Day ahead", "currency": "USD", "prices": prices},
    )
    assert made.is_success, made.text
    site, miner = await new_site(), new_id()
    days = list(range(7))
    await new_rate(
        rate_type="index", flat_rate_usd_per_kwh=None, index_series_id=made.json()["series"]["id"],
        tou_schedule=[
            {"name": "A", "rate": "0", "days": days, "start": "00:00", "end": "07:15"},
            {"name": "B", "rate": "0.02", "days": days, "start": "07:15", "end": "24:00"},
        ],
    )  # fmt: skip
    await close(site, DAY + timedelta(hours=7), [(miner, None, 1.0, 1.0)])
    await rate()
    [row] = await rows_of(tenant_session, site)
    assert row.tou_breakdown_usd == {"A": "0.050000", "B": "0.060000"}
    span = {"start_date": "2026-05-04", "end_date": "2026-05-04"}
    answer = await client.get("/api/electricity/costs/summary",
                              params=span | {"miner_id": str(miner)})  # fmt: skip
    assert answer.json()["tou_breakdown_usd"] == {"A": "0.050000", "B": "0.060000"}
    found = await client.get("/api/electricity/profit-by-period", params=span)
    periods = {one["name"]: one["energy_cost_usd"] for one in found.json()["periods"]}
    assert periods == {"A": "0.050000", "B": "0.060000"}


async def test_a_month_that_ends_inside_a_half_hour_is_charged_its_demand_once(
    new_site: Make, new_rate: Make, close: Make, rate: Make, tenant_session: TenantSessions
) -> None:
    """In Kathmandu midnight is at 18:15 UTC."""
    zone = ZoneInfo("Asia/Kathmandu")
    first, end = (datetime(2026, month, 1, tzinfo=zone).astimezone(UTC) for month in (5, 6))
    site = await new_site("Asia/Kathmandu")
    await new_rate(timezone="Asia/Kathmandu", demand_charge_usd_per_kw="5.00")
    quarter = timedelta(minutes=15)
    for at in (first + quarter, end - quarter):
        await close(site, at, [(new_id(), None, 50.0, 1.0)])
    await rate()
    assert (await sums(tenant_session, first, end)).demand_charge == Decimal(500)
