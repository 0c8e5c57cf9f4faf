"""The service under test, and short names for what tests do most."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.app import Service
from common.ids import new_id
from hosting.main import SERVICE

Made = dict[str, Any]
NewSite = Callable[..., Awaitable[Made]]
NewMiner = Callable[..., Awaitable[Made]]
Deliver = Callable[..., Awaitable[UUID]]
KEY = "test-internal-key-of-32-characters-or-more"


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(scope="session")
def extra_settings() -> dict[str, Any]:
    return {
        "telemetry_key": KEY,
        "intelligence_key": KEY,
        "telemetry_url": "http://127.0.0.1:9",  # nobody listens there
        "intelligence_url": "http://127.0.0.1:9",
        "device_credential_key": base64.b64encode(b"k" * 32).decode(),
    }


@pytest.fixture
def new_site(client: httpx.AsyncClient) -> NewSite:
    """Register a site of this test's organisation."""

    async def make(**changes: Any) -> Made:
        body: dict[str, Any] = {
            "name": f"Site {new_id()}",
            "location": "Luleå",
            "timezone": "Europe/Stockholm",
            "capacity_mw": 20,
            "allowed_cidrs": ["10.20.0.0/16", "127.64.0.0/16"],
        }
        answer = await client.post("/api/hosting/sites", json=body | changes)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


@pytest.fixture
def new_miner(client: httpx.AsyncClient, new_site: NewSite) -> NewMiner:
    """Register an approved machine, at a site of its own unless one is named."""
    count = 0

    async def make(**changes: Any) -> Made:
        nonlocal count
        count += 1
        if "site_id" not in changes:
            changes["site_id"] = (await new_site())["id"]
        body: dict[str, Any] = {
            "serial_number": f"SN{new_id()}",
            "model": "Test rig",
            "cgminer_ip": f"10.20.{count // 250}.{count % 250 + 1}",
            "hashrate_ths": 200,
            "power_w": 3500,
            "firmware": "luxos",
            "approve": True,
        }
        answer = await client.post("/api/hosting/miners", json=body | changes)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


@pytest.fixture
def know_model(deliver: Deliver) -> Callable[..., Awaitable[None]]:
    """Let hosting hear of a model of this test's organisation."""

    async def tell(name: str, *aliases: str, hashrate_ths: float, power_w: float) -> None:
        await deliver(
            "calculator.miner-model.changed.v1",
            {
                "model_id": str(new_id()),
                "name": name,
                "aliases": list(aliases),
                "hashrate_ths": hashrate_ths,
                "power_w": power_w,
                "removed": False,
            },
        )

    return tell


@pytest.fixture
def know_client(deliver: Deliver, organisation: UUID) -> Callable[[], Awaitable[UUID]]:
    """Let hosting hear of a client of this test's organisation; return its id."""

    async def tell() -> UUID:
        client_id = new_id()
        await deliver(
            "identity.organisation.changed.v1",
            {
                "id": str(client_id),
                "parent_id": str(organisation),
                "kind": "client",
                "name": "A client",
                "active": True,
            },
        )
        return client_id

    return tell
