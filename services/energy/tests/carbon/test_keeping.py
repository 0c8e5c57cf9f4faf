"""Intensities are fetched by region, both figures kept, and no bad answer leaves any."""

import itertools
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from common.clock import now
from common.party import NoAnswer, Party
from common.runtime import Runtime
from energy.carbon import keeping
from energy.carbon.models import CarbonIntensity
from simulation.grid import Grid, GridFault
from simulation.grid.carbon import actual_g, forecast_g

HARMLESS = {GridFault.DUPLICATES, GridFault.DISORDER, GridFault.GAP}


async def rows(runtime: Runtime, region: str) -> list[CarbonIntensity]:
    query = select(CarbonIntensity).where(CarbonIntensity.region == region)
    async with runtime.worker_session() as session:
        return list(await session.scalars(query.order_by(CarbonIntensity.starts_at)))


async def test_the_country_is_told_with_actual_figures(runtime: Runtime, neso: Party) -> None:
    told = await keeping.refresh(runtime, neso, "GB")
    kept = await rows(runtime, "GB")
    assert told >= len(kept) >= (35 + 2) * 48 - 2
    over = [row for row in kept if row.starts_at < now() - timedelta(minutes=31)]
    assert all(row.actual_g_per_kwh == actual_g(7, row.starts_at) for row in over)
    assert all(row.actual_g_per_kwh is None for row in kept if row.starts_at > now())
    assert all(row.simulated and row.source == "neso" for row in kept)


async def test_a_region_is_told_by_forecasts_and_not_asked_twice(
    runtime: Runtime, neso: Party, grid: Grid
) -> None:
    await keeping.refresh(runtime, neso, "GB-13")
    kept = await rows(runtime, "GB-13")
    assert kept[0].forecast_g_per_kwh == forecast_g(7, 13, kept[0].starts_at)
    assert {row.actual_g_per_kwh for row in kept} == {None}
    calls = grid.calls["carbon"]
    told = await keeping.refresh(runtime, neso, "GB-13")
    assert grid.calls["carbon"] == calls + 1
    assert told <= 2 * 48 + 1
    assert len(await rows(runtime, "GB-13")) - len(kept) <= 1


@pytest.mark.parametrize("region", ["GB", "GB-3"])
@pytest.mark.parametrize("fault", [one for one in GridFault if one not in HARMLESS])
async def test_no_bad_answer_leaves_a_figure(
    runtime: Runtime, neso: Party, grid: Grid, fault: GridFault, region: str
) -> None:
    grid.fault("carbon", fault)
    with pytest.raises(NoAnswer):
        await keeping.refresh(runtime, neso, region)
    assert await rows(runtime, region) == []


@pytest.mark.parametrize("fault", HARMLESS)
async def test_an_odd_order_or_a_hole_is_healed_by_the_next_answer(
    runtime: Runtime, neso: Party, grid: Grid, fault: GridFault
) -> None:
    grid.fault("carbon", fault)
    await keeping.refresh(runtime, neso, "GB")
    grid.fault("carbon", None)
    await keeping.refresh(runtime, neso, "GB")
    kept = [row.starts_at for row in await rows(runtime, "GB")]
    steps = {later - earlier for earlier, later in itertools.pairwise(kept)}
    assert steps == {timedelta(minutes=30)}


async def test_a_party_that_fails_is_left_alone(runtime: Runtime, neso: Party, grid: Grid) -> None:
    grid.fault("carbon", GridFault.STATUS_429)
    for _ in range(3):
        with pytest.raises(NoAnswer):
            await keeping.refresh(runtime, neso, "GB")
    assert grid.calls["carbon"] == 1


async def test_a_true_figure_gives_way_to_no_simulated_one(runtime: Runtime, neso: Party) -> None:
    await keeping.refresh(runtime, neso, "GB")
    async with runtime.worker_session() as session:
        true = "UPDATE energy.carbon_intensity SET simulated = false, forecast_g_per_kwh = 1"
        await session.execute(text(true))
    await keeping.refresh(runtime, neso, "GB")
    by_simulated = {row.simulated: row.forecast_g_per_kwh for row in await rows(runtime, "GB")}
    assert by_simulated[False] == Decimal(1)
