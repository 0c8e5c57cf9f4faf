"""The load of a site: stored, refused with a reason, and nobody else's."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from httpx import AsyncClient, Response

from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from common.testing import ClientFor
from intelligence.forecasts import schedule
from intelligence.insights import ledger

PATH = "/api/intelligence/forecasts/site-load"
ZONE = "Europe/Berlin"
HALF_HOUR = timedelta(minutes=30)
DICE = np.random.default_rng(11)


@pytest.fixture
async def site(deliver: Callable[..., Awaitable[UUID]]) -> UUID:
    made = new_id()
    await deliver("hosting.site.changed.v1", {"site_id": made, "name": "Nord", "timezone": ZONE})
    return made


def evening_off(at: datetime) -> float:
    hour = at.astimezone(ZoneInfo(ZONE)).hour
    return (4_000 if 17 <= hour < 20 else 9_000) + float(DICE.normal(0, 50))


async def tell(
    runtime: Runtime,
    organisation: UUID,
    site: UUID,
    days: float,
    *,
    load: Callable[[datetime], float] = evening_off,
    unknown: int = 0,
    ended_ago: timedelta = timedelta(0),
) -> datetime:
    settled = now() - timedelta(minutes=5) - ended_ago
    end = settled.replace(minute=settled.minute // 30 * 30, second=0, microsecond=0)
    machines = [new_id() for _ in range(10)]
    parts = [
        ledger.Part(
            organisation, site, at, 1, False, machines, [None] * 10,
            [None if place < unknown else load(at) / 10 for place in range(10)], [500.0] * 10,
        )
        for at in (end - (place + 1) * HALF_HOUR for place in range(round(days * 48)))
    ]  # fmt: skip
    async with runtime.tenant_session(organisation) as session:
        await ledger.take(session, parts)
    return end


async def ask(reader: AsyncClient, site: UUID, **query: Any) -> Response:
    return await reader.get(PATH, params={"site_id": str(site), **query})


async def test_a_load_is_forecast_by_the_half_hour_beside_no_change(
    reader: AsyncClient,
    runtime: Runtime,
    organisation: UUID,
    site: UUID,
    published: Callable[..., Awaitable[list[dict[str, Any]]]],
) -> None:
    end = await tell(runtime, organisation, site, 21)
    assert (await ask(reader, site)).json()["code"] == "not_fitted_yet"
    assert await schedule.fit_loads(runtime) >= 1
    assert await schedule.fit_loads(runtime) == 0
    body = (await ask(reader, site, hours=24)).json()
    assert (body["site_id"], body["unit"], body["step"]) == (str(site), "kW", "half-hour")
    assert body["origin"]["at"] == f"{end - HALF_HOUR:%Y-%m-%dT%H:%M:%SZ}"
    assert body["predictions"][0]["at"] == f"{end:%Y-%m-%dT%H:%M:%SZ}"
    assert len(body["predictions"]) == 48
    for one in body["predictions"]:
        hour = datetime.fromisoformat(one["at"]).astimezone(ZoneInfo(ZONE)).hour
        wanted = 2 * (4_000 if 17 <= hour < 20 else 9_000)
        assert one["predicted"] == pytest.approx(wanted, rel=0.05)
        assert one["lower_95"] <= one["lower_80"] <= one["upper_80"] <= one["upper_95"]
    [row] = body["accuracy"]
    assert row["model"]["mae"] < row["baseline"]["mae"] / 3
    assert body["coverage"]["coverage_95"] == pytest.approx(0.95, abs=0.06)
    [event] = await published("intelligence.forecast.fitted.v1")
    assert event["data"]["site_id"] == str(site)


@pytest.mark.parametrize("days", [0, 13.9])
async def test_fewer_than_14_days_are_422_with_the_reason(
    reader: AsyncClient, runtime: Runtime, organisation: UUID, site: UUID, days: float
) -> None:
    await tell(runtime, organisation, site, days)
    await schedule.fit_loads(runtime)
    body = (await ask(reader, site)).json()
    assert (body["status"], body["code"]) == (422, "too_few_points")
    assert (body["days"], body["least_days"]) == (int(days), 14)


async def test_machines_that_report_no_energy_are_422_with_the_reason(
    reader: AsyncClient, runtime: Runtime, organisation: UUID, site: UUID
) -> None:
    await tell(runtime, organisation, site, 15, unknown=3)
    await schedule.fit_loads(runtime)
    answer = await ask(reader, site)
    assert answer.status_code == 422
    assert "0%" in answer.json()["detail"]


async def test_a_load_that_never_changes_is_flagged(
    reader: AsyncClient, runtime: Runtime, organisation: UUID, site: UUID
) -> None:
    await tell(runtime, organisation, site, 15, load=lambda _: 9_000.0)
    await schedule.fit_loads(runtime)
    body = (await ask(reader, site)).json()
    assert body["zero_width"] is True
    assert body["warnings"]


async def test_news_of_an_hour_is_fitted_again_and_of_less_is_not(
    reader: AsyncClient, runtime: Runtime, organisation: UUID, site: UUID
) -> None:
    await tell(runtime, organisation, site, 15, ended_ago=timedelta(hours=2))
    await schedule.fit_loads(runtime)
    first = (await ask(reader, site)).json()["origin"]["at"]
    await tell(runtime, organisation, site, 1 / 48, ended_ago=timedelta(hours=1.5))
    await schedule.fit_loads(runtime)
    assert (await ask(reader, site)).json()["origin"]["at"] == first
    await tell(runtime, organisation, site, 1 / 48, ended_ago=timedelta(hours=1))
    await schedule.fit_loads(runtime)
    assert (await ask(reader, site)).json()["origin"]["at"] > first


@pytest.mark.parametrize("hours", [0, 145, -1])
async def test_hours_out_of_range_are_refused(reader: AsyncClient, site: UUID, hours: int) -> None:
    answer = await ask(reader, site, hours=hours)
    assert (answer.status_code, answer.json()["field"]) == (422, "hours")


async def test_a_foreign_or_unknown_site_is_404_and_so_is_a_clients(
    reader: AsyncClient,
    client_as: ClientFor,
    runtime: Runtime,
    organisation: UUID,
    site: UUID,
) -> None:
    await tell(runtime, organisation, site, 15)
    await schedule.fit_loads(runtime)
    scopes = {"forecasts:read"}
    stranger = client_as(organisation_id=new_id(), scopes=scopes)
    customer = client_as(client_id=new_id(), scopes=scopes)
    answers = [await ask(who, site) for who in (stranger, customer)]
    answers.append(await ask(reader, new_id()))
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert (await ask(reader, site)).status_code == 200


async def test_a_removed_site_is_404(
    reader: AsyncClient, deliver: Callable[..., Awaitable[UUID]], site: UUID
) -> None:
    gone = {"site_id": site, "name": "Nord", "timezone": ZONE, "removed": True}
    await deliver("hosting.site.changed.v1", gone, version=2)
    assert (await ask(reader, site)).status_code == 404
