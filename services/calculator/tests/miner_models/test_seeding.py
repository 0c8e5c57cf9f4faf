from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.miner_models.catalogue import catalogue
from calculator.miner_models.models import MinerModel, MinerModelName
from calculator.miner_models.seeding import bring_up_to_date
from common.auth import PLATFORM_ORGANISATION
from common.runtime import Runtime

WorkerSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@pytest.fixture
async def undone(runtime: Runtime) -> AsyncGenerator[AsyncSession]:
    """A worker session whose changes to the shared rows are rolled back."""
    async with AsyncSession(runtime.worker_engine) as session:
        yield session


async def one(session: AsyncSession, name: str) -> MinerModel:
    query = select(MinerModel).where(MinerModel.catalogue_name == name)
    return (await session.scalars(query)).one()


async def test_every_model_was_published_once_at_the_first_start(
    published: Callable[..., Awaitable[list[dict[str, Any]]]], worker_session: WorkerSession
) -> None:
    async with worker_session() as session:
        assert await bring_up_to_date(session, catalogue()) == 0
    events = await published(
        "calculator.miner-model.changed.v1", organisation_id=PLATFORM_ORGANISATION
    )
    names = [event["data"]["name"] for event in events if event["version"] == 1]
    assert {model.name for model in catalogue()} <= set(names)
    assert len(names) == len(set(names))
    s21 = next(event["data"] for event in events if event["data"]["name"] == "Antminer S21 200T")
    assert (s21["power_w"], s21["efficiency_j_per_th"], s21["released_year"]) == (3500, 17.5, 2024)


async def test_a_changed_statement_is_published_again(undone: AsyncSession) -> None:
    [first, *others] = catalogue()
    stated = replace(first, power_w=Decimal(1400), aliases=["Old Faithful"])
    assert await bring_up_to_date(undone, [stated, *others]) == 1
    row = await one(undone, first.name)
    assert (row.version, row.power_w) == (2, 1400)
    names = select(MinerModelName.name).where(MinerModelName.model_id == row.id)
    assert set(await undone.scalars(names)) == {first.name.lower(), "old faithful"}
    assert await bring_up_to_date(undone, [stated, *others]) == 0


async def test_what_an_admin_corrected_stays_until_the_catalogue_changes(
    undone: AsyncSession,
) -> None:
    [first, *others] = catalogue()
    row = await one(undone, first.name)
    row.power_w = Decimal(1111)
    await undone.flush()
    assert await bring_up_to_date(undone, [first, *others]) == 0
    assert row.power_w == 1111
    assert await bring_up_to_date(undone, [replace(first, aliases=[]), *others]) == 1
    assert row.power_w == first.power_w


async def test_a_model_that_left_the_catalogue_is_retired(undone: AsyncSession) -> None:
    [first, second, *others] = catalogue()
    heir = replace(second, aliases=[*second.aliases, *first.aliases])
    assert await bring_up_to_date(undone, [heir, *others]) == 2
    assert (await one(undone, first.name)).removed_at is not None
    heir_row = await one(undone, second.name)
    names = select(MinerModelName.name).where(MinerModelName.model_id == heir_row.id)
    assert "s9" in set(await undone.scalars(names))
