"""Signals of a site: what they follow from, when they are published, and when they are not."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from common.testing import ClientFor, TenantSessions
from energy.main import SERVICE
from energy.signals.watching import refresh

SIGNALS = "/api/electricity/signals"
EVENT = "energy.signal.changed.v1"
WEEKS = count(1)
FIVE = Decimal(5)


@pytest.fixture
def day() -> datetime:
    """A day to come of this test's own: quotes are everybody's."""
    start = now().replace(hour=0, minute=0, second=0, microsecond=0)
    return start + timedelta(days=7 * next(WEEKS))


@pytest.fixture
async def site(deliver: Any) -> UUID:
    made = new_id()
    await deliver(
        "hosting.site.changed.v1",
        {"site_id": made, "name": "North", "location": "Texas", "timezone": "UTC"},
    )
    return made


@pytest.fixture
def machine(deliver: Any, site: UUID) -> Callable[..., Awaitable[UUID]]:
    async def add(model: str, **changes: Any) -> UUID:
        made = new_id()
        data = {"miner_id": made, "site_id": site, "serial_number": str(made), "status": "active"}
        await deliver("hosting.miner.changed.v1", data | {"model": model} | changes)
        return made

    return add


@pytest.fixture
def model(deliver: Any) -> Callable[..., Awaitable[None]]:
    async def add(name: str, hashrate_ths: float, power_w: float) -> None:
        data = {
            "model_id": new_id(),
            "name": name,
            "hashrate_ths": hashrate_ths,
            "power_w": power_w,
        }
        await deliver("calculator.miner-model.changed.v1", data)

    return add


@pytest.fixture
def quote(deliver: Any) -> Callable[..., Awaitable[None]]:
    async def publish(at: datetime, hashprice: str, **changes: Any) -> None:
        data = {
            "pair": "BTC/USD",
            "price_usd": "95000",
            "at": at,
            "source": "test",
            "hashprice_usd_per_ths_day": hashprice,
        }
        version = new_id().int >> 66
        await deliver(
            "calculator.quote.published.v1", data | changes, version=version,
            organisation_id=PLATFORM_ORGANISATION,
        )  # fmt: skip

    return publish


@pytest.fixture
def look(tenant_session: TenantSessions, organisation: UUID) -> Callable[..., Awaitable[None]]:
    async def at(moment: datetime) -> None:
        async with tenant_session() as session:
            await refresh(session, organisation, moment, FIVE)

    return at


async def rate(client: httpx.AsyncClient, **fields: Any) -> Any:
    body = {"name": "Rate", "rate_type": "flat", "flat_rate_usd_per_kwh": 0.07, "active": True}
    answer = await client.post("/api/electricity/rates", json=body | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["rate"]


async def signals(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(SIGNALS, params=query)
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


TOU = {
    "rate_type": "tou",
    "timezone": "UTC",
    "flat_rate_usd_per_kwh": 0.06,
    "tou_schedule": [
        {"name": "Peak", "rate": "0.075", "days": [0, 1, 2, 3, 4, 5, 6], "start": "12:00",
         "end": "16:30"},
    ],
}  # fmt: skip


async def test_a_class_runs_or_stops_as_the_price_says(
    client: httpx.AsyncClient, site: UUID, machine: Any, model: Any, quote: Any, look: Any,
    published: Any, day: datetime,
) -> None:  # fmt: skip
    await model("Efficient", 200, 3000)
    await model("Hungry", 100, 3050)
    for name in ("Efficient", "Hungry", "Hungry"):
        await machine(name)
    made = await rate(client, **TOU)
    await quote(day, "0.05")
    await look(day + timedelta(hours=11, minutes=50))
    found = await signals(client, site_id=site)
    assert [(one["miner_model"], one["state"], one["reason"]) for one in found] == [
        ("Efficient", "run", None), ("Hungry", "run", None),
    ]  # fmt: skip
    assert found[1]["break_even_usd_per_kwh"] == "0.068306011"
    assert found[1]["price_usd_per_kwh"] == "0.060000000"
    assert found[1]["efficiency_j_per_th"] == "30.5000"
    assert found[1]["valid_until"] == f"{day:%Y-%m-%d}T12:00:00Z"
    await quote(day + timedelta(hours=11, minutes=55), "0.05")
    await look(day + timedelta(hours=12))
    assert [one["state"] for one in await signals(client)] == ["run", "stop"]
    assert len(await signals(client, state="stop")) == 1
    events = await published(EVENT)
    last = events[-1]["data"]
    assert events[-1]["key"] == f"{site}:Hungry"
    assert (last["state"], last["price_usd_per_kwh"]) == ("stop", "0.075000000")
    assert last["tariff"] == {"rate_id": made["id"], "version": 1}
    assert last["quote"]["stale"] is False
    assert last["valid_until"].startswith(f"{day:%Y-%m-%d}T16:30:00")
    assert [event["data"]["state"] for event in events] == ["run", "run", "run", "stop"]
    assert [event["version"] for event in events if event["key"].endswith("Hungry")] == [1, 2]


async def test_an_endpoint_is_told_when_a_class_should_stop(
    client: httpx.AsyncClient, site: UUID, machine: Any, model: Any, quote: Any, look: Any,
    published: Any, day: datetime,
) -> None:  # fmt: skip
    """Not at every renewal or new price, as the topic is; and not who wants to hear of others."""
    hooks = "/api/electricity/webhooks"
    ours, others = [
        (await client.post(hooks, json={"name": "A", "url": "https://a.example", "kinds": kinds}))
        for kinds in (["signal"], ["budget"])
    ]
    await model("Hungry", 100, 3050)
    await machine("Hungry")
    await rate(client, **TOU)
    for hours in (0, 11, 12):  # the price rises at noon
        await quote(day + timedelta(hours=hours), "0.05")
        await look(day + timedelta(hours=hours))
    await quote(day + timedelta(hours=13), "0.08")
    await look(day + timedelta(hours=13))

    async def told(hook: httpx.Response) -> list[dict[str, Any]]:
        answer = await client.get(f"{hooks}/{hook.json()['id']}/deliveries")
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    assert [one["kind"] for one in await told(ours)] == ["signal"] * 3  # run, stop, run
    assert await told(others) == []
    states = [event["data"]["state"] for event in await published(EVENT)]
    assert states == ["run", "stop", "run"]


async def test_only_news_is_published(
    client: httpx.AsyncClient, site: UUID, machine: Any, model: Any, quote: Any, look: Any,
    published: Any, day: datetime,
) -> None:  # fmt: skip
    await model("Hungry", 100, 3050)
    await machine("Hungry")
    await rate(client, **TOU)
    await quote(day, "0.05")
    for minutes in (0, 1, 2, 30, 60):
        await look(day + timedelta(minutes=minutes))
    assert len(await published(EVENT)) == 1
    await quote(day + timedelta(hours=1), "0.0501")  # another break-even is no news by itself
    await look(day + timedelta(hours=1, minutes=1))
    assert len(await published(EVENT)) == 1
    await quote(day + timedelta(hours=11), "0.08")
    await look(day + timedelta(hours=12))  # the same state at another price is
    assert [event["data"]["state"] for event in await published(EVENT)] == ["run", "run"]
    await rate(client, flat_rate_usd_per_kwh=0.5, name="Dear")
    await look(day + timedelta(hours=12, minutes=1))
    assert [event["data"]["state"] for event in await published(EVENT)] == ["run", "run", "stop"]


async def test_a_signal_is_renewed_before_it_runs_out(
    client: httpx.AsyncClient, site: UUID, machine: Any, model: Any, quote: Any, look: Any,
    published: Any, day: datetime,
) -> None:  # fmt: skip
    await model("Hungry", 100, 3050)
    await machine("Hungry")
    await rate(client)
    await quote(day, "0.09")
    await look(day)
    await look(day + timedelta(hours=23, minutes=59))
    assert len(await published(EVENT)) == 1
    await quote(day + timedelta(hours=23), "0.09")
    await look(day + timedelta(hours=24))
    first, second = [event["data"] for event in await published(EVENT)]
    assert first["valid_until"] == second["at"]


async def test_a_price_at_break_even_does_not_flutter(
    client: httpx.AsyncClient, machine: Any, model: Any, quote: Any, look: Any, published: Any,
    day: datetime, site: UUID,
) -> None:  # fmt: skip
    await model("Hungry", 100, 3050)
    await machine("Hungry")
    await rate(client, flat_rate_usd_per_kwh="0.0683")
    for minute, hashprice in enumerate(("0.0500", "0.0499", "0.0501", "0.0498", "0.0502")):
        await quote(day + timedelta(minutes=minute), hashprice)
        await look(day + timedelta(minutes=minute))
    assert [event["data"]["state"] for event in await published(EVENT)] == ["run"]
    await quote(day + timedelta(minutes=9), "0.047")
    await look(day + timedelta(minutes=9))
    assert [event["data"]["state"] for event in await published(EVENT)] == ["run", "stop"]


@pytest.mark.parametrize("missing", ["tariff", "model", "quote", "fresh quote", "hashprice"])
async def test_what_cannot_be_said_is_not_said(
    missing: str, client: httpx.AsyncClient, machine: Any, model: Any, quote: Any, look: Any,
    published: Any, day: datetime, site: UUID,
) -> None:  # fmt: skip
    if missing != "model":
        await model("Hungry", 100, 3050)
    await machine("Hungry")
    if missing != "tariff":
        await rate(client)
    if missing == "hashprice":
        await quote(day, "0.05", hashprice_usd_per_ths_day=None)
    elif missing != "quote":
        await quote(day, "0.05")
    moment = day + timedelta(hours=25 if missing == "fresh quote" else 1)
    await look(moment)
    [found] = await signals(client)
    reasons = {
        "tariff": {"no_tariff"},
        "model": {"unknown_miner_model"},
        "quote": {"no_quote", "quote_too_old"},
        "fresh quote": {"quote_too_old"},
        "hashprice": {"no_quote"},
    }
    assert found["state"] is None
    assert found["reason"] in reasons[missing]
    assert await published(EVENT) == []


async def test_an_old_quote_is_called_old(
    client: httpx.AsyncClient, machine: Any, model: Any, quote: Any, look: Any, published: Any,
    day: datetime, site: UUID,
) -> None:  # fmt: skip
    await model("Hungry", 100, 3050)
    await machine("Hungry")
    await rate(client)
    await quote(day, "0.05", simulated=True)
    await look(day + timedelta(hours=2))
    [event] = await published(EVENT)
    assert event["data"]["quote"]["stale"] is True
    assert event["data"]["quote"]["simulated"] is True


async def test_an_index_price_is_followed_from_half_hour_to_half_hour(
    client: httpx.AsyncClient, machine: Any, model: Any, quote: Any, look: Any, published: Any,
    day: datetime, site: UUID,
) -> None:  # fmt: skip
    """0.06, 0.08, paid to take it, and then nobody knows."""
    await model("Hungry", 100, 3050)
    await machine("Hungry")
    half_hour = timedelta(minutes=30)
    prices = [
        {"start": (day + place * half_hour).isoformat(),
         "end": (day + (place + 1) * half_hour).isoformat(), "price_per_mwh": price}
        for place, price in enumerate(("50", "70", "-30"))
    ]  # fmt: skip
    answer = await client.post(
        "/api/electricity/index-series", json={"name": "Day ahead", "prices": prices}
    )
    assert answer.status_code == 201, answer.text
    await rate(
        client, rate_type="index", flat_rate_usd_per_kwh=None, adder_usd_per_kwh="0.01",
        index_series_id=answer.json()["series"]["id"],
    )  # fmt: skip
    await quote(day, "0.05")
    for place in range(4):
        await look(day + place * half_hour)
    said = [
        (event["data"]["state"], event["data"]["price_usd_per_kwh"])
        for event in await published(EVENT)
    ]
    assert said == [("run", "0.060000000"), ("stop", "0.080000000"), ("run", "-0.020000000")]
    [found] = await signals(client)
    assert (found["state"], found["reason"]) == (None, "no_index_price")


async def test_machines_that_left_leave_no_signal(
    client: httpx.AsyncClient, machine: Any, model: Any, quote: Any, look: Any, deliver: Any,
    site: UUID, day: datetime,
) -> None:  # fmt: skip
    await model("Hungry", 100, 3050)
    left = await machine("Hungry")
    await machine("Retired", status="retired")
    await rate(client)
    await quote(day, "0.05")
    await look(day)
    assert [one["miner_model"] for one in await signals(client)] == ["Hungry"]
    data = {"miner_id": left, "site_id": site, "serial_number": "x", "status": "active"}
    await deliver(
        "hosting.miner.changed.v1", data | {"model": "Hungry", "removed": True}, version=2
    )
    await look(day)
    assert await signals(client) == []
    await machine("Hungry")
    await look(day)
    assert len(await signals(client)) == 1
    gone = {"site_id": site, "name": "North", "timezone": "UTC", "removed": True}
    await deliver("hosting.site.changed.v1", gone, version=2)
    await look(day)
    assert await signals(client) == []


async def test_a_tariff_in_another_currency_is_compared_in_dollars(
    client: httpx.AsyncClient, machine: Any, model: Any, quote: Any, look: Any, site: UUID,
    worker_session: Any,
) -> None:  # fmt: skip
    from energy.currencies.models import ReferenceRate

    moment = now()
    await model("Hungry", 100, 3050)
    await machine("Hungry")
    await rate(client, currency="ZZD", flat_rate_usd_per_kwh=0.07)
    await quote(moment, "0.05")
    await look(now())
    [found] = await signals(client)
    assert (found["state"], found["reason"]) == (None, "no_exchange_rate")
    async with worker_session() as session:
        dollar = await session.get(ReferenceRate, (moment.date(), "USD"))
        dollars = Decimal("1.1") if dollar is None else dollar.per_eur  # rates are everybody's
        for currency, per_eur in (("ZZD", 2 * dollars), ("USD", dollars)):
            row = ReferenceRate(
                day=moment.date(), currency=currency, per_eur=per_eur,
                source="test", simulated=False, fetched_at=moment,
            )  # fmt: skip
            if currency != "USD" or dollar is None:
                session.add(row)
    await look(now())
    [found] = await signals(client)
    assert found["state"] == "run"
    assert found["price_usd_per_kwh"] == "0.035000000"


async def test_a_signal_never_follows_from_the_load() -> None:
    """What a signal switches is not what it is computed from: nothing may close that circle."""
    read = {
        event_type
        for feature in SERVICE.reactions
        for event_type, handlers in feature.handlers.items()
        for one in handlers
        if one.handler.__module__.startswith("energy.signals")
    }
    assert read == set()


async def test_signals_are_the_organisations_own(
    client: httpx.AsyncClient, client_as: ClientFor, machine: Any, model: Any, quote: Any,
    look: Any, day: datetime, site: UUID,
) -> None:  # fmt: skip
    await model("Hungry", 100, 3050)
    await machine("Hungry")
    await look(day)
    assert len(await signals(client)) == 1
    assert await signals(client_as(organisation_id=new_id())) == []
    answer = await client_as(scopes=frozenset({"costs:read"})).get(SIGNALS)
    assert answer.status_code == 403
    assert (await client.get(SIGNALS, params={"site_id": "x"})).status_code == 422
    assert (await client.get(SIGNALS, params={"state": "maybe"})).status_code == 422


async def test_the_worker_looks_at_every_organisation(
    client: httpx.AsyncClient, machine: Any, model: Any, quote: Any, runtime: Runtime, site: UUID,
) -> None:  # fmt: skip
    from energy.signals.watching import refresh_all

    await model("Hungry", 100, 3050)
    await machine("Hungry")
    await rate(client)
    await quote(datetime.now(UTC), "0.05")
    await refresh_all(runtime)
    assert [one["state"] for one in await signals(client)] == ["stop"]
