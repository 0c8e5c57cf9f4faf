"""Producers and consumers agree: golden samples, growth within a major version, bootstrap."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import httpx
import pytest
from pydantic import BaseModel
from sqlalchemy import text

from common.app import Service
from common.clock import now
from common.consumer import Dispatcher
from common.envelope import Message
from common.events import TOPICS
from common.ids import new_id
from common.runtime import Runtime

Golden = Mapping[str, Mapping[str, Any]]
RunningService = Callable[..., AbstractAsyncContextManager[Runtime]]
_WITHIN_S = 60.0


def _readers(members: Mapping[str, Service]) -> Iterator[tuple[str, str, type[BaseModel]]]:
    """Return every consumer with a type it reacts to and its own reading of that type."""
    for name, member in members.items():
        for feature in member.reactions:
            for event_type, handlers in feature.handlers.items():
                for registered in handlers:
                    if registered.model is not None:  # what takes tombstones reads no data
                        yield name, event_type, registered.model


def _rewritten(
    value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any], *, later: bool
) -> Any:
    """Return the document as a later producer may write it, or with null wherever that may be.

    `later` adds a field to every object that has a shape; without it what may be null is null.
    """
    if "$ref" in schema:
        schema = definitions[str(schema["$ref"]).rpartition("/")[2]]
    choices: list[Mapping[str, Any]] = schema.get("anyOf", [])
    if choices:
        if not later and {"type": "null"} in choices:
            return None
        return _rewritten(value, choices[0], definitions, later=later)
    if "properties" in schema:
        fields = {
            name: _rewritten(one, schema["properties"][name], definitions, later=later)
            for name, one in cast("dict[str, Any]", value).items()
        }
        return {**fields, "added_later": {"by": ["a", "minor", "version"]}} if later else fields
    if schema.get("type") == "array":
        items = schema.get("items", {})
        return [
            _rewritten(one, items, definitions, later=later) for one in cast("list[Any]", value)
        ]
    return value


def _variant(contract: Mapping[str, Any], *, later: bool) -> str:
    schema = contract["schema"]
    return json.dumps(_rewritten(contract["sample"], schema, schema.get("$defs", {}), later=later))


def _message(event_type: str, data: object, *, version: int = 1) -> Message:
    return Message(
        event_id=new_id(),
        type=event_type,
        organisation_id=new_id(),
        version=version,
        occurred_at=now(),
        correlation_id="",
        topic=".".join(event_type.split(".")[:2]) + ".v1",
        partition=0,
        position=0,
        key="key",
        value=json.dumps(data).encode(),
    )


def test_every_type_that_is_read_is_published(members: dict[str, Service], golden: Golden) -> None:
    published = {event.type for member in members.values() for event in member.events}
    assert published == set(golden)
    read = {event_type for _, event_type, _ in _readers(members)}
    assert read <= published


def test_every_published_topic_is_declared(golden: Golden) -> None:
    for contract in golden.values():
        assert contract["compacted"] == TOPICS[contract["topic"]].compacted


def test_consumers_accept_the_golden_samples(members: dict[str, Service], golden: Golden) -> None:
    for name, event_type, model in _readers(members):
        sample = golden[event_type]["sample"]
        read = model.model_validate_json(json.dumps(sample))
        assert model.model_fields.keys() <= sample.keys(), (
            f"{name} reads fields of {event_type} that nobody writes"
        )
        assert read.model_fields_set == set(model.model_fields)


def test_consumers_ignore_fields_that_they_do_not_know(
    members: dict[str, Service], golden: Golden
) -> None:
    for _, event_type, model in _readers(members):
        contract = golden[event_type]
        grown = model.model_validate_json(_variant(contract, later=True))
        assert grown == model.model_validate_json(json.dumps(contract["sample"]))


def test_consumers_accept_null_wherever_it_may_be(
    members: dict[str, Service], golden: Golden
) -> None:
    for _, event_type, model in _readers(members):
        model.model_validate_json(_variant(golden[event_type], later=False))


async def test_an_unknown_major_version_is_a_dead_letter(
    members: dict[str, Service], golden: Golden, runtime: Runtime
) -> None:
    """Hosting hears of a `v2` on a topic that it reads: it is kept, and in nobody's way."""
    event_type = "calculator.miner-model.changed.v1"
    dispatcher = Dispatcher(runtime, members["hosting"].reactions)
    unknown = _message(event_type.removesuffix("v1") + "v2", {"all": "different"})
    model = {**golden[event_type]["sample"], "model_id": str(new_id())}
    known = _message(event_type, model)
    await dispatcher.dispatch([unknown, known])
    async with runtime.worker_session() as session:
        handled = set(
            await session.scalars(
                text("SELECT event_id FROM hosting.inbox WHERE event_id = ANY(:ids)"),
                {"ids": [unknown.event_id, known.event_id]},
            )
        )
        buried = await session.execute(
            text("SELECT event_id, reason FROM hosting.dead_letter WHERE event_id = ANY(:ids)"),
            {"ids": [unknown.event_id, known.event_id]},
        )
        assert buried.all() == [(unknown.event_id, "unsupported-major")]
    assert handled == {unknown.event_id, known.event_id}


