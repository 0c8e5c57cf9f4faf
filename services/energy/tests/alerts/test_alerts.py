"""High costs: said once when they begin, once when they are over, never of what is unknown."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from sqlalchemy import update

from common.ids import new_id
from common.runtime import Runtime
from common.testing import ClientFor
from energy.alerts.watching import look_at_all
from energy.currencies.models import ReferenceRate
from energy.facts.models import Site

Make = Callable[..., Awaitable[Any]]
DAY = datetime(2026, 5, 4, tzinfo=UTC)
RULES = "/api/electricity/alert-rules"
ALERTS = "/api/electricity/alerts"
EVERY_DAY = list(range(7))
TOU: dict[str, Any] = {
    "rate_type": "tou",
    "flat_rate_usd_per_kwh": "0.08",
    "tou_schedule": [
        {"name": "Peak", "rate": "0.22", "days": EVERY_DAY, "start_hour": 17, "end_hour": 21}
    ],
}


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


async def test_a_high_price_is_told_once_and_its_end_once(
    client: httpx.AsyncClient, new_site: Make, new_rate: Make, new_rule: Make, new_person: Make,
    look_at: Make, alerts: Make, letters: Make, deliveries: Make,
) -> None:  # fmt: skip
    site, owner = await new_site(), await new_person()
    await new_person("Host")
    await new_rate(**TOU)
    await client.post(
        "/api/electricity/webhooks", json={"name": "x", "url": "https://a.example.org"}
    )
    await new_rule(site_id=str(site))
    await look_at(at(10))
    assert await alerts() == []
    for hour in (17, 17.02, 18, 20.99):
        await look_at(at(hour))
    [alert] = await alerts(state="firing")
    assert (alert["value"], alert["threshold"]) == ("0.220000000", "0.200000000")
    assert alert["details"]["period"] == "Peak"
    assert alert["details"]["until"] == at(21).isoformat()
    for hour in (21, 22, 23):
        await look_at(at(hour))
    assert await alerts(state="firing") == []
    assert len(await alerts(state="cleared")) == 1
    sent = await letters()
    assert [(one.template, one.user_id) for one in sent] == [
        ("cost_alert", owner), ("cost_alert_over", owner),
    ]  # fmt: skip
    told = [orjson.loads(one.body) for one in await deliveries()]
    assert [one["data"]["event"] for one in told] == ["fired", "cleared"]
    assert told[0]["data"]["value"] == "0.22"
    await look_at(at(24 + 17))  # the next evening is another time of high costs
    assert len(await letters()) == 3


async def test_a_figure_near_the_limit_does_not_flutter(
    new_site: Make, new_rate: Make, new_rule: Make, use: Make, look_at: Make, alerts: Make
) -> None:
    site = await new_site()
    await new_rate(flat_rate_usd_per_kwh="1")
    await new_rule(site_id=str(site), metric="cost_per_hour", threshold="10", clear_percent="5")
    # The cost of the last closed hour: 10, 11, 9.6, 9.5, 9.4
    await use(site, at(0), at(1), 5.0)
    await look_at(at(1))
    assert await alerts() == []  # exactly at the limit is not above it
    await use(site, at(1), at(2), 5.5)
    await look_at(at(2))
    [alert] = await alerts(state="firing")
    assert (alert["value"], alert["details"]["kwh"]) == ("11.000000000", "11")
    await use(site, at(2), at(3), 4.8)
    await look_at(at(3))
    assert len(await alerts(state="firing")) == 1
    await use(site, at(3), at(4), 6.0)
    await look_at(at(4))
    [alert] = await alerts(state="firing")
    assert (alert["value"], alert["highest"]) == ("11.000000000", "12.000000000")
    await use(site, at(4), at(5), 4.75)
    await look_at(at(5))
    assert await alerts(state="firing") == []


async def test_what_is_not_known_neither_fires_nor_clears(
    new_site: Make, new_rate: Make, new_rule: Make, use: Make, look_at: Make, alerts: Make
) -> None:
    site = await new_site()
    await new_rule(site_id=str(site), metric="cost_per_hour", threshold="0")
    await new_rule(site_id=str(site), metric="price_now", threshold="0")
    await use(site, at(0), at(1), 5.0)
    await look_at(at(1))  # no tariff: no price, and no cost
    assert await alerts() == []
    await new_rate()
    await look_at(at(1))
    assert [one["metric"] for one in await alerts()] == ["price_now"]
    await use(site, at(1), at(2), 5.0)
    await look_at(at(2))
    assert len(await alerts(state="firing")) == 2
    await look_at(at(6))  # telemetry is silent: the hour is not cheap, it is not known
    assert len(await alerts(state="firing")) == 2


async def test_machines_that_are_silent_make_no_hour_cheap(
    new_site: Make, new_rate: Make, new_rule: Make, use: Make, look_at: Make, alerts: Make
) -> None:
    site = await new_site()
    await new_rate(flat_rate_usd_per_kwh="1")
    await new_rule(site_id=str(site), metric="cost_per_hour", threshold="10")
    await use(site, at(0), at(1), 3.0, 3.0)
    await look_at(at(1))
    assert len(await alerts(state="firing")) == 1
    await use(site, at(1), at(2), 3.0, None)
    await look_at(at(2))
    assert len(await alerts(state="firing")) == 1
    await use(site, at(2), at(3), 3.0, 1.0)
    await look_at(at(3))
    assert await alerts(state="firing") == []


async def test_the_day_is_foretold_as_the_day_before_went(
    new_site: Make, new_rate: Make, new_rule: Make, use: Make, look_at: Make, alerts: Make
) -> None:
    """Document 003's 72 kWh: 8.64 and 0.50 of service; at noon of the second day as well."""
    site = await new_site()
    await new_rate(daily_service_charge_usd="0.50")
    await use(site, at(-24), at(12), 1.5)
    await new_rule(site_id=str(site), metric="forecast_day", threshold="9.13")
    await new_rule(site_id=str(site), metric="forecast_day", threshold="9.14")
    await new_rule(site_id=str(site), metric="cost_per_day", threshold="4")
    await look_at(at(12))
    found = {one["metric"]: one for one in await alerts()}
    assert len(await alerts()) == 2
    assert found["forecast_day"]["value"] == "9.140000000"
    assert Decimal(found["forecast_day"]["threshold"]) == Decimal("9.13")
    assert Decimal(found["cost_per_day"]["value"]) == Decimal("4.57")
    assert "24 hours before" in found["forecast_day"]["details"]["method"]


