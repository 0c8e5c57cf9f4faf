"""Half-hours become costs, exactly once, by the tariff in force."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from common.ids import new_id
from common.testing import TenantSessions
from energy.costs.reading import CostSum, cost_between, site_half_hours

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
