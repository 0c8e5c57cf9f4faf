"""GET /api/intelligence/insights."""

from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from httpx import AsyncClient

from common.clock import now
from common.ids import new_id
from common.testing import ClientFor
from intelligence.insights.findings import half_hours_of

PATH = "/api/intelligence/insights"
ZONE = "America/Chicago"
Deliver = Callable[..., Awaitable[UUID]]
NewSite = Callable[..., Awaitable[UUID]]
Told = Callable[..., Awaitable[None]]
Midnight = Callable[[str], datetime]


def drifting(since: datetime) -> Callable[[datetime], tuple[float, float]]:
    """20 J/TH with a daily wobble, 8 % more in the last week."""

    def load(at: datetime) -> tuple[float, float]:
        day = (since - at).days
        j_per_th = (20 + 0.1 * (day % 3 - 1)) * (1.08 if day < 7 else 1)
        return 50_000 * j_per_th / 1000, 50_000.0

    return load


def steady(_: datetime) -> tuple[float, float]:
    return 1_000.0, 50_000.0


async def rate(deliver: Deliver, site: UUID, j_per_th: float) -> None:
    data = {"miner_id": new_id(), "site_id": site, "nameplate_hashrate_ths": 200.0,
            "nameplate_power_w": 200 * j_per_th}  # fmt: skip
    await deliver("hosting.miner.registered.v1", data)


async def test_a_drift_is_a_sentence_with_numbers_period_severity_and_link(
    reader: AsyncClient, new_site: NewSite, told: Told, local_midnight: Midnight, deliver: Deliver
) -> None:
    site, today = await new_site(name="Odessa"), local_midnight(ZONE)
    await told(site, drifting(today), days=36, until=today)
    await rate(deliver, site, 21.5)
    body = (await reader.get(PATH)).json()
    [found] = [one for one in body["items"] if one["kind"] == "efficiency-drift"]
    last = now().astimezone(ZoneInfo(ZONE)).date() - timedelta(days=1)
    first = last - timedelta(days=6)
    assert (found["site_id"], found["site_name"]) == (str(site), "Odessa")
    assert found["severity"] == "warning"
    assert found["period"] == {"first_day": str(first), "last_day": str(last)}
    assert found["value"] == pytest.approx(21.6, abs=0.15)
    assert found["usual"] == pytest.approx(20.0, abs=0.15)
    assert found["change_percent"] == pytest.approx(8, abs=1)
    for part in ("Odessa", "rose by", "J/TH", str(first), str(last), f"{found['value']:.2f}"):
        assert part in found["sentence"]
    assert found["link"].startswith(f"/api/telemetry/half-hours?site_id={site}&from={first}T")
    assert "efficiency-below-nameplate" not in {one["kind"] for one in body["items"]}
    assert (body["looked_at"], body["too_young"]) == (1, 0)


async def test_the_answer_names_what_waits_for_which_source(reader: AsyncClient) -> None:
    body = (await reader.get(PATH)).json()
    assert body["items"] == []
    waiting = {one["kind"]: one["waits_for"] for one in body["waiting"]}
    assert waiting == {
        "cost-anomaly": ["energy.cost"],
        "missed-curtailment-value": ["energy.signal", "hosting.curtailment.changed.v1"],
        "churn-risk": ["crm.contract", "energy.cost"],
    }
    assert all(one["reason"] for one in body["waiting"])
    assert "median" in body["rule"]


async def test_a_steady_site_is_no_news(
    reader: AsyncClient, new_site: NewSite, told: Told, local_midnight: Midnight, deliver: Deliver
) -> None:
    site = await new_site()
    await told(site, steady, days=36, until=local_midnight(ZONE))
    await rate(deliver, site, 20.0)
    assert (await reader.get(PATH)).json()["items"] == []


