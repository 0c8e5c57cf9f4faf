"""From outbox over Kafka to the handler: no loss, order per key, effects once."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import BaseModel
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common import consumer
from common.app import Service
from common.cli import dead_letters
from common.clock import now
from common.consumer import Dispatcher, Reactions, Received, groups_of
from common.dead_letters import open_letters, redrive
from common.envelope import Message
from common.ids import new_id
from common.runtime import Runtime


class Named(BaseModel):
    name: str


async def eventually(check: Callable[[], Awaitable[bool]], timeout_s: float = 30) -> None:
    """Wait until `check` returns something true."""
    async with asyncio.timeout(timeout_s):
        while not await check():
            await asyncio.sleep(0.05)


async def test_a_handler_runs_once_per_event(
    deliver: Any, tenant_session: Any, things: Any
) -> None:
    name = f"n {new_id()}"
    data = {"thing_id": str(new_id()), "name": name}
    event_id = await deliver("sample.thing.made.v1", data)
    await deliver("sample.thing.made.v1", data, event_id=event_id)
    async with tenant_session() as session:
        assert await session.scalar(select(func.count()).select_from(things)) == 1


async def test_two_copies_at_once_have_one_effect(
    deliver: Any, tenant_session: Any, things: Any
) -> None:
    data = {"thing_id": str(new_id()), "name": f"slow {new_id()}"}
    event_id = new_id()
    await asyncio.gather(
        *(deliver("sample.thing.made.v1", data, event_id=event_id) for _ in range(2))
    )
    async with tenant_session() as session:
        assert await session.scalar(select(func.count()).select_from(things)) == 1


async def test_what_cannot_be_read_is_a_dead_letter_at_once(
    deliver: Any, tenant_session: Any
) -> None:
    await deliver("sample.thing.made.v1", {"thing_id": "not an id"})
    async with tenant_session() as session:
        rows = await session.execute(text("SELECT reason, attempts FROM sample.dead_letter"))
        assert rows.all() == [("invalid", 1)]


async def test_an_unknown_major_version_is_a_dead_letter_until_it_is_read(
    deliver: Any,
    runtime: Runtime,
    service: Service,
    settings: Any,
    tenant_session: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = {"thing_id": str(new_id()), "name": f"n {new_id()}"}
    event_id = await deliver("sample.thing.made.v2", data)
    await deliver("sample.thing.made.v2", data, event_id=event_id)
    await deliver("sample.thing.painted.v1", data)
    await deliver("sample.thing.made.v1", data)
    async with tenant_session() as session:
        rows = await session.execute(
            text("SELECT event_id, reason, attempts, error FROM sample.dead_letter")
        )
        told = "sample reads sample.thing.made.v1, not sample.thing.made.v2"
        assert rows.all() == [(event_id, "unsupported-major", 1, told)]
        handled = await session.execute(text("SELECT count(*) FROM sample.thing"))
        assert handled.scalar() == 1
        letter_id = await session.scalar(text("SELECT id FROM sample.dead_letter"))
    assert await dead_letters(service, settings, "redrive", [letter_id]) == 1
    assert "reads no sample.thing.made.v2" in capsys.readouterr().out

    later = Reactions()

    @later.on("sample.thing.made.v2")
    async def take(_: AsyncSession, event: Received[Named]) -> None:
        assert event.data.name == data["name"]

    [letter] = await open_letters(runtime, [letter_id])
    await redrive(runtime, [later], letter)
    assert await open_letters(runtime, [letter_id]) == []


async def test_a_handlers_bug_is_a_dead_letter_after_five_tries(
    deliver: Any, tenant_session: Any
) -> None:
    await deliver("sample.thing.made.v1", {"thing_id": str(new_id()), "name": "poison"})
    async with tenant_session() as session:
        rows = await session.execute(text("SELECT reason, attempts FROM sample.dead_letter"))
        assert rows.all() == [("failed", 5)]


@pytest.mark.kafka
async def test_the_way_from_request_to_effect(
    service: Any, running_service: Any, client: httpx.AsyncClient, tenant_session: Any, things: Any
) -> None:
    async with running_service(service):
        names = [f"walk {new_id()}" for _ in range(20)]
        for name in names:
            body = {"name": name, "price_usd": 1}
            assert (await client.post("/api/sample/things", json=body)).status_code == 201

        async def all_copied() -> bool:
            async with tenant_session() as session:
                query = select(func.count()).select_from(things).where(things.name.like("copy%"))
                return await session.scalar(query) == len(names)

        await eventually(all_copied)


async def test_a_tombstone_reaches_its_handler(
    service: Any, running_service: Any, tenant_session: Any, things: Any, organisation: UUID,
    forgotten: Any,
) -> None:  # fmt: skip
    """From the outbox over the broker: a record without a value, whose key says who is meant."""
    kept, gone = (new_id() for _ in range(2))
    async with tenant_session() as session:
        for thing_id in (kept, gone):
            session.add(
                things(id=thing_id, name=str(thing_id), price_usd=0, organisation_id=organisation)
            )
        await session.flush()
        session.add(forgotten(organisation, gone))
    async with running_service(service):

        async def forgot() -> bool:
            async with tenant_session() as session:
                return list(await session.scalars(select(things.id))) == [kept]

        await eventually(forgot)


async def test_a_dead_letter_can_be_redriven_once_the_cause_is_gone(
    deliver: Any,
    runtime: Runtime,
    service: Service,
    settings: Any,
    tenant_session: Any,
    things: Any,
    organisation: UUID,
) -> None:
    taken = f"thing {new_id()}"
    async with tenant_session() as session:
        blocker = things(name=f"copy of {taken}", price_usd=0, organisation_id=organisation)
        session.add(blocker)
    await deliver("sample.thing.made.v1", {"thing_id": str(new_id()), "name": taken})
    async with tenant_session() as session:
        letter_id = await session.scalar(text("SELECT id FROM sample.dead_letter"))
    assert await dead_letters(service, settings, "redrive", [letter_id]) == 1
    async with tenant_session() as session:
        await session.delete(await session.merge(blocker))
    assert await dead_letters(service, settings, "redrive", [letter_id]) == 0
    async with tenant_session() as session:
        assert await session.scalar(select(func.count()).select_from(things)) == 1
        rows = await session.execute(text("SELECT resolution FROM sample.dead_letter"))
        assert rows.scalars().all() == ["redriven"]
    assert await open_letters(runtime, [letter_id]) == []


async def test_a_bulk_handler_takes_a_run_in_order(runtime: Runtime, organisation: UUID) -> None:
    seen: list[list[str]] = []
    many = Reactions()

    @many.on_many("sample.thing.made.v1")
    async def take(_: AsyncSession, events: list[Received[Named]]) -> None:
        seen.append([event.data.name for event in events])

    @many.on("sample.thing.gone.v1")
    async def gone(_: AsyncSession, event: Received[Named]) -> None:
        seen.append([f"gone {event.data.name}"])

    names = ["a", "b", "-c", "d"]
    messages = [
        Message(
            event_id=new_id(),
            type=f"sample.thing.{'gone' if name.startswith('-') else 'made'}.v1",
            organisation_id=organisation,
            version=1,
            occurred_at=now(),
            correlation_id="x",
            topic="sample.thing.v1",
            partition=0,
            position=position,
            key=name,
            value=json.dumps({"name": name}).encode(),
        )
        for position, name in enumerate(names)
    ]
    await Dispatcher(runtime, [many]).dispatch(messages)
    assert seen == [["a", "b"], ["gone -c"], ["d"]]


async def test_a_database_that_starts_up_costs_no_event(
    runtime: Runtime, organisation: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers already, and refuses: that is no try of the handler's."""
    monkeypatch.setattr(consumer, "_TRIES", 1)
    seen: list[str] = []
    named = Reactions()

    @named.on("sample.thing.made.v1")
    async def take(session: AsyncSession, event: Received[Named]) -> None:
        seen.append(event.data.name)
        if len(seen) < 3:
            await session.execute(text("DO $$ BEGIN RAISE SQLSTATE '57P03'; END $$"))

    message = Message(
        event_id=new_id(),
        type="sample.thing.made.v1",
        organisation_id=organisation,
        version=1,
        occurred_at=now(),
        correlation_id="x",
        topic="sample.thing.v1",
        partition=0,
        position=0,
        key="a",
        value=b'{"name": "a"}',
    )
    await Dispatcher(runtime, [named]).dispatch([message])
    assert seen == ["a", "a", "a"]
    assert await open_letters(runtime, [message.event_id]) == []


async def test_groups_are_consumed_apart(runtime: Runtime) -> None:
    orders, rest = Reactions(group="orders"), Reactions()
    for feature, event_type in ((orders, "sample.order.made.v1"), (rest, "sample.thing.made.v1")):

        @feature.on(event_type)
        async def handler(_: AsyncSession, event: Received[Named]) -> None:
            raise AssertionError(event)

        assert handler
    assert groups_of([orders, rest]) == ["", "orders"]
    apart = Dispatcher(runtime, [orders, rest], "orders")
    assert apart.types == ["sample.order.made.v1"]
    assert apart.consumer == "sample-orders"
    assert Dispatcher(runtime, [orders, rest], "").types == ["sample.thing.made.v1"]