async def test_the_day_is_the_sites_own(
    new_site: Make, new_rate: Make, new_rule: Make, use: Make, look_at: Make, alerts: Make
) -> None:
    site = await new_site(zone="America/New_York")
    await new_rate(flat_rate_usd_per_kwh="1", timezone="America/New_York")
    await use(site, at(0), at(6), 1.0)  # the local day begins at 04:00 UTC
    await new_rule(site_id=str(site), metric="cost_per_day", threshold="3.9")
    await look_at(at(6))
    [alert] = await alerts()
    assert alert["value"] == "4.000000000"


async def test_all_sites_together(
    new_site: Make, new_rate: Make, new_rule: Make, use: Make, look_at: Make, alerts: Make
) -> None:
    north, south = await new_site("North"), await new_site("South")
    await new_rate(flat_rate_usd_per_kwh="1")
    await new_rule(metric="cost_per_hour", threshold="15")
    await new_rule(metric="price_now", threshold="0.5")
    for site in (north, south):
        await use(site, at(0), at(1), 4.0)
    await look_at(at(1))
    found = await alerts()
    assert sorted((one["metric"], one["site_id"]) for one in found if one["site_id"]) == sorted(
        [("price_now", str(north)), ("price_now", str(south))]
    )
    [whole] = [one for one in found if one["site_id"] is None]
    assert (whole["value"], whole["details"]["sites"]) == ("16.000000000", 2)
    await use(north, at(1), at(2), 4.0)  # the south is silent: 8 is no sum of both
    await look_at(at(2.9))
    assert len(await alerts(state="firing")) == 3