async def test_machines_worse_than_their_rating_are_found(
    reader: AsyncClient, new_site: NewSite, told: Told, local_midnight: Midnight, deliver: Deliver
) -> None:
    site = await new_site()
    await told(site, steady, days=15, until=local_midnight(ZONE))
    await rate(deliver, site, 17.5)
    [found] = (await reader.get(PATH)).json()["items"]
    assert (found["kind"], found["severity"]) == ("efficiency-below-nameplate", "critical")
    assert (found["value"], found["usual"], found["unit"]) == (20.0, 17.5, "J/TH")
    assert found["change_percent"] == pytest.approx(14.29)


async def test_a_fallen_load_is_found_and_the_gravest_come_first(
    reader: AsyncClient, new_site: NewSite, told: Told, local_midnight: Midnight
) -> None:
    today = local_midnight(ZONE)

    def halved(at: datetime) -> tuple[float, float]:
        part = 0.5 if (today - at).days < 7 else 1.0
        return 1_000 * part, 50_000 * part

    await told(await new_site(name="A"), drifting(today), days=36, until=today)
    await told(await new_site(name="B"), halved, days=36, until=today)
    items = (await reader.get(PATH)).json()["items"]
    assert (items[0]["site_name"], items[0]["kind"]) == ("B", "load-change")
    assert "fell by 50.0%" in items[0]["sentence"]
    assert items[0]["severity"] == "critical"


async def test_young_sites_are_counted_and_not_judged(
    reader: AsyncClient, new_site: NewSite, told: Told, local_midnight: Midnight
) -> None:
    today = local_midnight(ZONE)
    await told(await new_site(), drifting(today), days=9, until=today)
    body = (await reader.get(PATH)).json()
    assert (body["items"], body["looked_at"], body["too_young"]) == ([], 0, 1)


async def test_machines_without_watts_or_hashes_do_not_bend_the_efficiency(
    reader: AsyncClient, new_site: NewSite, told: Told, local_midnight: Midnight
) -> None:
    site, today = await new_site(), local_midnight(ZONE)
    await told(site, steady, days=36, until=today)

    def hashes_only(_: datetime) -> tuple[None, float]:
        return None, 50_000.0

    await told(site, hashes_only, days=7, until=today)
    items = (await reader.get(PATH)).json()["items"]
    assert "efficiency-drift" not in {one["kind"] for one in items}


async def test_a_client_is_told_of_its_own_machines_and_a_stranger_of_nothing(
    client_as: ClientFor, new_site: NewSite, told: Told, local_midnight: Midnight
) -> None:
    site, today, customer = await new_site(), local_midnight(ZONE), new_id()
    await told(site, drifting(today), days=36, until=today)
    await told(site, steady, days=36, until=today, client_id=customer)
    scopes = {"insights:read"}
    own = (await client_as(client_id=customer, scopes=scopes).get(PATH)).json()
    other = (await client_as(client_id=new_id(), scopes=scopes).get(PATH)).json()
    stranger = (await client_as(organisation_id=new_id(), scopes=scopes).get(PATH)).json()
    assert (own["items"], own["looked_at"]) == ([], 1)
    assert (other["looked_at"], stranger["looked_at"]) == (0, 0)


async def test_a_removed_site_is_forgotten(
    reader: AsyncClient, new_site: NewSite, told: Told, local_midnight: Midnight
) -> None:
    site, today = await new_site(), local_midnight(ZONE)
    await told(site, drifting(today), days=36, until=today)
    await new_site(site_id=site, removed=True, version=2)
    assert (await reader.get(PATH)).json()["items"] == []


async def test_without_the_permission_it_is_403(client_as: ClientFor) -> None:
    assert (await client_as(scopes={"forecasts:read"}).get(PATH)).status_code == 403


@pytest.mark.parametrize(
    ("day", "zone", "half_hours"),
    [
        (date(2026, 3, 29), "Europe/Berlin", 46),
        (date(2026, 10, 25), "Europe/Berlin", 50),
        (date(2026, 11, 1), "America/Chicago", 50),
        (date(2026, 11, 21), "America/Chicago", 48),
    ],
)
def test_a_local_day_has_23_24_or_25_hours(day: date, zone: str, half_hours: int) -> None:
    assert half_hours_of(day, ZoneInfo(zone)) == half_hours
