"""Rating again: by a job, after a crash, and from two sides at once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import func, select, text

from common.app import Service
from common.ids import new_id
from common.runtime import Runtime
from common.testing import TenantSessions
from energy.costs import intake
from energy.costs.models import CostDay, ElectricityCost, HalfHourPart, RatingDue
from energy.costs.rater import PARTS_KEPT, keep_rated, rate_due, sweep
from energy.costs.rating import rate_days
from energy.costs.reading import SeveralCurrencies, cost_between
from energy.facts.models import Site

DAY = datetime(2026, 5, 4, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
Make = Callable[..., Awaitable[Any]]
Published = Callable[..., Awaitable[list[dict[str, Any]]]]
RATED = "energy.cost.rated.v1"
RERATE = "/api/electricity/rerate"
Running = Callable[..., AbstractAsyncContextManager[Runtime]]


async def energy_cost(sessions: TenantSessions, start: datetime = DAY) -> Decimal:
    async with sessions() as session:
        end = start + timedelta(days=1)
        return (await cost_between(session, start=start, end=end)).energy_cost


async def ended(client: AsyncClient, job_id: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            answer = await client.get(f"/api/electricity/jobs/{job_id}")
            job: dict[str, Any] = answer.json()
            if job["state"] in {"done", "failed"}:
                return job
            await asyncio.sleep(0.1)


async def test_a_job_rates_anew_and_says_what_it_changed(
    client: AsyncClient,
    service: Service,
    running_service: Running,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    worker_session: Any,
) -> None:
    site = await new_site()
    await new_rate()
    for day in range(7):
        await close(site, DAY + timedelta(days=day), [(new_id(), None, 1.0, 1.0)])
    await rate()
    async with worker_session() as session:
        # As if they had been rated wrongly.
        wrong = text(
            "UPDATE energy.cost_day SET energy_cost = 0.5, digest = '' WHERE site_id = :id"
        )
        await session.execute(wrong, {"id": site})
    wish = {"site_id": str(site), "start_date": "2026-05-05"}
    accepted = await client.post(RERATE, json=wish)
    assert accepted.status_code == 202, accepted.text
    assert accepted.json()["days"] == 6
    async with running_service(service):
        job = await ended(client, accepted.json()["job_id"])
    assert (job["state"], job["percent"], job["error"]) == ("done", 100, None)
    assert job["result"] == {
        "days": 6, "changed": 6, "before": {"USD": "3.000000"}, "after": {"USD": "0.720000"},
    }  # fmt: skip
    async with tenant_session() as session:
        costs = await session.scalars(select(CostDay.energy_cost).order_by(CostDay.day))
        assert list(costs) == [Decimal("0.50"), *[Decimal("0.12")] * 6]


async def test_what_cannot_be_rated_anew(client: AsyncClient, new_site: Make) -> None:
    missing = await client.post(RERATE, json={"site_id": str(new_id())})
    assert (missing.status_code, missing.json()["code"]) == (404, "site_unknown")
    site = await new_site()
    nothing = await client.post(RERATE, json={"site_id": str(site)})
    assert (nothing.status_code, nothing.json()["code"]) == (404, "nothing_to_rate")
    wrong = await client.post(RERATE, json={"start_date": "2026-02-30"})
    assert wrong.status_code == 422


async def test_a_crash_between_loses_nothing_and_doubles_nothing(
    runtime: Runtime,
    new_site: Make,
    new_rate: Make,
    close: Make,
    tenant_session: TenantSessions,
    published: Published,
) -> None:
    site = await new_site()
    await new_rate()
    await close(site, DAY, [(new_id(), None, 1.0, 1.0)])

    async def die_before_the_commit() -> None:
        async with tenant_session() as session:
            await intake.lock(session, site)
            row = await session.get_one(Site, site)
            assert await rate_days(session, row, [date(2026, 5, 4)]) == 1
            await session.execute(text("DELETE FROM energy.rating_due"))
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await die_before_the_commit()
    assert await published(RATED) == []
    assert await energy_cost(tenant_session) == 0
    await rate_due(runtime)
    await rate_due(runtime)
    assert await energy_cost(tenant_session) == Decimal("0.12")
    assert [one["version"] for one in await published(RATED)] == [1]


async def test_half_hours_that_come_while_a_day_is_rated_are_not_forgotten(
    runtime: Runtime,
    new_site: Make,
    new_rate: Make,
    close: Make,
    tenant_session: TenantSessions,
    published: Published,
) -> None:
    site = await new_site()
    await new_rate()

    async def tell() -> None:
        for place in range(20):
            await close(site, DAY + place * HALF_HOUR, [(new_id(), None, 1.0, 1.0)])

    async def work_off() -> None:
        for _ in range(15):
            await rate_due(runtime)
            await asyncio.sleep(0.01)

    await asyncio.gather(tell(), work_off(), work_off())
    await rate_due(runtime)
    assert await energy_cost(tenant_session) == Decimal("2.40")
    told = await published(RATED)
    assert [one["version"] for one in told] == list(range(1, len(told) + 1))
    assert told[-1]["data"]["kwh"] == "20.000000"
    async with tenant_session() as session:
        assert await session.scalar(select(func.count()).select_from(RatingDue)) == 0
        assert await session.scalar(select(func.count()).select_from(ElectricityCost)) == 20


async def test_a_day_that_cannot_be_rated_waits_and_holds_no_other_up(
    runtime: Runtime,
    new_site: Make,
    new_rate: Make,
    close: Make,
    tenant_session: TenantSessions,
    worker_session: Any,
) -> None:
    site = await new_site()
    await new_rate()
    for at in (DAY, NEXT):
        await close(site, at, [(new_id(), None, 1.0, 1.0)])
    async with worker_session() as session:
        await session.execute(
            text("UPDATE energy.half_hour_part SET kwh_e6 = 'x' WHERE site_id = :site "
                 "AND starts_at = :at"), {"site": site, "at": DAY},
        )  # fmt: skip
    await rate_due(runtime)
    await rate_due(runtime)
    assert await energy_cost(tenant_session) == 0
    assert await energy_cost(tenant_session, NEXT) == Decimal("0.12")
    async with tenant_session() as session:
        waiting = await session.scalar(select(RatingDue.day).where(RatingDue.site_id == site))
    assert waiting == date(2026, 5, 4)


async def test_a_rate_that_is_put_out_of_force_leaves_later_half_hours_unrated(
    client: AsyncClient,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    published: Published,
    deliver: Make,
) -> None:
    site = await new_site()
    made = await new_rate()
    await close(site, DAY, [(new_id(), None, 1.0, 1.0)])
    await rate()
    path = f"/api/electricity/rates/{made['id']}/deactivate"
    assert (await client.post(path)).status_code == 200
    told = (await published("energy.tariff.changed.v1"))[-1]
    await deliver("energy.tariff.changed.v1", told["data"], version=told["version"])
    before = len(await published(RATED))
    await rate()
    # What was before stays as it was.
    assert await energy_cost(tenant_session) == Decimal("0.12")
    assert len(await published(RATED)) == before


async def test_invalid_half_hours_are_buried_and_the_others_counted(
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    organisation: UUID,
    tenant_session: TenantSessions,
    worker_session: Any,
) -> None:
    site = await new_site()
    await new_rate()
    for kwh in (-1.0, 2001.0):
        await close(site, DAY, [(new_id(), None, kwh, 1.0)])
    await close(site, DAY, [(new_id(), None, 1.0, 1.0)], revision=0)
    await close(site, DAY, [])
    await close(site, DAY, [(new_id(), None, 1.0, 1.0)])
    await rate()
    assert await energy_cost(tenant_session) == Decimal("0.12")
    async with worker_session() as session:
        query = text("SELECT count(*) FROM energy.dead_letter WHERE organisation_id = :org")
        assert await session.scalar(query, {"org": organisation}) == 3


async def test_the_background_task_rates_by_itself_and_forgets_the_distant_past(
    runtime: Runtime,
    service: Service,
    running_service: Running,
    new_site: Make,
    new_rate: Make,
    close: Make,
    tenant_session: TenantSessions,
    worker_session: Any,
) -> None:
    del service
    site = await new_site()
    await new_rate()
    await close(site, DAY, [(new_id(), None, 1.0, 1.0)])
    async with worker_session() as session:
        old = DAY - PARTS_KEPT - timedelta(days=400)
        part = await session.scalar(select(HalfHourPart).where(HalfHourPart.site_id == site))
        assert part is not None
        session.add(
            HalfHourPart(
                organisation_id=part.organisation_id, site_id=site, client_id=None, starts_at=old,
                revision=1, simulated=False, roster_id=part.roster_id, kwh_e6=part.kwh_e6,
                th_h=part.th_h,
            )
        )  # fmt: skip
    task = asyncio.create_task(keep_rated(runtime))
    async with asyncio.timeout(20):
        while await energy_cost(tenant_session) != Decimal("0.12"):
            await asyncio.sleep(0.05)
    task.cancel()
    async with tenant_session() as session:
        kept = select(func.count()).where(HalfHourPart.site_id == site)
        assert await session.scalar(kept) == 1


async def test_amounts_in_several_currencies_are_refused_unless_one_is_named(
    runtime: Runtime,
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
) -> None:
    await sweep(runtime)
    for currency in ("USD", "GBP"):
        site = await new_site(location=currency)
        await new_rate(site_id=str(site), currency=currency)
        await close(site, DAY, [(new_id(), None, 1.0, 1.0)])
    await rate()
    async with tenant_session() as session:
        with pytest.raises(SeveralCurrencies):
            await cost_between(session, start=DAY, end=NEXT)
        one = await cost_between(session, start=DAY, end=NEXT, currency="GBP")
        assert (one.currency, one.energy_cost) == ("GBP", Decimal("0.12"))
        days = await session.scalar(select(func.count()).select_from(CostDay))
    assert days == 2