async def test_a_limit_may_be_in_another_currency(
    new_site: Make, new_rate: Make, new_rule: Make, look_at: Make, alerts: Make, worker_session: Any
) -> None:
    site = await new_site()
    await new_rate(flat_rate_usd_per_kwh="0.30", currency="QQQ")
    await new_rule(site_id=str(site), threshold="0.20", currency="USD")
    await look_at(at(1))
    assert await alerts() == []  # nobody knows what it is worth
    async with worker_session() as session:
        for currency, per_eur in (("QQQ", "1.2"), ("USD", "1.0")):
            if await session.get(ReferenceRate, (DAY.date(), currency)) is None:
                session.add(
                    ReferenceRate(
                        day=DAY.date(), currency=currency, per_eur=Decimal(per_eur), source="test",
                        simulated=False, fetched_at=DAY,
                    )
                )  # fmt: skip
    await look_at(at(1))
    [alert] = await alerts()
    assert alert["value"] == "0.250000000"
    assert alert["details"]["converted_from"] == "QQQ"


async def test_twenty_lookers_see_one_alert(
    new_site: Make, new_rate: Make, new_rule: Make, runtime: Runtime, new_person: Make,
    alerts: Make, letters: Make,
) -> None:  # fmt: skip
    site = await new_site()
    await new_person()
    await new_rate(flat_rate_usd_per_kwh="0.30")
    await new_rule(site_id=str(site))
    await asyncio.gather(*(look_at_all(runtime) for _ in range(8)))
    await look_at_all(runtime)
    assert len(await alerts()) == 1
    assert len(await letters()) == 1


async def test_one_organisations_trouble_is_no_others(
    client_as: ClientFor, deliver: Any, worker_session: Any, new_site: Make, new_rate: Make,
    new_rule: Make, runtime: Runtime, alerts: Make,
) -> None:  # fmt: skip
    """A turn that fails ends with that organisation, whichever is first."""
    for organisation in (UUID(int=1 << 64), UUID(int=(1 << 128) - 1)):
        broken = new_id()
        data = {"site_id": broken, "name": "x", "location": "x", "timezone": "UTC"}
        await deliver("hosting.site.changed.v1", data, organisation_id=organisation)
        body = {"name": "x", "metric": "cost_per_day", "threshold": 0}
        answer = await client_as(organisation_id=organisation).post(RULES, json=body)
        assert answer.status_code == 201
        async with worker_session() as session:
            await session.execute(
                update(Site).where(Site.id == broken).values(timezone="No/Such_Zone")
            )
    site = await new_site()
    await new_rate(flat_rate_usd_per_kwh="0.30")
    await new_rule(site_id=str(site))
    await look_at_all(runtime)
    assert len(await alerts()) == 1
    async with worker_session() as session:
        await session.execute(
            update(Site).where(Site.timezone == "No/Such_Zone").values(timezone="UTC")
        )


async def test_a_rule_that_is_switched_off_or_gone_alerts_no_more(
    client: httpx.AsyncClient, new_site: Make, new_rate: Make, new_rule: Make, look_at: Make,
    alerts: Make,
) -> None:  # fmt: skip
    site = await new_site()
    await new_rate(flat_rate_usd_per_kwh="0.30")
    rule = await new_rule(site_id=str(site))
    other = await new_rule(site_id=str(site), name="Other")
    await look_at(at(1))
    answer = await client.patch(f"{RULES}/{rule['id']}", json={"active": False})
    assert answer.json()["active"] is False
    assert (await client.delete(f"{RULES}/{other['id']}")).status_code == 204
    assert await alerts(state="firing") == []
    await look_at(at(2))
    assert len(await alerts()) == 2
    assert (await client.get(f"{RULES}/{other['id']}")).status_code == 404
    await client.patch(f"{RULES}/{rule['id']}", json={"active": True, "threshold": "0.4"})
    await look_at(at(3))
    assert await alerts(state="firing") == []


