"""The live stream: everything once, then what changed."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from common.auth import Principal
from common.runtime import Runtime
from simulation.fleet import Fleet
from telemetry.samples.stream import changes


async def test_first_all_machines_then_those_that_changed(
    worker: Runtime,
    runtime: Runtime,
    fleet_of: Callable[..., Awaitable[Fleet]],
    register: Callable[..., Awaitable[tuple[UUID, list[UUID]]]],
    principal: Callable[..., Principal],
) -> None:
    site_id, miners = await register(await fleet_of(2, mix={"luxos": 1.0}))
    stream = changes(runtime, principal(), site_id, timedelta(seconds=8))
    seen: list[Any] = [orjson.loads((await anext(stream))["data"])["columns"] for _ in range(3)]
    await stream.aclose()
    assert set(seen[0]["miner_id"]) == set(map(str, miners))
    assert any(columns["power_w"] and all(columns["power_w"]) for columns in seen[1:])
