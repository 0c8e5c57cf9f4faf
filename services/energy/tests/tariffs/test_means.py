"""The mean price of the week to come is said again when it changes, and within a week."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx

from common.clock import now
from common.runtime import Runtime
from energy.tariffs.means import tell_means

RATES = "/api/electricity/rates"
TYPE = "energy.tariff.changed.v1"
Published = Callable[..., Awaitable[list[dict[str, Any]]]]


def with_a_dear_day(days_ahead: int) -> dict[str, Any]:
    """Return a rate of 0.10, and of 0.80 on one day of a time to come."""
    rows: list[dict[str, Any]] = [
        {"name": kind, "rate": rate, "day_type": kind, "start_hour": 0, "end_hour": 24}
        for kind, rate in (("weekday", "0.1"), ("weekend", "0.1"), ("holiday", "0.8"))
    ]
    dear = (now() + timedelta(days=days_ahead)).date()
    return {
        "name": "Dear day",
        "rate_type": "tou",
        "timezone": "UTC",
        "tou_schedule": rows,
        "holidays": [dear.isoformat()],
    }


async def test_a_mean_that_changes_is_said_again(
    client: httpx.AsyncClient, runtime: Runtime, published: Published
) -> None:
    made = await client.post(RATES, json=with_a_dear_day(9))
    assert made.status_code == 201
    await tell_means(runtime, at=now() + timedelta(hours=1))
    [first] = await published(TYPE)
    assert Decimal(first["data"]["mean_usd_per_kwh"]) == Decimal("0.1")
    later = now() + timedelta(days=3)
    await tell_means(runtime, at=later)
    await tell_means(runtime, at=later + timedelta(seconds=1))
    _, second = await published(TYPE)
    assert Decimal(second["data"]["mean_usd_per_kwh"]) == Decimal("0.2")
    assert second["version"] == first["version"] + 1
    assert second["data"]["rate_version"] == 1
    assert second["data"]["changed_at"].startswith(later.isoformat()[:19])
    shown = (await client.get(f"{RATES}/{made.json()['rate']['id']}")).json()["rate"]
    assert shown == made.json()["rate"]


async def test_a_mean_is_said_again_before_readers_call_it_old(
    client: httpx.AsyncClient, runtime: Runtime, published: Published
) -> None:
    body = with_a_dear_day(-30)
    assert (await client.post(RATES, json=body)).status_code == 201
    flat = {"name": "Flat", "rate_type": "flat", "flat_rate_usd_per_kwh": "0.1"}
    assert (await client.post(RATES, json=flat | {"location": "Barn"})).status_code == 201
    gone = await client.post(RATES, json=body | {"location": "Gone"})
    await client.delete(f"{RATES}/{gone.json()['rate']['id']}")
    before = len(await published(TYPE))
    await tell_means(runtime, at=now() + timedelta(days=5))
    assert len(await published(TYPE)) == before
    await tell_means(runtime, at=now() + timedelta(days=6, minutes=1))
    found = await published(TYPE)
    assert len(found) == before + 1
    assert found[-1]["data"]["name"] == "Dear day"
    assert found[-1]["data"]["removed"] is False