async def test_who_saw_an_alert_first_is_known(
    client: httpx.AsyncClient, client_as: ClientFor, new_site: Make, new_rate: Make,
    new_rule: Make, look_at: Make, alerts: Make,
) -> None:  # fmt: skip
    site = await new_site()
    await new_rate(flat_rate_usd_per_kwh="0.30")
    await new_rule(site_id=str(site))
    await look_at(at(1))
    [alert] = await alerts(state="unacknowledged")
    first = await client.post(f"{ALERTS}/{alert['id']}/acknowledge")
    second = await client_as().post(f"{ALERTS}/{alert['id']}/acknowledge")
    assert first.json()["acknowledged_by"] == second.json()["acknowledged_by"] is not None
    assert await alerts(state="unacknowledged") == []
    stranger = client_as(organisation_id=new_id())
    assert (await stranger.post(f"{ALERTS}/{alert['id']}/acknowledge")).status_code == 404
    assert (await stranger.get(ALERTS)).json()["total"] == 0


async def test_letters_go_to_whom_the_rule_names_and_to_nobody_elses_people(
    client: httpx.AsyncClient, client_as: ClientFor, deliver: Any, new_site: Make, new_rate: Make,
    new_rule: Make, new_person: Make, look_at: Make, letters: Make,
) -> None:  # fmt: skip
    site, stranger = await new_site(), new_id()
    owner = await new_person()
    host = await new_person("Host")
    of_a_client = await new_person("Client", client_id=new_id())
    await deliver(
        "identity.user.changed.v1",
        {"id": stranger, "client_id": None, "role": "Owner", "email": "x@example.org"},
        organisation_id=new_id(),
    )
    body = {"name": "x", "metric": "price_now", "threshold": 0.2}
    for wrong in (stranger, of_a_client, new_id()):
        answer = await client.post(RULES, json=body | {"recipients": [str(wrong)]})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_recipient")
    rule = await new_rule(site_id=str(site), recipients=[str(host)], webhook=False)
    answer = await client.patch(f"{RULES}/{rule['id']}", json={"recipients": [str(stranger)]})
    assert answer.status_code == 422
    await new_rate(flat_rate_usd_per_kwh="0.30")
    await look_at(at(1))
    assert [one.user_id for one in await letters()] == [host]
    # Who was named leaves: the end of it is told to the Owner instead of nobody.
    await deliver("identity.user.erased.v1", None, key=str(host), version=2)
    await client.patch(f"{RULES}/{rule['id']}", json={"threshold": "0.5"})
    await look_at(at(2))
    assert [one.user_id for one in await letters()] == [host, owner]


async def test_a_clients_people_see_no_figures_of_a_site(
    client_as: ClientFor, new_site: Make, new_rate: Make, new_rule: Make, look_at: Make
) -> None:
    site = await new_site()
    await new_rate(flat_rate_usd_per_kwh="0.30")
    rule = await new_rule(site_id=str(site))
    await look_at(at(1))
    theirs = client_as(client_id=new_id(), role="Client")
    assert (await theirs.get(RULES)).json()["total"] == 0
    assert (await theirs.get(ALERTS)).json()["total"] == 0
    assert (await theirs.get(f"{RULES}/{rule['id']}")).status_code == 404
    body = {"name": "x", "metric": "price_now", "threshold": 0.2, "site_id": str(site)}
    assert (await theirs.post(RULES, json=body)).status_code == 403
    reader = client_as(scopes=frozenset({"costs:read"}))
    assert (await reader.post(RULES, json=body)).status_code == 403


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", -1), ("threshold", "NaN"), ("threshold", "Infinity"), ("threshold", True),
        ("threshold", "0.1234567891"), ("threshold", 1e10), ("threshold", None),
        ("metric", "price_tomorrow"), ("clear_percent", 51), ("clear_percent", -1),
        ("currency", "usd"), ("currency", "USDT"), ("name", ""), ("name", "x" * 129),
        ("recipients", ["x"]), ("recipients", [str(UUID(int=n)) for n in range(21)]),
        ("organisation_id", str(UUID(int=1))), ("site_id", "x"),
    ],
)  # fmt: skip
async def test_a_rule_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, field: str, value: Any
) -> None:
    body = {"name": "x", "metric": "price_now", "threshold": 0.2} | {field: value}
    answer = await client.post(RULES, json=body)
    assert answer.status_code == 422
    assert answer.json()["field"] == field


async def test_a_rule_is_about_a_site_that_is_there(client: httpx.AsyncClient) -> None:
    body = {"name": "x", "metric": "price_now", "threshold": 0.2, "site_id": str(new_id())}
    answer = await client.post(RULES, json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "site_unknown")
