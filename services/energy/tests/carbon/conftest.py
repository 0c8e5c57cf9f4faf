from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import text

from common.clock import now
from common.party import Party, Patience
from common.runtime import Runtime
from simulation.grid import Grid, serve


@pytest.fixture
async def grid() -> AsyncGenerator[Grid]:
    async with serve(seed=7, slow_s=2) as served:
        yield served


@pytest.fixture
def neso(grid: Grid) -> Party:
    return Party("neso", grid.url("carbon"), now, patience=Patience(timeout_s=1))


@pytest.fixture(autouse=True)
async def nothing_kept(runtime: Runtime) -> None:
    async with runtime.worker_session() as session:
        await session.execute(text("DELETE FROM energy.carbon_intensity"))
        await session.execute(text("DELETE FROM energy.carbon_setting"))
