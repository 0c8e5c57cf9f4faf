"""The service under test, and short names for what tests do most."""

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete

from common.app import Service
from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from common.runtime import Runtime
from hosting.main import SERVICE
from hosting.quotes.models import Quote

Made = dict[str, Any]
NewSite = Callable[..., Awaitable[Made]]
NewMiner = Callable[..., Awaitable[Made]]
Deliver = Callable[..., Awaitable[UUID]]
HearQuote = Callable[..., Awaitable[None]]
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


async def forget_quotes(runtime: Runtime) -> None:
    async with runtime.worker_session() as session:
        await session.execute(delete(Quote))


@pytest.fixture
async def hear_quote(runtime: Runtime, deliver: Deliver) -> AsyncGenerator[HearQuote]:
    """Let hosting hear a quote, which all tenants share: none is known before, none after.

    100 TH/s mine 0.00004 BTC a day, worth 4 USD at 100,000 USD.
    """

    async def tell(
        *,
        version: int = 1,
        age_s: float = 60,
        silent_s: float = 0,
        organisation_id: UUID = PLATFORM_ORGANISATION,
        **changes: Any,
    ) -> None:
        quote: Made = {
            "pair": "BTC/USD",
            "price_usd": "100000.000000",
            "at": now() - timedelta(seconds=age_s),
            "source": "coingecko",
            "stale": False,
            "simulated": False,
            "height": 925_000,
            "difficulty": "150000000000000.000000",
            "network_hashrate_ehs": 1073.741824,
            "subsidy_btc": "3.12500000",
            "fees_btc_per_block": "0.02000000",
            "hashprice_usd_per_ths_day": "0.040000000",
            "hashprice_btc_per_ths_day": "0.00000040000000",
            "second_price_usd": None,
            "warnings": [],
            "published_at": now() - timedelta(seconds=silent_s),
        }
        await deliver(
            "calculator.quote.published.v1",
            quote | changes,
            version=version,
            organisation_id=organisation_id,
        )

    await forget_quotes(runtime)
    yield tell
    await forget_quotes(runtime)


@pytest.fixture
def hear_tariff(deliver: Deliver) -> Callable[..., Awaitable[str]]:
    """Let hosting hear of a rate of this test's organisation; returns the rate's id."""

    async def tell(
        *,
        version: int = 1,
        at: datetime | None = None,
        organisation_id: UUID | None = None,
        **changes: Any,
    ) -> str:
        rate: Made = {
            "rate_id": str(new_id()),
            "rate_version": 3,
            "site_id": None,
            "location": None,
            "name": "Night and day",
            "active": True,
            "rate_type": "tou",
            "currency": "USD",
            "timezone": "Europe/London",
            "tariff": {"tou_schedule": []},
            "mean_usd_per_kwh": "0.0712",
            "valid_from": now(),
            "removed": False,
            "changed_at": at or now(),
        }
        rate |= changes
        owner = {} if organisation_id is None else {"organisation_id": organisation_id}
        await deliver("energy.tariff.changed.v1", rate, version=version, **owner)
        return rate["rate_id"]

    return tell