@pytest.fixture
async def registered(client: httpx.AsyncClient) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One site and 30 machines, several of them changed or removed since they were registered."""
    site = await _made(
        client,
        "/api/hosting/sites",
        {
            "name": "Bootstrap",
            "location": "Luleå",
            "timezone": "Europe/Stockholm",
            "capacity_mw": 20,
            "allowed_cidrs": ["10.20.0.0/16"],
        },
    )
    miners = [
        await _made(
            client,
            "/api/hosting/miners",
            {
                "serial_number": f"SN{new_id()}",
                "model": "Test rig",
                "site_id": site["id"],
                "cgminer_ip": f"10.20.0.{number + 1}",
                "hashrate_ths": 200,
                "power_w": 3500,
            },
        )
        for number in range(30)
    ]
    for number, miner in enumerate(miners[:10]):
        change = {"power_w": 3400}
        answer = await client.patch(f"/api/hosting/miners/{miner['id']}", json=change)
        assert answer.status_code == 200, answer.text
        miners[number] = answer.json()
    for miner in miners[10:15]:
        assert (await client.delete(f"/api/hosting/miners/{miner['id']}")).status_code == 204
    return site, miners


async def _made(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def _until(check: Callable[[], Awaitable[bool]], what: str) -> None:
    ends = time.monotonic() + _WITHIN_S
    while not await check():
        assert time.monotonic() < ends, f"{what}: not within {_WITHIN_S:.0f} s"
        await asyncio.sleep(0.2)


async def _is_sent(runtime: Runtime) -> bool:
    query = text(f"SELECT count(*) FROM {runtime.name}.outbox WHERE published_at IS NULL")
    async with runtime.worker_session() as session:
        return not await session.scalar(query)


async def _rows(runtime: Runtime, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    async with runtime.worker_session() as session:
        return [tuple(row) for row in await session.execute(text(query), parameters)]


@pytest.mark.kafka
async def test_a_new_service_builds_its_read_model_from_the_state_topics(
    members: dict[str, Service],
    running_service: RunningService,
    extra_settings: dict[str, Any],
    registered: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    """Telemetry starts for the first time, long after everything was registered."""
    site, miners = registered
    async with running_service(members["calculator"]) as calculator:
        await _until(lambda: _is_sent(calculator), "calculator's relay")
        catalogue = await _rows(calculator, "SELECT id FROM calculator.miner_model")
    async with running_service(members["hosting"], **extra_settings) as hosting:
        await _until(lambda: _is_sent(hosting), "hosting's relay")
    wanted = {
        (miner["serial_number"], miner["nameplate_power_w"], number in range(10, 15))
        for number, miner in enumerate(miners)
    }
    async with running_service(members["telemetry"], **extra_settings) as telemetry:

        async def is_complete() -> bool:
            found = await _rows(
                telemetry,
                "SELECT serial_number, nameplate_power_w, removed FROM telemetry.miner "
                "WHERE site_id = :site",
                site=site["id"],
            )
            models = await _rows(telemetry, "SELECT id FROM telemetry.miner_model")
            sites = await _rows(
                telemetry,
                "SELECT name, allowed_cidrs FROM telemetry.site WHERE id = :site",
                site=site["id"],
            )
            is_known = sites == [("Bootstrap", ["10.20.0.0/16"])]
            return is_known and set(found) == wanted and set(models) >= set(catalogue)

        await _until(is_complete, "telemetry's read model")
        assert await _rows(telemetry, "SELECT id FROM telemetry.dead_letter") == []
    assert len(catalogue) >= 47
