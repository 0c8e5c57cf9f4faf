"""Half-hours of a site, kept from telemetry's ledger."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from intelligence.insights import ledger
from intelligence.insights.ledger import HalfHourLoad

NewSite = Callable[..., Awaitable[UUID]]
Told = Callable[..., Awaitable[None]]


def recent() -> datetime:
    return (now() - timedelta(hours=5)).replace(minute=0, second=0, microsecond=0)


async def loads(runtime: Runtime, organisation: UUID, site: UUID) -> list[HalfHourLoad]:
    async with runtime.tenant_session(organisation) as session:
        span = {"since": datetime(2020, 1, 1, tzinfo=UTC), "before": now()}
        return await ledger.load_of(session, site, **span)


async def test_parts_of_a_half_hour_add_up(
    runtime: Runtime, organisation: UUID, new_site: NewSite, close: Told
) -> None:
    site, at = await new_site(), recent()
    await close(site, at, [(new_id(), None, 1.5, 60.0), (new_id(), None, 1.75, None)])
    await close(site, at, [(new_id(), None, None, 50.0)], simulated=True)
    [one] = await loads(runtime, organisation, site)
    assert one == HalfHourLoad(at, 3.25, 3, 1, True)


async def test_a_later_revision_replaces_the_machines_it_names(
    runtime: Runtime, organisation: UUID, new_site: NewSite, close: Told
) -> None:
    site, at, first, second = await new_site(), recent(), new_id(), new_id()
    await close(site, at, [(first, None, 1.5, 60.0), (second, None, 1.5, 60.0)])
    await close(site, at, [(second, None, 1.0, 40.0)], revision=2)
    [one] = await loads(runtime, organisation, site)
    assert (one.kwh, one.machines) == (2.5, 2)


async def test_an_older_revision_that_comes_late_changes_nothing(
    runtime: Runtime, organisation: UUID, new_site: NewSite, close: Told
) -> None:
    site, at, miner = await new_site(), recent(), new_id()
    await close(site, at, [(miner, None, 1.0, 40.0)], revision=2)
    await close(site, at, [(miner, None, 1.5, 60.0)], revision=1)
    [one] = await loads(runtime, organisation, site)
    assert one.kwh == 1.0


async def test_an_event_that_comes_twice_counts_once(
    runtime: Runtime, organisation: UUID, new_site: NewSite, deliver: Any
) -> None:
    site, event_id = await new_site(), new_id()
    for age in (timedelta(hours=5), timedelta(days=20)):
        rows = [{"miner_id": new_id(), "kwh": 2.0, "th_h": 80.0}]
        at = (now() - age).replace(minute=0, second=0, microsecond=0)
        data = {"site_id": site, "starts_at": at, "revision": 1, "rows": rows}
        event_id = new_id()
        await deliver("telemetry.half-hour.closed.v1", data, event_id=event_id)
        await deliver("telemetry.half-hour.closed.v1", data, event_id=event_id)
    assert [one.kwh for one in await loads(runtime, organisation, site)] == [2.0, 2.0]


async def test_a_told_past_is_added_up_without_keeping_its_machines(
    runtime: Runtime, organisation: UUID, new_site: NewSite, close: Told
) -> None:
    site, miner = await new_site(), new_id()
    at = recent() - timedelta(days=20)
    await close(site, at, [(miner, None, 1.5, 60.0)])
    await close(site, at, [(new_id(), None, 1.5, 60.0)])
    await close(site, at, [(miner, None, 9.0, 60.0)], revision=2)
    [one] = await loads(runtime, organisation, site)
    assert (one.kwh, one.machines) == (3.0, 2)
    async with runtime.worker_session() as session:
        query = text("SELECT count(*) FROM intelligence.half_hour_part WHERE site_id = :site")
        assert await session.scalar(query, {"site": site}) == 0


async def test_a_client_sees_its_own_machines_and_a_stranger_nothing(
    runtime: Runtime, organisation: UUID, new_site: NewSite, close: Told
) -> None:
    site, at, client = await new_site(), recent(), new_id()
    await close(site, at, [(new_id(), client, 1.5, 60.0), (new_id(), None, 2.0, 60.0)])
    span = {"since": at, "before": now()}
    async with runtime.tenant_session(organisation, client) as session:
        assert [one.kwh for one in await ledger.load_of(session, site, **span)] == [1.5]
        for table in ("half_hour_part", "site_miner"):
            assert not await session.scalar(text(f"SELECT count(*) FROM intelligence.{table}"))
    async with runtime.tenant_session(new_id()) as session:
        assert await ledger.load_of(session, site, **span) == []
    assert [one.kwh for one in await loads(runtime, organisation, site)] == [3.5]


async def test_an_older_version_of_a_site_or_machine_changes_nothing(
    runtime: Runtime, organisation: UUID, new_site: NewSite, deliver: Any
) -> None:
    site = await new_site(name="new", version=5)
    await new_site(site_id=site, name="old", version=4)
    miner = new_id()
    for version, power_w in ((3, 3500.0), (2, 1.0)):
        data = {"miner_id": miner, "site_id": site, "nameplate_hashrate_ths": 200.0,
                "nameplate_power_w": power_w}  # fmt: skip
        await deliver("hosting.miner.changed.v1", data, version=version)
    async with runtime.tenant_session(organisation) as session:
        query = text("SELECT name FROM intelligence.site WHERE id = :id")
        assert await session.scalar(query, {"id": site}) == "new"
        query = text("SELECT nameplate_power_w FROM intelligence.site_miner WHERE id = :id")
        assert await session.scalar(query, {"id": miner}) == 3500.0


async def test_a_zone_that_this_machine_does_not_know_is_read_as_utc(
    runtime: Runtime, organisation: UUID, new_site: NewSite
) -> None:
    site = await new_site(timezone="Mars/Olympus")
    async with runtime.tenant_session(organisation) as session:
        query = text("SELECT timezone FROM intelligence.site WHERE id = :id")
        assert await session.scalar(query, {"id": site}) == "UTC"


async def test_what_is_old_is_forgotten(
    runtime: Runtime, organisation: UUID, new_site: NewSite, close: Told
) -> None:
    site = await new_site()
    await close(site, recent() - timedelta(days=101), [(new_id(), None, 1.5, 60.0)])
    await close(site, recent(), [(new_id(), None, 1.5, 60.0)])
    async with runtime.worker_session() as session:
        await ledger.prune(session)
    assert len(await loads(runtime, organisation, site)) == 1
