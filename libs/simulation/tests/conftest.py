import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from simulation.fleet import Fleet, SimulatedMiner
from simulation.inventory import FleetSpec

NewFleet = Callable[..., Awaitable[Fleet]]
Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
def start_address() -> str:
    """A first address that no other test process is likely to use."""
    dice = random.Random(os.urandom(8))
    return f"127.{dice.randrange(72, 127)}.{dice.randrange(256)}.1"


@pytest.fixture
async def new_fleet(start_address: str) -> AsyncIterator[NewFleet]:
    async with AsyncExitStack() as stack:

        async def serve(family: str | None = None, **fields: Any) -> Fleet:
            fields.setdefault("ramp_s", 0.4)
            fields.setdefault("miners", 1)
            if family is not None:
                fields["mix"] = {family: 1.0}
            return await stack.enter_async_context(Fleet(FleetSpec(start=start_address, **fields)))

        yield serve


@pytest.fixture
def ask_raw() -> Ask:
    async def send(miner: SimulatedMiner, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(miner.address, miner.port)
        writer.write(request)
        try:
            return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.close()

    return send


@pytest.fixture
def ask(ask_raw: Ask) -> Ask:
    async def send(miner: SimulatedMiner, command: str, parameter: str = "", **more: Any) -> Any:
        request = {"command": command, "parameter": parameter, **more}
        answer: bytes = await ask_raw(miner, json.dumps(request).encode())
        assert answer[-1:] == b"\0"
        return json.loads(answer[:-1])

    return send


@pytest.fixture
def settles() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until something holds, or fail after some seconds."""

    async def wait(holds: Callable[[], bool]) -> None:
        for _ in range(400):
            if holds():
                return
            await asyncio.sleep(0.01)
        pytest.fail("it did not come to hold in time")

    return wait
