"""The grid's providers: one world per seed, the shapes of the real ones, and their faults."""

import csv
import io
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime
from typing import Any

import aiohttp
import orjson
import pytest

from simulation.grid import Grid, GridFault, serve
from simulation.grid.currencies import per_eur

NOW = datetime(2026, 11, 20, 16, 10, tzinfo=UTC)  # a Friday
SPAN = "/2026-11-20T15:00Z/2026-11-20T18:00Z"
RATES = "/service/data/EXR/D..EUR.SP00.A?format=csvdata"


@pytest.fixture
async def grid() -> AsyncGenerator[Grid]:
    async with serve(seed=7, now=lambda: NOW, slow_s=0.05) as served:
        yield served


async def _get(url: str) -> tuple[int, bytes, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_the_country_has_actual_figures_up_to_now(grid: Grid) -> None:
    status, body, headers = await _get(grid.url("carbon") + "/intensity" + SPAN)
    rows = orjson.loads(body)["data"]
    assert status == 200
    assert headers["X-Simulated"] == "true"
    assert [row["from"] for row in rows][:2] == ["2026-11-20T15:00Z", "2026-11-20T15:30Z"]
    assert [row["intensity"]["actual"] is None for row in rows] == [False] * 2 + [True] * 4
    assert orjson.loads((await _get(grid.url("carbon") + "/intensity" + SPAN))[1])["data"] == rows


async def test_a_region_has_forecasts_only(grid: Grid) -> None:
    url = grid.url("carbon") + "/regional/intensity" + SPAN + "/regionid/13"
    data = orjson.loads((await _get(url))[1])["data"]
    assert data["regionid"] == 13
    assert all("actual" not in row["intensity"] for row in data["data"])
    assert (await _get(url.replace("/13", "/18")))[0] == 400


async def test_more_than_14_days_are_refused(grid: Grid) -> None:
    path = "/intensity/2026-11-01T00:00Z/2026-11-20T00:00Z"
    assert (await _get(grid.url("carbon") + path))[0] == 400


async def test_rates_are_of_working_days_and_of_the_past(grid: Grid) -> None:
    url = grid.url("ecb") + RATES + "&startPeriod=2026-11-13&endPeriod=2026-12-01"
    status, body, _ = await _get(url)
    rows = [row for row in csv.DictReader(io.StringIO(body.decode())) if row["CURRENCY"] == "USD"]
    assert status == 200
    assert [row["TIME_PERIOD"][-2:] for row in rows] == ["13", "16", "17", "18", "19", "20"]
    assert float(rows[0]["OBS_VALUE"]) == per_eur(7, "USD", date(2026, 11, 13))
    assert b"KZT" not in body


@pytest.mark.parametrize("provider", ["carbon", "ecb"])
@pytest.mark.parametrize("fault", list(GridFault))
async def test_every_fault_is_one(grid: Grid, provider: str, fault: GridFault) -> None:
    path = "/intensity" + SPAN if provider == "carbon" else RATES + "&startPeriod=2026-11-18"
    url = grid.url(provider) + path
    sound = await _get(url)
    grid.fault(provider, fault)
    if fault is GridFault.REFUSED:
        with pytest.raises(aiohttp.ClientError):
            await _get(url)
    elif fault is not GridFault.SLOW:
        assert (await _get(url))[:2] != sound[:2]
    grid.fault(provider, None)
    assert (await _get(url))[:2] == sound[:2]
    assert grid.calls[provider] >= 2


async def test_the_control_port_sets_faults_and_names_what_it_knows(grid: Grid) -> None:
    url = f"http://127.0.0.1:{grid.port}/control/fault"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json={"provider": "ecb", "fault": "gap"}) as answer:
            assert answer.status == 200
        assert grid.faults == {"ecb": GridFault.GAP}
        async with session.post(url, json={"provider": "ecb", "fault": "no such"}) as answer:
            assert answer.status == 400
            assert "truncated" in (await answer.json())["error"]
