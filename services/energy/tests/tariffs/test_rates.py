"""The registry of rates, over HTTP: document 003's paths, fields and envelope."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.clock import now
from common.ids import new_id
from common.testing import ClientFor, TenantSessions
from energy.tariffs.reading import tariff_by_id, tariff_in_force, tariffs_between

Published = Callable[..., Awaitable[list[dict[str, Any]]]]
Deliver = Callable[..., Awaitable[Any]]
URL = "/api/electricity/rates"
FLAT = {
    "name": "My Flat Rate",
    "rate_type": "flat",
    "flat_rate_usd_per_kwh": 0.12,
    "daily_service_charge_usd": 0.50,
    "active": True,
}
TOU = {
    "name": "TOU Rate",
    "rate_type": "tou",
    "tou_schedule": [
        {
            "name": "Off-Peak",
            "rate": 0.08,
            "days": [0, 1, 2, 3, 4, 5, 6],
            "start_hour": 21,
            "end_hour": 7,
        },
        {
            "name": "Peak",
            "rate": 0.18,
            "days": [0, 1, 2, 3, 4, 5, 6],
            "start_hour": 7,
            "end_hour": 21,
        },
    ],
}


async def created(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(URL, json=FLAT | fields)
    assert answer.status_code == 201, answer.text
    rate: dict[str, Any] = answer.json()["rate"]
    return rate


async def test_the_documents_flat_rate_is_stored_and_shown(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, json=FLAT)
    assert answer.status_code == 201
    body = answer.json()
    assert body["ok"] is True
    rate = body["rate"]
    assert rate["flat_rate_usd_per_kwh"] == "0.12"
    assert rate["daily_service_charge_usd"] == "0.5"
    assert rate["active"] is True
    shown = (await client.get(f"{URL}/{rate['id']}")).json()
    assert shown == {"ok": True, "rate": rate}
    listed = (await client.get(URL)).json()
    assert listed == {"ok": True, "rates": [rate], "count": 1, "total": 1}


async def test_money_is_read_from_its_text(client: httpx.AsyncClient) -> None:
    body = (
        b'{"name": "exact", "flat_rate_usd_per_kwh": 0.123456789,'
        b' "daily_service_charge_usd": "1e-1"}'
    )
    answer = await client.post(URL, content=body, headers={"content-type": "application/json"})
    assert answer.json()["rate"]["flat_rate_usd_per_kwh"] == "0.123456789"
    assert answer.json()["rate"]["daily_service_charge_usd"] == "0.1"


async def test_a_schedule_says_hours_and_clock_times(client: httpx.AsyncClient) -> None:
    rate = (await client.post(URL, json=TOU)).json()["rate"]
    first = rate["tou_schedule"][0]
    assert (first["start_hour"], first["end_hour"]) == (21, 7)
    assert (first["start"], first["end"]) == ("21:00", "07:00")
    assert first["rate"] == "0.08"


async def test_what_was_read_can_be_written_back(client: httpx.AsyncClient) -> None:
    rate = (await client.post(URL, json=TOU)).json()["rate"]
    answer = await client.put(f"{URL}/{rate['id']}", json=rate | {"name": "Renamed"})
    assert answer.status_code == 200, answer.text
    changed = answer.json()["rate"]
    assert changed["version"] == 2
    assert changed["tou_schedule"] == rate["tou_schedule"]
    assert changed["name"] == "Renamed"


async def test_the_first_rate_of_a_place_is_in_force(client: httpx.AsyncClient) -> None:
    first = (await client.post(URL, json=TOU)).json()["rate"]
    second = (await client.post(URL, json=TOU)).json()["rate"]
    elsewhere = (await client.post(URL, json=TOU | {"location": "Barn"})).json()["rate"]
    assert [first["active"], second["active"], elsewhere["active"]] == [True, False, True]


async def test_an_active_rate_puts_out_the_one_of_its_location(client: httpx.AsyncClient) -> None:
    old = await created(client, location="Barn 1")
    other = await created(client, location="Barn 2")
    new = await created(client, location=" barn  1 ")
    listed = (await client.get(URL, params={"active_only": "true"})).json()
    assert {rate["id"] for rate in listed["rates"]} == {other["id"], new["id"]}
    located = (await client.get(URL, params={"location": "BARN 1"})).json()
    assert {rate["id"] for rate in located["rates"]} == {old["id"], new["id"]}


async def test_rates_without_location_are_one_place_too(client: httpx.AsyncClient) -> None:
    old = await created(client)
    new = await created(client)
    listed = (await client.get(URL)).json()["rates"]
    assert [(rate["id"], rate["active"]) for rate in listed] == [
        (new["id"], True),
        (old["id"], False),
    ]


async def test_activate_and_deactivate(client: httpx.AsyncClient) -> None:
    first, second = await created(client), await created(client)
    answer = await client.post(f"{URL}/{first['id']}/activate")
    assert answer.json()["rate"]["active"] is True
    assert (await client.get(f"{URL}/{second['id']}")).json()["rate"]["active"] is False
    again = await client.post(f"{URL}/{first['id']}/activate")
    assert again.json() == answer.json()
    off = await client.post(f"{URL}/{first['id']}/deactivate")
    assert off.json()["rate"]["active"] is False
    assert (await client.post(f"{URL}/{first['id']}/deactivate")).status_code == 200
    assert (await client.get(URL, params={"active_only": True})).json()["count"] == 0


async def test_twenty_activations_at_once_leave_one(
    client: httpx.AsyncClient, tenant_session: TenantSessions
) -> None:
    rates = [await created(client, location="Hall", active=False) for _ in range(20)]
    answers = await asyncio.gather(*(client.post(f"{URL}/{rate['id']}/activate") for rate in rates))
    assert {answer.status_code for answer in answers} == {200}
    listed = (await client.get(URL, params={"active_only": True, "location": "Hall"})).json()
    assert listed["count"] == 1
    async with tenant_session() as session:
        found = await tariff_in_force(session, location="Hall", at=now())
    assert found is not None
    assert str(found.rate_id) == listed["rates"][0]["id"]


async def test_twenty_rates_created_at_once_leave_one_active(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post(URL, json=FLAT) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert (await client.get(URL, params={"active_only": True})).json()["count"] == 1


async def test_put_makes_a_version_and_history_keeps_the_old_one(
    client: httpx.AsyncClient, tenant_session: TenantSessions
) -> None:
    rate = await created(client)
    answer = await client.put(
        f"{URL}/{rate['id']}", json={"name": "Dearer", "flat_rate_usd_per_kwh": "0.15"}
    )
    changed = answer.json()["rate"]
    assert (changed["version"], changed["flat_rate_usd_per_kwh"]) == (2, "0.15")
    assert changed["daily_service_charge_usd"] == "0.5"  # left out: as it was
    versions = (await client.get(f"{URL}/{rate['id']}/versions")).json()
    assert [one["version"] for one in versions["versions"]] == [2, 1]
    assert [one["name"] for one in versions["versions"]] == ["Dearer", "My Flat Rate"]
    async with tenant_session() as session:
        old = await tariff_by_id(session, UUID(rate["id"]), 1)
    assert old is not None
    assert (old.name, str(old.tariff.flat_rate)) == ("My Flat Rate", "0.12")


async def test_put_that_changes_nothing_makes_no_version(client: httpx.AsyncClient) -> None:
    rate = await created(client)
    same = await client.put(f"{URL}/{rate['id']}", json=FLAT)
    assert same.json()["rate"] == rate


async def test_text_that_no_bill_depends_on_makes_no_version(
    client: httpx.AsyncClient, published: Published
) -> None:
    rate = await created(client, description="as it was")
    wish = {
        "description": "for the north hall",
        "notes": "ask Jo",
        "utility_name": "Grid Co",
        "account_number": "12-345",
    }
    changed = (await client.put(f"{URL}/{rate['id']}", json=wish)).json()["rate"]
    assert changed == rate | wish | {"updated_at": changed["updated_at"]}
    [version] = (await client.get(f"{URL}/{rate['id']}/versions")).json()["versions"]
    assert {name: version[name] for name in wish} == wish
    assert (version["version"], version["version_from"]) == (1, rate["version_from"])
    exported = (await client.get(f"{URL}/{rate['id']}/export")).json()
    assert exported["rate"]["description"] == "for the north hall"
    told = [row["data"] for row in await published("energy.tariff.changed.v1")]
    assert [one["rate_version"] for one in told] == [1, 1]
    assert told[-1]["tariff"]["description"] == "for the north hall"
    await client.put(f"{URL}/{rate['id']}", json={"flat_rate_usd_per_kwh": "0.2"})
    await client.put(f"{URL}/{rate['id']}", json={"notes": None})
    versions = (await client.get(f"{URL}/{rate['id']}/versions")).json()["versions"]
    assert [(one["version"], one["notes"]) for one in versions] == [(2, None), (1, "ask Jo")]


async def test_a_version_may_say_the_same_since_earlier(client: httpx.AsyncClient) -> None:
    rate = await created(client)
    since = {"valid_from": "2026-01-01T00:00:00Z"}
    for _ in range(2):  # once is enough
        changed = (await client.put(f"{URL}/{rate['id']}", json=since)).json()["rate"]
        assert (changed["version"], changed["version_from"]) == (2, since["valid_from"])


async def test_a_version_may_hold_since_earlier(
    client: httpx.AsyncClient, tenant_session: TenantSessions
) -> None:
    month_ago = now() - timedelta(days=30)
    rate = await created(client, valid_from=(month_ago - timedelta(days=30)).isoformat())
    await client.put(
        f"{URL}/{rate['id']}",
        json={"flat_rate_usd_per_kwh": "0.2", "valid_from": month_ago.isoformat()},
    )
    async with tenant_session() as session:
        stretches = await tariffs_between(
            session, start=month_ago - timedelta(days=90), end=month_ago + timedelta(days=1)
        )
    assert [(until, str(held.tariff.flat_rate)) for _, until, held in stretches] == [
        (month_ago, "0.12"),
        (month_ago + timedelta(days=1), "0.2"),
    ]


async def test_changing_the_type_drops_the_other_types_fields(client: httpx.AsyncClient) -> None:
    rate = (await client.post(URL, json=TOU)).json()["rate"]
    answer = await client.put(
        f"{URL}/{rate['id']}", json={"rate_type": "flat", "flat_rate_usd_per_kwh": "0.1"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["rate"]["tou_schedule"] is None


async def test_a_moved_active_rate_is_active_where_it_now_is(client: httpx.AsyncClient) -> None:
    there = await created(client, location="B")
    rate = await created(client, location="A")
    moved = (await client.put(f"{URL}/{rate['id']}", json={"location": "B"})).json()["rate"]
    assert moved["active"] is True
    assert (await client.get(f"{URL}/{there['id']}")).json()["rate"]["active"] is False


async def test_put_can_activate_and_deactivate(client: httpx.AsyncClient) -> None:
    first, second = await created(client), await created(client)
    answer = await client.put(f"{URL}/{first['id']}", json={"active": True})
    assert answer.json()["rate"]["active"] is True
    assert answer.json()["rate"]["version"] == 1
    assert (await client.get(f"{URL}/{second['id']}")).json()["rate"]["active"] is False
    answer = await client.put(f"{URL}/{first['id']}", json={"active": False})
    assert answer.json()["rate"]["active"] is False


async def test_a_removed_rate_is_gone_but_its_history_is_not(
    client: httpx.AsyncClient, tenant_session: TenantSessions
) -> None:
    rate = await created(client)
    gone = await client.delete(f"{URL}/{rate['id']}")
    assert gone.json() == {"ok": True, "id": rate["id"]}
    assert (await client.get(f"{URL}/{rate['id']}")).status_code == 404
    assert (await client.get(URL)).json()["count"] == 0
    assert (await client.post(f"{URL}/{rate['id']}/activate")).json()["code"] == "rate_not_found"
    versions = (await client.get(f"{URL}/{rate['id']}/versions")).json()
    assert versions["versions"][0]["name"] == "My Flat Rate"
    async with tenant_session() as session:
        assert await tariff_in_force(session, at=now()) is None
        old = await tariff_by_id(session, UUID(rate["id"]))
    assert old is not None
    assert old.name == "My Flat Rate"


async def test_costs_keep_the_name_and_the_amounts_of_a_removed_rate(
    client: httpx.AsyncClient, new_site: Any, rate: Any, used: Any, published: Published,
    deliver: Deliver,
) -> None:  # fmt: skip
    day = datetime(2026, 11, 10, tzinfo=UTC)
    site_id, miner = await new_site(), new_id()
    rate_id = await rate(site_id, name="Old rate", daily_service_charge_usd="0.50")
    await used(site_id, day, [1.5] * 48, miner_id=miner)
    days = {"site_id": str(site_id), "start_date": "2026-11-10", "end_date": "2026-11-10"}

    async def costs() -> list[Any]:
        found: list[Any] = []
        for path, more in (("", {}), ("", {"miner_id": str(miner)}), ("/summary", {})):
            answer = await client.get(f"/api/electricity/costs{path}", params=days | more)
            assert answer.status_code == 200, answer.text
            found.append(answer.json())
        return found

    before = await costs()
    assert {one["rate_name"] for listed in before[:2] for one in listed["costs"]} == {"Old rate"}
    assert before[2]["total_cost_usd"] == "7.700000"
    await client.delete(f"{URL}/{rate_id}")
    told = (await published("energy.tariff.changed.v1"))[-1]
    await deliver("energy.tariff.changed.v1", told["data"], version=told["version"])
    await used(site_id, day + timedelta(days=1), [1.5], miner_id=miner)  # rates what is due
    assert await costs() == before


async def test_unknown_rates_are_404(client: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/versions"),
        ("POST", "/activate"),
        ("POST", "/deactivate"),
    ):
        answer = await client.request(method, f"{URL}/{new_id()}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "rate_not_found")
    answer = await client.put(f"{URL}/{new_id()}", json={"name": "x"})
    assert answer.status_code == 404


async def test_other_organisations_see_nothing(
    client: httpx.AsyncClient, client_as: ClientFor
) -> None:
    rate = await created(client)
    stranger = client_as(organisation_id=new_id())
    assert (await stranger.get(URL)).json()["count"] == 0
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/versions"),
        ("POST", "/activate"),
    ):
        answer = await stranger.request(method, f"{URL}/{rate['id']}{path}")
        assert answer.status_code == 404
    assert (await stranger.put(f"{URL}/{rate['id']}", json=FLAT)).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "", "tariffs:write"),
        ("POST", "", "tariffs:read"),
        ("PUT", "/{id}", "tariffs:read"),
        ("DELETE", "/{id}", "tariffs:read"),
        ("POST", "/{id}/activate", "tariffs:read"),
        ("POST", "/{id}/deactivate", "tariffs:read"),
    ],
)
async def test_scopes(client_as: ClientFor, method: str, path: str, scope: str) -> None:
    caller = client_as(scopes=frozenset({scope}), role="Host")
    answer = await caller.request(method, URL + path.format(id=new_id()), json=FLAT)
    assert answer.status_code == 403


async def test_every_change_is_published_in_order(
    client: httpx.AsyncClient, published: Published
) -> None:
    rate = await created(client, account_number="12-345", notes="ask Jo")
    await client.put(f"{URL}/{rate['id']}", json={"flat_rate_usd_per_kwh": "0.13"})
    await client.post(f"{URL}/{rate['id']}/deactivate")
    await client.post(f"{URL}/{rate['id']}/activate")
    await client.delete(f"{URL}/{rate['id']}")
    rows = await published("energy.tariff.changed.v1")
    data = [row["data"] for row in rows]
    assert {row["topic"] for row in rows} == {"energy.tariff.v1"}
    assert {row["key"] for row in rows} == {rate["id"]}
    assert [row["version"] for row in rows] == sorted({row["version"] for row in rows})
    assert [one["active"] for one in data] == [True, True, False, True, False]
    assert [one["removed"] for one in data] == [False, False, False, False, True]
    assert [one["rate_version"] for one in data] == [1, 2, 2, 2, 2]
    assert [one["mean_usd_per_kwh"] for one in data][:2] == ["0.12", "0.13"]
    assert data[0]["tariff"]["flat_rate_usd_per_kwh"] == "0.12"
    assert not {"account_number", "notes"} & set(data[0]["tariff"])


async def test_the_superseded_rate_is_published_too(
    client: httpx.AsyncClient, published: Published
) -> None:
    old, new = await created(client), await created(client)
    newest = {row["key"]: row["data"]["active"] for row in await published()}
    assert newest == {old["id"]: False, new["id"]: True}


async def test_a_weeks_mean_price_weighs_the_hours(
    client: httpx.AsyncClient, published: Published
) -> None:
    await client.post(URL, json=TOU)
    tiers = [{"up_to_kwh": 100, "rate": 0.1}, {"rate": 0.2}]
    await client.post(URL, json={"name": "T", "rate_type": "tiered", "tiered_rates": tiers})
    means = [row["data"]["mean_usd_per_kwh"] for row in await published()]
    assert means == ["0.138333333", None]  # (10 x 0.08 + 14 x 0.18) / 24; tiers depend on use


async def test_what_is_done_is_in_the_audit_trail(
    client: httpx.AsyncClient, tenant_session: TenantSessions
) -> None:
    from sqlalchemy import select

    from energy.db import AuditEvent

    rate = await created(client)
    await client.put(f"{URL}/{rate['id']}", json={"name": "B"})
    await client.post(f"{URL}/{rate['id']}/deactivate")
    await client.post(f"{URL}/{rate['id']}/activate")
    await client.delete(f"{URL}/{rate['id']}")
    async with tenant_session() as session:
        lines = list(await session.scalars(select(AuditEvent).order_by(AuditEvent.id)))
    assert [line.action for line in lines] == [
        "rate.create", "rate.change", "rate.deactivate", "rate.activate", "rate.remove",
    ]  # fmt: skip
    assert {line.object_id for line in lines} == {rate["id"]}


async def test_an_idempotency_key_makes_one_rate(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await client.post(URL, json=FLAT, headers=headers)
    second = await client.post(URL, json=FLAT, headers=headers)
    assert first.json() == second.json()
    assert (await client.get(URL)).json()["count"] == 1


async def test_initialize_makes_two_rates_once(client: httpx.AsyncClient) -> None:
    first = (await client.post("/api/electricity/initialize")).json()
    assert (first["ok"], first["count"], first["created"]) == (True, 2, 2)
    assert [rate["active"] for rate in first["rates"]] == [False, True]
    again = (await client.post("/api/electricity/initialize")).json()
    assert (again["count"], again["created"]) == (2, 0)
    assert again["rates"] == first["rates"]


async def test_initialize_leaves_an_active_rate_in_force(client: httpx.AsyncClient) -> None:
    own = await created(client)
    await client.post("/api/electricity/initialize")
    listed = (await client.get(URL, params={"active_only": True})).json()
    assert [rate["id"] for rate in listed["rates"]] == [own["id"]]


async def test_five_initializations_at_once_make_two_rates(client: httpx.AsyncClient) -> None:
    await asyncio.gather(*(client.post("/api/electricity/initialize") for _ in range(5)))
    assert (await client.get(URL)).json()["count"] == 2


async def site_known(deliver: Deliver, **fields: Any) -> str:
    site_id = str(new_id())
    site = {"site_id": site_id, "name": "Hall", "location": "Aberdeen", "timezone": "Europe/London"}
    await deliver("hosting.site.changed.v1", site | fields)
    return site_id


async def test_a_rate_takes_the_zone_of_its_site(
    client: httpx.AsyncClient, deliver: Deliver
) -> None:
    site_id = await site_known(deliver)
    at_site = await created(client, site_id=site_id)
    assert (at_site["timezone"], at_site["timezone_from"]) == ("Europe/London", "site")
    at_location = await created(client, location="aberdeen")
    assert at_location["timezone"] == "Europe/London"
    own = await created(client, site_id=site_id, timezone="America/New_York")
    assert (own["timezone"], own["timezone_from"]) == ("America/New_York", "rate")
    nowhere = await created(client)
    assert (nowhere["timezone"], nowhere["timezone_from"]) == ("UTC", "default")


async def test_an_unknown_site_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, json=FLAT | {"site_id": str(new_id())})
    assert (answer.status_code, answer.json()["code"]) == (404, "site_unknown")


async def test_the_nearest_rate_is_in_force(
    client: httpx.AsyncClient, deliver: Deliver, tenant_session: TenantSessions
) -> None:
    site_id = await site_known(deliver)
    default = await created(client, name="default")

    async def held(**where: Any) -> str | None:
        async with tenant_session() as session:
            found = await tariff_in_force(session, at=now(), **where)
        return found.name if found is not None else None

    assert await held(site_id=site_id) == "default"
    await created(client, name="by location", location="Aberdeen")
    assert await held(site_id=site_id) == "by location"
    await created(client, name="by site", site_id=site_id)
    assert await held(site_id=site_id) == "by site"
    assert await held(location="ABERDEEN") == "by location"
    assert await held(location="Hall") == "by site"
    assert await held(location="Mars") == "default"
    await client.post(f"{URL}/{default['id']}/deactivate")
    assert await held(location="Mars") is None


async def test_the_worker_role_must_name_whose_rates(
    client: httpx.AsyncClient, organisation: Any, runtime: Any
) -> None:
    await created(client)
    async with runtime.worker_session() as session:
        with pytest.raises(LookupError):
            await tariff_in_force(session, at=now())
        mine = await tariff_in_force(session, at=now(), organisation_id=organisation)
        other = await tariff_in_force(session, at=now(), organisation_id=new_id())
    assert mine is not None
    assert other is None


async def test_an_activation_may_reach_back(
    client: httpx.AsyncClient, tenant_session: TenantSessions
) -> None:
    old = await created(client, name="old", valid_from="2026-01-01T00:00:00Z")
    new = await created(client, name="new", active=False)
    since = datetime(2026, 6, 1, tzinfo=UTC)
    answer = await client.post(
        f"{URL}/{new['id']}/activate", json={"valid_from": since.isoformat()}
    )
    assert answer.status_code == 200
    async with tenant_session() as session:
        stretches = await tariffs_between(
            session, start=since - timedelta(days=1), end=since + timedelta(days=1)
        )
    assert [(start, held.name) for start, _, held in stretches] == [
        (since - timedelta(days=1), "old"),
        (since, "new"),
    ]
    assert old["active"] is True


async def test_many_activations_are_one_question(
    client: httpx.AsyncClient, tenant_session: TenantSessions
) -> None:
    """Two rates that take turns: each instant has the one that was active then."""
    first, second = await created(client, name="a"), await created(client, name="b")
    seen: list[tuple[datetime, str]] = []
    for turn in range(6):
        rate = (first, second)[turn % 2]
        await client.post(f"{URL}/{rate['id']}/activate")
        seen.append((now(), rate["name"]))
    async with tenant_session() as session:
        for at, name in seen:
            found = await tariff_in_force(session, at=at)
            assert found is not None
            assert found.name == name
        before = await tariff_in_force(session, at=now() - timedelta(days=700))
        stretches = await tariffs_between(
            session, start=seen[0][0], end=now() + timedelta(seconds=1)
        )
    assert before is not None
    assert before.name == "a"
    assert [held.name for _, _, held in stretches] == ["a", "b"] * 3
