"""What a site's electricity emits: by half-hour, day, client and machine; never at a guess."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from common.testing import ClientFor
from energy.carbon.models import CarbonIntensity

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
BASE = "/api/electricity/carbon"


async def told(
    runtime: Runtime, forecast: int, actual: int | None, count: int = 48, start: datetime = MONDAY
) -> None:
    async with runtime.worker_session() as session:
        for place in range(count):
            session.add(
                CarbonIntensity(
                    organisation_id=PLATFORM_ORGANISATION,
                    region="GB",
                    starts_at=start + timedelta(minutes=30 * place),
                    forecast_g_per_kwh=Decimal(forecast),
                    actual_g_per_kwh=None if actual is None else Decimal(actual),
                    source="neso",
                    simulated=False,
                    fetched_at=now(),
                )
            )


async def footprint(client: AsyncClient, site_id: UUID, **query: Any) -> Any:
    asked: dict[str, Any] = {
        "site_id": str(site_id),
        "start_date": "2026-11-16",
        "end_date": "2026-11-16",
    } | query
    answer = await client.get(f"{BASE}/footprint", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def in_britain(client: AsyncClient, site_id: UUID) -> None:
    answer = await client.put(f"{BASE}/sites/{site_id}", json={"region": "GB"})
    assert answer.status_code == 200, answer.text


async def test_energy_times_intensity_is_the_footprint(
    client: AsyncClient, runtime: Runtime, new_site: Any, used: Any
) -> None:
    site_id = await new_site()
    await in_britain(client, site_id)
    await used(site_id, MONDAY, [1.5] * 48)
    await told(runtime, 210, 200)
    said = await footprint(client, site_id)
    assert said["total"]["kwh"] == "72.000000"
    assert Decimal(said["total"]["kg_co2"]) == Decimal("14.4")
    assert said["total"]["basis"] == "actual"
    assert [row["day"] for row in said["items"]] == ["2026-11-16"]
    halves = await footprint(client, site_id, interval="half_hour")
    assert len(halves["items"]) == 48
    assert Decimal(halves["items"][0]["kg_co2"]) == Decimal("0.3")
    assert sum(Decimal(row["kg_co2"]) for row in halves["items"]) == Decimal("14.4")


async def test_a_forecast_counts_where_nothing_better_is_known_and_says_so(
    client: AsyncClient, runtime: Runtime, new_site: Any, used: Any
) -> None:
    site_id = await new_site()
    await in_britain(client, site_id)
    await used(site_id, MONDAY, [1.0] * 48)
    await told(runtime, 210, None, count=24)
    said = (await footprint(client, site_id))["total"]
    assert said["basis"] == "forecast"
    assert Decimal(said["kg_co2"]) == Decimal(24) * Decimal("0.21")
    assert Decimal(said["kwh_without_intensity"]) == 24
    await told(runtime, 210, 100, count=24, start=MONDAY + timedelta(hours=12))
    said = (await footprint(client, site_id))["total"]
    assert (said["basis"], Decimal(said["kwh_without_intensity"])) == ("mixed", 0)


async def test_without_any_intensity_the_footprint_is_unknown_not_nil(
    client: AsyncClient, new_site: Any, used: Any
) -> None:
    site_id = await new_site()
    await in_britain(client, site_id)
    await used(site_id, MONDAY, [1.0] * 47 + [None])
    said = await footprint(client, site_id)
    assert said["total"]["kg_co2"] is None
    assert said["total"]["basis"] == "unknown"
    assert said["missing_half_hours"] == 1


async def test_a_stated_figure_serves_where_no_provider_does(
    client: AsyncClient, new_site: Any, used: Any
) -> None:
    site_id = await new_site(timezone="America/Toronto")
    stated = {"stated_g_per_kwh": "1.3", "stated_source": "Utility's disclosure, 2025"}
    put = await client.put(f"{BASE}/sites/{site_id}", json=stated)
    assert put.status_code == 200
    # The day of 25 hours: 50 half-hours.
    start = datetime(2026, 11, 1, 4, tzinfo=UTC)
    await used(site_id, start, [2.0] * 50)
    said = await footprint(client, site_id, start_date="2026-11-01", end_date="2026-11-01")
    assert said["total"]["basis"] == "stated"
    assert Decimal(said["total"]["kg_co2"]) == Decimal("0.13")
    assert said["stated_source"] == "Utility's disclosure, 2025"
    assert said["missing_half_hours"] == 0


async def test_a_client_sees_its_own_machines_only(
    client: AsyncClient, client_as: ClientFor, runtime: Runtime, new_site: Any, new_miner: Any,
    used: Any,
) -> None:  # fmt: skip
    site_id, customer = await new_site(), new_id()
    mine = await new_miner(site_id, client_id=customer)
    others = await new_miner(site_id)
    await in_britain(client, site_id)
    await used(site_id, MONDAY, [1.0] * 48, client_id=customer, miner_id=mine)
    await used(site_id, MONDAY, [3.0] * 48, miner_id=others)
    await told(runtime, 100, 100)
    theirs = client_as(role="Client", client_id=customer)
    assert Decimal((await footprint(theirs, site_id))["total"]["kg_co2"]) == Decimal("4.8")
    whole = await footprint(client, site_id)
    assert Decimal(whole["total"]["kg_co2"]) == Decimal("19.2")
    one = await footprint(client, site_id, miner_id=others)
    assert Decimal(one["total"]["kg_co2"]) == Decimal("14.4")
    query = {"site_id": str(site_id), "start_date": "2026-11-16", "end_date": "2026-11-16"}
    foreign = await theirs.get(f"{BASE}/footprint", params=query | {"miner_id": str(others)})
    assert foreign.status_code == 404
    elsewhere = client_as(organisation_id=new_id())
    assert (await elsewhere.get(f"{BASE}/footprint", params=query)).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"region": "GB-18"},
        {"region": "FR"},
        {"region": "GB", "stated_g_per_kwh": 3, "stated_source": "x"},
        {"stated_g_per_kwh": 3},
        {"stated_g_per_kwh": -1, "stated_source": "x"},
        {"stated_g_per_kwh": True, "stated_source": "x"},
        {"region": "GB", "colour": "green"},
    ],
)
async def test_a_setting_that_says_nothing_definite_is_refused(
    client: AsyncClient, new_site: Any, body: dict[str, Any]
) -> None:
    site_id = await new_site()
    assert (await client.put(f"{BASE}/sites/{site_id}", json=body)).status_code == 422
    assert (await client.get(f"{BASE}/sites/{site_id}")).json()["code"] == "no_carbon_setting"


@pytest.mark.parametrize(
    "query",
    [
        {"start_date": "2026-11-17"},
        {"start_date": "2025-02-30"},
        {"start_date": "20261116"},
        {"start_date": "2020-01-01"},
        {"start_date": "2026-10-01", "interval": "half_hour"},
        {"interval": "minute"},
    ],
)
async def test_bad_spans(client: AsyncClient, new_site: Any, query: dict[str, str]) -> None:
    site_id = await new_site()
    asked = {"site_id": str(site_id), "start_date": "2026-11-16", "end_date": "2026-11-16"} | query
    answer = await client.get(f"{BASE}/footprint", params=asked)
    assert answer.status_code == 422, answer.text


async def test_half_hours_are_shown_with_both_figures(
    client: AsyncClient, runtime: Runtime
) -> None:
    await told(runtime, 210, 200, count=4)
    query = {"region": "GB", "start": "2026-11-16T00:00:00Z", "end": "2026-11-16T03:00:00Z"}
    said = (await client.get(f"{BASE}/intensity", params=query)).json()
    first = said["items"][0]
    assert (first["forecast_g_per_kwh"], first["actual_g_per_kwh"]) == ("210.000", "200.000")
    assert (len(said["items"]), said["missing"]) == (4, 2)


async def test_each_machines_day_is_listed(
    client: AsyncClient, client_as: ClientFor, runtime: Runtime, new_site: Any, used: Any
) -> None:
    site_id, customer, mine, others = await new_site(), new_id(), new_id(), new_id()
    day = {"site_id": str(site_id), "day": "2026-11-16"}
    assert (await client.get(f"{BASE}/machines", params=day)).status_code == 404
    await in_britain(client, site_id)
    await used(site_id, MONDAY, [1.0] * 24 + [2.0] * 24, client_id=customer, miner_id=mine)
    await used(site_id, MONDAY, [None] * 24 + [3.0] * 24, miner_id=others)
    await told(runtime, 100, 100, count=24)
    said = (await client.get(f"{BASE}/machines", params=day)).json()
    found = {row["miner_id"]: row for row in said["items"]}
    assert said["total"] == 2
    assert Decimal(found[str(mine)]["kwh"]) == 72
    assert Decimal(found[str(mine)]["kg_co2"]) == Decimal("2.4")
    assert Decimal(found[str(mine)]["kwh_without_intensity"]) == 48
    assert found[str(others)]["kg_co2"] is None
    theirs = client_as(role="Client", client_id=customer)
    own = (await theirs.get(f"{BASE}/machines", params=day)).json()
    assert [row["miner_id"] for row in own["items"]] == [str(mine)]
    second = await client.get(f"{BASE}/machines", params=day | {"page": 2, "page_size": 1})
    assert len(second.json()["items"]) == 1
