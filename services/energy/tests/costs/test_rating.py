"""Half-hours become costs, exactly once, by the tariff in force."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from common.consumer import Dispatcher
from common.envelope import Message
from common.ids import new_id
from common.runtime import Runtime
from common.testing import TenantSessions
from energy.costs.reading import CostSum, cost_between, site_half_hours
from energy.main import SERVICE

DAY = datetime(2026, 5, 4, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
Make = Callable[..., Awaitable[Any]]
Published = Callable[..., Awaitable[list[dict[str, Any]]]]
RATED = "energy.cost.rated.v1"


async def sums(sessions: TenantSessions, **scope: Any) -> CostSum:
    span: dict[str, Any] = {"start": DAY, "end": NEXT} | scope
    async with sessions() as session:
        return await cost_between(session, **span)


async def test_three_kilowatts_for_a_day_cost_what_the_document_says(
    new_site: Make, new_rate: Make, close_day: Make, rate: Make, tenant_session: TenantSessions
) -> None:
    site, miner = await new_site(), new_id()
    await new_rate(daily_service_charge_usd="0.50")
    await close_day(site, DAY, NEXT, [(miner, None, 1.5, 100.0)])
    await rate()
    cost = await sums(tenant_session)
    assert (cost.kwh, cost.energy_cost) == (72, Decimal("8.64"))
    assert (cost.service_charge, cost.total_cost) == (Decimal("0.50"), Decimal("9.14"))
    assert (cost.currency, cost.records, cost.coverage_percent) == ("USD", 48, 100)
    machine = await sums(tenant_session, miner_id=miner)
    assert (machine.kwh, machine.total_cost) == (72, Decimal("8.64"))
    async with tenant_session() as session:
        halves = await site_half_hours(session, site, DAY, NEXT)
    assert halves.cost_nano.tolist() == [180_000_000] * 48


async def test_disorder_repeats_and_corrections_come_to_the_same(
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    published: Published,
) -> None:
    await new_rate()
    site, first, second, event = await new_site(), new_id(), new_id(), new_id()
    await close(site, DAY, [(second, None, 1.0, 40.0)], revision=2)
    await close(site, DAY, [(first, None, 1.5, 60.0), (second, None, 1.5, 60.0)], event_id=event)
    await close(site, DAY, [(first, None, 1.5, 60.0), (second, None, 1.5, 60.0)], event_id=event)
    await close(site, DAY + HALF_HOUR, [(first, None, None, None)])
    await rate()
    assert (await sums(tenant_session)).kwh == Decimal("2.5")
    await close(site, DAY + HALF_HOUR, [(first, None, 2.0, 80.0)], revision=3)
    await close(site, DAY + HALF_HOUR, [(first, None, 9.0, 80.0)], revision=2)
    await rate()
    cost = await sums(tenant_session)
    assert (cost.kwh, cost.energy_cost) == (Decimal("4.5"), Decimal("0.54"))
    assert (cost.records, cost.machine_half_hours, cost.unknown_half_hours) == (2, 3, 0)
    told = await published(RATED)
    assert [(one["data"]["kwh"], one["version"]) for one in told] == [
        ("2.500000", 1),
        ("4.500000", 2),
    ]
    await close(site, DAY, [(second, None, 1.0, 40.0)], revision=2)
    await rate()
    assert len(await published(RATED)) == 2


async def test_two_revisions_in_one_batch_count_as_the_newer(
    runtime: Runtime,
    organisation: UUID,
    new_site: Make,
    new_rate: Make,
    rate: Make,
    tenant_session: TenantSessions,
) -> None:
    await new_rate()
    site, miner = await new_site(), new_id()
    batch: list[Message] = []
    for place, (revision, kwh) in enumerate(((2, 1.0), (1, 1.5), (3, 0.5), (3, None), (1, 7.0))):
        row = {"miner_id": miner, "client_id": None, "kwh": kwh, "th_h": 1.0}
        body = {"site_id": site, "starts_at": DAY, "revision": revision, "rows": [row]}
        batch.append(
            Message(
                event_id=new_id(), type="telemetry.half-hour.closed.v1", version=revision,
                organisation_id=organisation, occurred_at=DAY, correlation_id="test",
                topic="telemetry.half-hour.v1", partition=0, position=place, key=str(site),
                value=orjson.dumps(body),
            )
        )  # fmt: skip
    dispatcher = Dispatcher(runtime, SERVICE.reactions)
    for _ in range(2):  # Kafka hands the whole batch over again
        await dispatcher.dispatch(batch)
    await rate()
    cost = await sums(tenant_session)
    assert (cost.kwh, cost.energy_cost, cost.unknown_half_hours) == (0, 0, 1)
    assert cost.coverage_percent == 0


async def test_without_a_tariff_nothing_costs_nothing(
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    published: Published,
    deliver: Make,
) -> None:
    site, miner = await new_site(), new_id()
    await close(site, DAY, [(miner, None, 1.5, 60.0)])
    await rate()
    cost = await sums(tenant_session)
    assert (cost.kwh, cost.unrated_kwh, cost.currency) == (Decimal("1.5"), Decimal("1.5"), None)
    [told] = await published(RATED)
    assert (told["data"]["energy_cost"], told["data"]["unrated_kwh"]) == (None, "1.500000")
    await new_rate()
    [changed] = await published("energy.tariff.changed.v1")
    await deliver("energy.tariff.changed.v1", changed["data"])
    await rate()
    cost = await sums(tenant_session)
    assert (cost.unrated_kwh, cost.energy_cost) == (0, Decimal("0.18"))
    assert (await published(RATED))[-1]["data"]["energy_cost"] == "0.180000"


async def test_clients_costs_add_up_to_the_sites_to_the_last_digit(
    new_site: Make,
    new_rate: Make,
    close_day: Make,
    rate: Make,
    tenant_session: TenantSessions,
    published: Published,
) -> None:
    await new_rate(flat_rate_usd_per_kwh="0.123456789", daily_service_charge_usd="1")
    site, one, two = await new_site(), new_id(), new_id()
    rows = [
        (new_id(), one, 1.333333, 90.0), (new_id(), two, 1.777777, 90.0),
        (new_id(), None, 0.000001, 1.0), (new_id(), two, 0.0, 0.0),
    ]  # fmt: skip
    await close_day(site, DAY, NEXT, rows)
    await rate()
    whole = await sums(tenant_session, site_id=site)
    parts = [await sums(tenant_session, client_id=client) for client in (one, two)]
    machines = [await sums(tenant_session, miner_id=row[0]) for row in rows]
    assert sum(cost.kwh for cost in machines) == whole.kwh
    assert sum(cost.energy_cost for cost in machines) == whole.energy_cost
    assert parts[1].energy_cost == machines[1].energy_cost + machines[3].energy_cost
    assert [cost.service_charge for cost in (*parts, *machines)] == [0] * 6
    events = {one["data"]["client_id"]: one["data"] for one in await published(RATED)}
    assert events[None]["service_charge"] == "1.000000"
    assert {events[str(client)]["service_charge"] for client in (one, two)} == {"0.000000"}
    assert events[str(one)]["energy_cost"] == f"{parts[0].energy_cost:.6f}"
    assert {one["topic"] for one in await published(RATED)} == {"energy.cost.v1"}


async def test_a_machine_that_changes_hands_is_counted_once(
    new_site: Make,
    new_rate: Make,
    close: Make,
    rate: Make,
    tenant_session: TenantSessions,
    published: Published,
) -> None:
    await new_rate()
    site, miner, old, new = await new_site(), new_id(), new_id(), new_id()
    await close(site, DAY, [(miner, old, 1.5, 60.0)])
    await rate()
    await close(site, DAY, [(miner, new, 1.5, 60.0)], revision=2)
    await rate()
    assert (await sums(tenant_session)).kwh == Decimal("1.5")
    assert (await sums(tenant_session, client_id=old)).kwh == 0
    assert (await sums(tenant_session, client_id=new)).kwh == Decimal("1.5")
    of_old = [one for one in await published(RATED) if one["data"]["client_id"] == str(old)]
    assert [one["data"]["kwh"] for one in of_old] == ["1.500000", "0.000000"]
