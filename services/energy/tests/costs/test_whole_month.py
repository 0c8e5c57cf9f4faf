"""What is recorded half-hour by half-hour comes to the bill of the month."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest

from common.consumer import Dispatcher
from common.envelope import Message
from common.ids import new_id
from common.runtime import Runtime
from common.testing import TenantSessions
from energy.costs.reading import cost_between
from energy.domain.billing import bill
from energy.domain.load import Load
from energy.main import SERVICE
from energy.tariffs.reading import tariff_by_id

Make = Callable[..., Awaitable[Any]]
ZONE = "America/New_York"
HALF_HOUR_S = 1800
RATES: dict[str, dict[str, Any]] = {
    "time of use, demand, minimum, credit and tax": {
        "rate_type": "tou", "flat_rate_usd_per_kwh": "0.11",
        "tou_schedule": [
            {"name": "Peak", "rate": "0.223344", "days": [0, 1, 2, 3, 4], "start": "16:45",
             "end": "21:10", "demand_charge_usd_per_kw": "2.5"},
            {"name": "Night", "rate": "0.0711", "days": list(range(7)), "start": "22:00",
             "end": "05:30"},
        ],
        "daily_service_charge_usd": "1.37", "monthly_service_charge_usd": "12.50",
        "demand_charge_usd_per_kw": "7.25", "minimum_monthly_charge_usd": "5000",
        "taxes": [{"name": "VAT", "percent": "19"}],
        "credits": [{"name": "Loyalty", "usd_per_month": "3.33"}],
    },
    "steps of the month": {
        "rate_type": "tiered", "flat_rate_usd_per_kwh": None, "tier_rule": "pro_rata",
        "tiered_rates": [{"up_to_kwh": "1500", "rate": "0.08"}, {"up_to_kwh": None,
                                                                 "rate": "0.21"}],
        "daily_service_charge_usd": "0.50", "taxes": [{"name": "VAT", "percent": "7"}],
    },
}  # fmt: skip


async def tell(runtime: Runtime, organisation: UUID, site: UUID, loads: list[Any]) -> None:
    """Hand a load of two machines over, in batches as Kafka does."""
    dispatcher = Dispatcher(runtime, SERVICE.reactions, "costs")
    miners = [new_id(), new_id()]
    batch: list[Message] = []
    for second, kwh in loads:
        rows = [
            {"miner_id": miners[0], "client_id": None, "kwh": kwh, "th_h": 1.0},
            {"miner_id": miners[1], "client_id": None, "kwh": 0.25, "th_h": 1.0},
        ]
        at = datetime.fromtimestamp(second, UTC)
        body = {"site_id": site, "starts_at": at, "revision": 1, "rows": rows}
        batch.append(
            Message(
                event_id=new_id(), type="telemetry.half-hour.closed.v1", version=1,
                organisation_id=organisation, occurred_at=at, correlation_id="test",
                topic="telemetry.half-hour.v1", partition=0, position=0, key=str(site),
                value=orjson.dumps(body),
            )
        )  # fmt: skip
    for first in range(0, len(batch), 200):
        await dispatcher.dispatch(batch[first : first + 200])


@pytest.mark.parametrize("name", list(RATES))
async def test_a_month_of_half_hours_is_the_months_bill(
    runtime: Runtime,
    organisation: UUID,
    new_site: Make,
    new_rate: Make,
    rate: Make,
    tenant_session: TenantSessions,
    name: str,
) -> None:
    site = await new_site(ZONE)
    made = await new_rate(**RATES[name] | {"timezone": ZONE})
    first = datetime(2026, 3, 1, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
    end = datetime(2026, 4, 1, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
    starts = np.arange(int(first.timestamp()), int(end.timestamp()), HALF_HOUR_S, dtype=np.int64)
    assert len(starts) == 31 * 48 - 2
    kwh = np.random.default_rng(3).integers(0, 3_000_000, len(starts))
    await tell(runtime, organisation, site, list(zip(starts.tolist(), (kwh / 1e6).tolist(),
                                                     strict=True)))  # fmt: skip
    await rate()
    async with tenant_session() as session:
        cost = await cost_between(session, site_id=site, start=first, end=end)
        rated = await tariff_by_id(session, UUID(made["id"]))
        assert rated is not None
        billed = bill(rated.tariff, Load.of_half_hours(starts, kwh + 250_000))
        for week in range(4):
            since = first + timedelta(days=7 * week)
            part = await cost_between(
                session, site_id=site, start=since, end=since + timedelta(days=7)
            )
            assert part.energy_cost < cost.energy_cost
    near = Decimal("0.00001")
    assert cost.kwh == billed.total_kwh
    assert abs(cost.energy_cost - billed.energy_cost) < near
    assert abs(cost.service_charge - billed.service_charge) < near
    assert abs(cost.demand_charge - billed.demand_charge) < near
    assert abs(cost.taxes - billed.taxes) < near
    assert abs(cost.total_cost - billed.total_cost) < near
