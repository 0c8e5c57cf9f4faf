"""Telemetry under test: real database, broker and sockets."""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.app import Service
from common.ids import new_id
from common.runtime import Runtime
from simulation.fleet import Fleet
from simulation.inventory import SIMULATED_PASSWORD, FleetSpec
from telemetry.main import SERVICE

CREDENTIAL_KEY = b"k" * 32
_subnets = count(1)


@pytest.fixture(scope="session")
def service() -> Service:
    """The service whose tests these are."""
    return SERVICE


@pytest.fixture(scope="session")
def extra_settings() -> dict[str, Any]:
    """Short slots, so that a test sees several."""
    return {
        "device_credential_key": base64.b64encode(CREDENTIAL_KEY).decode(),
        "slot_seconds": 2,
        "proof_poll_seconds": 0.5,
        "flush_seconds": 0.2,
        "socket_budget": 50,
        "half_hour_grace_seconds": 0,
        "command_lease_seconds": 6,
    }


@pytest.fixture
async def worker(
    running_service: Callable[..., AbstractAsyncContextManager[Runtime]],
    extra_settings: dict[str, Any],
) -> AsyncGenerator[Runtime]:
    """The service's background work, running: consumer, relay, poller."""
    async with running_service(SERVICE, **extra_settings) as runtime:
        yield runtime


def _sealed(password: str) -> str:
    nonce = b"n" * 12
    secret = f'{{"username": null, "password": "{password}"}}'.encode()
    return base64.b64encode(nonce + AESGCM(CREDENTIAL_KEY).encrypt(nonce, secret, None)).decode()


@pytest.fixture
async def fleet_of() -> AsyncGenerator[Callable[..., Awaitable[Fleet]]]:
    """Start a simulated fleet on addresses of its own."""
    async with AsyncExitStack() as stack:

        async def start(miners: int, **spec: Any) -> Fleet:
            spec.setdefault("ramp_s", 0.5)
            address = f"127.7{next(_subnets) % 10}.{time.time_ns() // 1_000_000 % 250}.1"
            return await stack.enter_async_context(
                Fleet(FleetSpec(miners=miners, start=address, **spec))
            )

        yield start


Register = Callable[..., Awaitable[tuple[UUID, list[UUID]]]]


@pytest.fixture
def register(deliver: Callable[..., Awaitable[UUID]]) -> Register:
    """Make a site and its machines known, by the events that hosting would send."""

    async def announce(fleet: Fleet, **changes: Any) -> tuple[UUID, list[UUID]]:
        site_id = new_id()
        site: dict[str, Any] = {
            "site_id": site_id,
            "name": "Test site",
            "timezone": "UTC",
            "allowed_cidrs": ["127.64.0.0/10"],
            "credentials": {"whatsminer": _sealed(SIMULATED_PASSWORD)},
        }
        miner_changes = {k: v for k, v in changes.items() if k not in site}
        await deliver(
            "hosting.site.changed.v1", site | {k: changes[k] for k in site if k in changes}
        )
        miners: list[UUID] = []
        for unit in (miner.unit for miner in fleet.miners):
            miners.append(new_id())
            miner: dict[str, Any] = {
                "miner_id": miners[-1],
                "site_id": site_id,
                "serial_number": unit.serial_number,
                "model": unit.model.name,
                "firmware": unit.family,
                "ip": unit.address,
                "port": unit.port,
                "status": "active",
                "polled": True,
                "nameplate_hashrate_ths": unit.model.hashrate_ths,
                "nameplate_power_w": unit.model.power_w,
            }
            await deliver("hosting.miner.registered.v1", miner | miner_changes)
        return site_id, miners

    return announce


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    """Wait until a check gives something true, and return it."""

    async def wait(check: Callable[[], Awaitable[Any]], *, within_s: float = 60) -> Any:
        ends = time.monotonic() + within_s
        while True:
            found = await check()
            if found or time.monotonic() > ends:
                assert found, f"not within {within_s} s"
                return found
            await asyncio.sleep(0.1)

    return wait
