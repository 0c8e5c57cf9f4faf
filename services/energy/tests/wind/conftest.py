from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from common.auth import PLATFORM_ORGANISATION
from common.ids import new_id
from common.runtime import Runtime
from energy.wind import elexon as client_of_elexon
from energy.wind.elexon import Elexon as Client
from energy.wind.elexon import open_elexon
from energy.wind.orders import Kind, Order
from energy.wind.pace import Gate
from energy.wind.processing import carry_out
from simulation.elexon import Elexon, serve
from simulation.elexon import Kind as KindOfDay

MODELS = {
    "S19J_PRO": ("Antminer S19j Pro 100T", 100.0, 3050.0),
    "M20S": ("WhatsMiner M20S 68T", 68.0, 3360.0),
    "S9": ("Antminer S9 13.5T", 13.5, 1323.0),
}
EPOCHS = (
    (883008, datetime(2025, 2, 23, 20, 0, tzinfo=UTC), "110568428300952"),
    (887040, datetime(2025, 3, 9, 18, 0, tzinfo=UTC), "112149504190349"),
    (889056, datetime(2025, 3, 23, 12, 0, tzinfo=UTC), "113757508810853"),
    (891072, datetime(2025, 4, 6, 12, 0, tzinfo=UTC), "121507793131898"),
)
WIND_TABLES = (
    "bm_units", "elexon_answers", "settlement_days", "settlement_periods", "curtailment_records",
    "wind_generation_data", "wind_outputs", "system_prices", "ingestion_progress",
    "ingestion_runs", "bitcoin_rates", "historical_bitcoin_calculations", "daily_summaries",
    "monthly_summaries", "yearly_summaries", "bitcoin_daily_summaries",
    "bitcoin_monthly_summaries", "bitcoin_yearly_summaries", "farm_daily_summaries",
    "bitcoin_farm_daily_summaries", "network_epoch", "quote",
)  # fmt: skip

Deliver = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
async def elexon() -> AsyncGenerator[Elexon]:
    async with serve(seed=7, slow_s=5.0) as served:
        yield served


@pytest.fixture(scope="module")
def extra_settings(elexon: Elexon) -> dict[str, Any]:
    return {"elexon_url": elexon.url, "wind_rate_per_s": 500.0, "wind_timeout_s": 2.0}


@pytest.fixture
async def asking(elexon: Elexon) -> AsyncGenerator[Client]:
    """A client of the simulated Elexon that is not slowed down."""
    async with open_elexon(elexon.url, Gate(8, 500.0), timeout_s=2.0, tries=3) as client:
        yield client


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long between two tries."""
    monkeypatch.setattr(client_of_elexon, "_FIRST_WAIT_S", 0.01)


@pytest.fixture(autouse=True)
async def clean(runtime: Runtime, elexon: Elexon) -> None:
    """Facts of the platform belong to no test: each begins with none of them."""
    elexon.reset()
    async with runtime.worker_session() as session:
        for table in WIND_TABLES:
            await session.execute(text(f"DELETE FROM energy.{table}"))
        await session.execute(text("DELETE FROM energy.pgqueuer"))  # jobs that no test did
        platform = {"platform": PLATFORM_ORGANISATION}
        shared = "DELETE FROM energy.miner_model WHERE organisation_id = :platform"
        await session.execute(text(shared), platform)


@pytest.fixture
async def models(deliver: Deliver) -> dict[str, Any]:
    """The three models of document 002, as the calculator tells them; returns their ids."""
    found: dict[str, Any] = {}
    for alias, (name, hashrate, power) in MODELS.items():
        model_id = new_id()
        body = {
            "model_id": str(model_id),
            "name": name,
            "aliases": [alias],
            "hashrate_ths": hashrate,
            "power_w": power,
            "removed": False,
        }
        await deliver(
            "calculator.miner-model.changed.v1", body, organisation_id=PLATFORM_ORGANISATION
        )
        found[alias] = model_id
    return found


@pytest.fixture
def tell_epochs(deliver: Deliver) -> Callable[..., Awaitable[None]]:
    """Tell epochs in a row, each (height, start, difficulty), all with one subsidy."""

    async def tell(
        epochs: tuple[tuple[int, datetime, str], ...] = EPOCHS, subsidy: str = "3.125"
    ) -> None:
        following = [height for height, _, _ in epochs[1:]] + [epochs[-1][0] + 2016]
        for (height, start, difficulty), after in zip(epochs, following, strict=True):
            await deliver(
                "calculator.network-epoch.changed.v1",
                {
                    "height": height,
                    "next_height": after,
                    "started_at": start,
                    "difficulty": difficulty,
                    "subsidy_btc": subsidy,
                },
                organisation_id=PLATFORM_ORGANISATION,
            )

    return tell


@pytest.fixture
async def epochs(tell_epochs: Callable[..., Awaitable[None]]) -> None:
    """The epochs of March 2025."""
    await tell_epochs()


@pytest.fixture
def rows(runtime: Runtime) -> Callable[..., Awaitable[list[dict[str, Any]]]]:
    """Read a table whole, in the order of its key."""

    async def read(table: str, where: str = "true", **parameters: Any) -> list[dict[str, Any]]:
        async with runtime.worker_session() as session:
            found = await session.execute(
                text(f"SELECT * FROM energy.{table} WHERE {where} ORDER BY 1, 2"), parameters
            )
            return [dict(row) for row in found.mappings()]

    return read


@pytest.fixture
def day() -> date:
    """A busy day of the simulated world, and of document 002."""
    return date(2025, 3, 4)


@pytest.fixture
def quiet(elexon: Elexon) -> date:
    """A day on which little is turned down."""
    return elexon.britain.next_of_kind(date(2025, 3, 1), KindOfDay.QUIET)


@pytest.fixture
def btc_places() -> Decimal:
    return Decimal("1e-8")


Process = Callable[..., Awaitable[dict[str, Any]]]
SUMS = (
    "daily_summaries", "monthly_summaries", "yearly_summaries", "farm_daily_summaries",
    "bitcoin_daily_summaries", "bitcoin_monthly_summaries", "bitcoin_yearly_summaries",
    "bitcoin_farm_daily_summaries",
)  # fmt: skip


@pytest.fixture
def process(runtime: Runtime) -> Process:
    """Carry out an order as a command would; returns its report."""

    async def carry(kind: Kind, first: date, last: date | None = None, **more: Any) -> Any:
        more.setdefault("outputs", False)
        order = Order(kind=kind, first=first, last=last or first, **more)
        return await carry_out(runtime, order, "command")

    return carry


@pytest.fixture
def everything(rows: Callable[..., Awaitable[list[dict[str, Any]]]]) -> Callable[..., Any]:
    """Read all rows and sums of wind, with their times: to see whether anything was touched."""

    async def read(*, sums_only: bool = False) -> dict[str, list[dict[str, Any]]]:
        tables = SUMS if sums_only else (
            *SUMS, "curtailment_records", "historical_bitcoin_calculations", "bitcoin_rates",
        )  # fmt: skip
        found = {table: await rows(table) for table in tables}
        return {
            table: sorted(content, key=lambda row: str(sorted(row.items(), key=str)))
            for table, content in found.items()
        }

    return read
