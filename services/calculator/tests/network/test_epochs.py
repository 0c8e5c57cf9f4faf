"""Epochs: shipped, told by a provider, published, and never guessed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.domain.epochs import Epoch, epoch_from
from calculator.domain.snapshot import shipped_epochs
from calculator.network.epochs import bring_up_to_date, keep, seed_epochs
from calculator.network.models import NetworkEpoch
from common.auth import PLATFORM_ORGANISATION
from simulation.upstreams import Fault

TYPE = "calculator.network-epoch.changed.v1"
PATH = "/api/calculator/network"


async def told(world: Any) -> list[NetworkEpoch]:
    async with world.runtime.worker_session() as session:
        rows = await session.scalars(
            select(NetworkEpoch)
            .where(NetworkEpoch.source == "mempool")
            .order_by(NetworkEpoch.height)
        )
        return list(rows)


async def test_the_shipped_epochs_are_stored_and_published_once(world: Any, published: Any) -> None:
    await seed_epochs(world.runtime)
    events = await published(TYPE, organisation_id=PLATFORM_ORGANISATION)
    for epoch in shipped_epochs():
        [event] = [one for one in events if one["key"] == str(epoch.height)]
        assert event["version"] == 1
        assert event["data"]["simulated"] is False
    [genesis] = [one["data"] for one in events if one["key"] == "0"]
    assert (genesis["difficulty"], genesis["subsidy_btc"]) == ("1.000000", "50.00000000")
    assert (genesis["bits"], genesis["next_height"]) == (0x1D00FFFF, 2016)


async def test_new_epochs_are_told_stored_and_published(world: Any, published: Any) -> None:
    before = len(await published(TYPE, organisation_id=PLATFORM_ORGANISATION))
    count = await bring_up_to_date(world.runtime)
    rows = await told(world)
    assert count == len(rows) > 50
    assert all(row.height % 2016 == 0 and row.bits is not None for row in rows)
    assert all(row.simulated for row in rows)
    events = (await published(TYPE, organisation_id=PLATFORM_ORGANISATION))[before:]
    assert [event["key"] for event in events] == [str(row.height) for row in rows]
    assert await bring_up_to_date(world.runtime) is None
    world.clock.forward(16 * 86_400)
    await world.renew()
    assert await bring_up_to_date(world.runtime) in (1, 2)
    assert world.providers.calls_of("mempool", "/api/v1/mining/difficulty-adjustments/3m") == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault.HTML,
        Fault.TRUNCATED,
        Fault.HUGE_NUMBER,
        Fault.NEGATIVE_PRICE,
        Fault.NAN,
        Fault.HUGE_BODY,
        Fault.EMPTY,
        Fault.REFUSED,
    ],
)
async def test_a_hostile_history_is_not_stored(world: Any, fault: Fault) -> None:
    world.fault(fault, "mempool")
    await bring_up_to_date(world.runtime)
    assert await told(world) == []


@pytest.mark.parametrize("fault", [Fault.DISORDER, Fault.DUPLICATES])
async def test_a_history_in_disorder_is_put_in_order(world: Any, fault: Fault) -> None:
    world.fault(fault, "mempool")
    assert await bring_up_to_date(world.runtime)
    rows = await told(world)
    assert len(rows) > 50
    assert rows == sorted(rows, key=lambda row: row.started_at)


async def test_a_gap_in_the_history_is_filled_later(world: Any) -> None:
    world.fault(Fault.GAP, "mempool")
    some = await bring_up_to_date(world.runtime)
    assert some
    assert await bring_up_to_date(world.runtime) == 0  # it still has nothing to fill it with
    world.fault(None, "mempool")
    filled = await bring_up_to_date(world.runtime)
    assert filled
    assert len(await told(world)) == some + filled
    assert await bring_up_to_date(world.runtime) is None


async def test_without_a_provider_there_are_the_shipped_ones(world: Any) -> None:
    world.restart(mempool_url="")
    assert await bring_up_to_date(world.runtime) is None


async def test_the_epoch_in_force_at_a_moment(world: Any, client: Any) -> None:
    await bring_up_to_date(world.runtime)
    rows = await told(world)
    one, following = rows[-3], rows[-2]
    for at, row in (
        (one.started_at, one),
        (following.started_at - timedelta(seconds=1), one),
        (following.started_at, following),
    ):
        shown = (await client.get(f"{PATH}/epoch", params={"at": at.isoformat()})).json()
        assert (shown["height"], shown["difficulty"]) == (row.height, f"{row.difficulty:.6f}")


@pytest.mark.parametrize(
    "at",
    [
        "2009-01-01T00:00:00Z",
        "2013-06-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
async def test_in_a_gap_no_difficulty_is_guessed(world: Any, client: Any, at: str) -> None:
    answer = await client.get(f"{PATH}/epoch", params={"at": at})
    assert (answer.status_code, answer.json()["code"]) == (404, "epoch_unknown")


async def test_what_lies_ahead_is_not_known(world: Any, client: Any) -> None:
    at = (world.clock() + timedelta(seconds=1)).isoformat()
    assert (await client.get(f"{PATH}/epoch", params={"at": at})).status_code == 404


async def test_epochs_are_listed_newest_first(world: Any, client: Any) -> None:
    page = (await client.get(f"{PATH}/epochs")).json()
    assert [one["height"] for one in page["items"]] == [840_000, 630_000, 420_000, 210_000, 0]
    assert page["items"][0]["bits"] == "0x17034219"
    assert page["items"][0]["started_at"] == "2024-04-20T00:09:27Z"


def an_epoch(difficulty: str, *, simulated: bool) -> Epoch:
    started_at = datetime(2025, 2, 23, tzinfo=UTC)
    return epoch_from(885_024, started_at, Decimal(difficulty), "mempool", simulated=simulated)


async def test_the_real_chain_takes_the_simulated_ones_place_and_keeps_it(world: Any) -> None:
    simulated = an_epoch("108105433845147", simulated=True)
    real = an_epoch("110568428300952", simulated=False)
    async with AsyncSession(world.runtime.worker_engine) as session:
        assert await keep(session, [simulated]) == 1
        assert await keep(session, [real]) == 1
        assert await keep(session, [simulated]) == 0
        assert await keep(session, [real]) == 0
        row = await session.get_one(NetworkEpoch, 885_024)
        assert (row.simulated, row.version, row.bits) == (False, 2, 0x17028BB1)
