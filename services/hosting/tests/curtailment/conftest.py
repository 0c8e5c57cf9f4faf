"""A site with machines, and the two other services that a plan needs, as small real apps."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from sqlalchemy import insert

from common.clock import now
from common.http import ServiceClient
from common.ids import new_id
from common.runtime import Runtime
from common.testing import TenantSessions
from hosting.curtailment.settings import curtailment_settings
from hosting.miners.models import Miner
from hosting.parties import Parties, use
from hosting.sites.models import Site

KEY = "test-internal-key-of-32-characters-or-more"


@pytest.fixture(scope="session", autouse=True)
def sleeping_at_100_w() -> Generator[None]:
    """A round number, whatever the default is: the tests' sums stand on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOSTING_CURTAILMENT_SLEEP_POWER_W", "100")
        curtailment_settings.cache_clear()
        yield
    curtailment_settings.cache_clear()


@dataclass
class Machine:
    """A machine of the field: what telemetry would read from it."""

    miner_id: UUID
    hashrate_ths: float | None
    power_w: float | None
    sampled_at: datetime | None
    firmware: str | None
    power_estimated: bool = False


@dataclass
class Field:
    """The outside of hosting: machines as telemetry sees them, and whoever recommends."""

    site_id: UUID
    machines: list[Machine] = field(default_factory=list[Machine])
    telemetry_away: bool = False
    intelligence_away: bool = False
    nonsense: Any = None
    short: bool = False
    refusal: dict[str, Any] | None = None
    method: str = "greedy_swap"
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def columns(self) -> dict[str, list[Any]]:
        names = ("miner_id", "hashrate_ths", "power_w", "power_estimated", "sampled_at", "firmware")
        return {name: [getattr(machine, name) for machine in self.machines] for name in names}

    def of(self, miner_id: str | UUID) -> Machine:
        return next(one for one in self.machines if str(one.miner_id) == str(miner_id))


def telemetry_app(outside: Field) -> FastAPI:
    app = FastAPI()

    @app.get("/api/telemetry/fleet")
    def fleet(site_id: UUID) -> Any:
        if outside.telemetry_away:
            raise HTTPException(503)
        assert site_id == outside.site_id
        return outside.nonsense or {"columns": outside.columns()}

    return app


def intelligence_app(outside: Field) -> FastAPI:
    app = FastAPI()

    @app.post("/api/intelligence/curtailment/recommendations")
    async def recommend(request: Request) -> Any:
        if outside.intelligence_away:
            raise HTTPException(503)
        if outside.refusal is not None:
            return JSONResponse(outside.refusal, status_code=outside.refusal["status"])
        question = await request.json()
        outside.asked.append(question)
        worst_first = sorted(question["miners"], key=lambda it: it["hashrate_ths"] / it["power_w"])
        chosen: list[dict[str, Any]] = []
        missing_w = question["target_power_w"]
        for miner in worst_first:
            if missing_w <= 0 or outside.short:
                break
            chosen.append(miner)
            missing_w -= miner["power_w"]
        return {
            "shutdown": [it["id"] for it in chosen],
            "power_reduction_w": sum(it["power_w"] for it in chosen),
            "hashrate_loss_ths": sum(it["hashrate_ths"] for it in chosen),
            "bound": 1.0,
            "gap": 0.0,
            "method": outside.method,
            "elapsed_ms": 1.0,
            "skipped": [],
        }

    return app


NewMiner = Callable[..., Awaitable[UUID]]


@pytest.fixture
async def site_id(tenant_session: TenantSessions, organisation: UUID) -> UUID:
    site = Site(
        organisation_id=organisation,
        name=f"Site {organisation}",
        location="Reykjanes",
        timezone="Atlantic/Reykjavik",
        capacity_mw=20,
        power_limit_mw=None,
        allowed_cidrs=["127.64.0.0/16"],
    )
    async with tenant_session() as session:
        session.add(site)
    return site.id


@pytest.fixture
async def outside(runtime: Runtime, site_id: UUID) -> AsyncGenerator[Field]:
    """The field of this test; hosting reaches it through its own clients."""
    made = Field(site_id)
    parties = Parties(
        telemetry=ServiceClient(
            "http://telemetry",
            audience="telemetry",
            key=KEY,
            transport=httpx.ASGITransport(telemetry_app(made)),
        ),
        intelligence=ServiceClient(
            "http://intelligence",
            audience="intelligence",
            key=KEY,
            transport=httpx.ASGITransport(intelligence_app(made)),
        ),
    )
    use(runtime, parties)
    yield made
    await parties.telemetry.close()
    await parties.intelligence.close()


@pytest.fixture
def new_miner(
    tenant_session: TenantSessions, organisation: UUID, site_id: UUID, outside: Field
) -> NewMiner:
    """Put a machine into the site's books and into the field; 200 TH/s at 3,500 W by default."""

    async def make(
        *,
        status: str = "active",
        firmware: str | None = "luxos",
        hashrate_ths: float | None = 200.0,
        power_w: float | None = 3500.0,
        age: timedelta | None = timedelta(seconds=20),
        estimated: bool = False,
    ) -> UUID:
        number = len(outside.machines)
        miner = Miner(
            id=new_id(),
            organisation_id=organisation,
            client_id=None,
            site_id=site_id,
            serial_number=f"SN{number}",
            serial_key=f"sn{number}",
            model="Antminer S21",
            cgminer_ip=f"127.64.{number // 250}.{number % 250 + 1}",
            firmware=firmware,
            status=status,
            nameplate_hashrate_ths=200,
            nameplate_power_w=3500,
        )
        async with tenant_session() as session:
            session.add(miner)
        outside.machines.append(
            Machine(
                miner_id=miner.id,
                hashrate_ths=hashrate_ths,
                power_w=power_w,
                sampled_at=None if age is None else now() - age,
                firmware=firmware,
                power_estimated=estimated,
            )
        )
        return miner.id

    return make


@pytest.fixture
def many_miners(
    tenant_session: TenantSessions, organisation: UUID, site_id: UUID, outside: Field
) -> Callable[[int], Awaitable[list[UUID]]]:
    """Put a whole fleet into the books and the field at once."""

    async def make(count: int) -> list[UUID]:
        rows: list[dict[str, Any]] = [
            {
                "id": new_id(),
                "organisation_id": organisation,
                "site_id": site_id,
                "serial_number": f"MANY{number}",
                "serial_key": f"many{number}",
                "model": "Antminer S21",
                "cgminer_ip": f"127.65.{number // 250}.{number % 250 + 1}",
                "cgminer_port": 4028,
                "firmware": "luxos",
                "enabled": True,
                "reachable": True,
                "status": "active",
                "version": 1,
                "nameplate_hashrate_ths": 200,
                "nameplate_power_w": 3500,
            }
            for number in range(count)
        ]
        async with tenant_session() as session:
            await session.execute(insert(Miner), rows)
        outside.machines += [
            Machine(
                miner_id=row["id"],
                hashrate_ths=200 + number % 7,
                power_w=3500,
                sampled_at=now(),
                firmware="luxos",
            )
            for number, row in enumerate(rows)
        ]
        return [row["id"] for row in rows]

    return make


Answering = Callable[..., Awaitable[None]]


@pytest.fixture
def answer(
    published: Callable[..., Awaitable[list[dict[str, Any]]]],
    deliver: Callable[..., Awaitable[UUID]],
    outside: Field,
) -> Answering:
    """Answer the orders that hosting has published so far, as telemetry would.

    Each order is answered once; `states` are the states it goes through. `only` answers for these
    machines alone.
    """
    done: set[str] = set()

    async def send(
        *states: str,
        only: set[UUID] | None = None,
        detail: str | None = None,
        after_w: float | None = 40.0,
        estimated: bool = False,
    ) -> None:
        results: list[dict[str, Any]] = []
        before_w = {str(machine.miner_id): machine.power_w for machine in outside.machines}
        for event in await published("hosting.curtailment.ordered.v1"):
            order = event["data"]
            for command in order["commands"]:
                if command["command_id"] in done:
                    continue
                if only is not None and UUID(command["miner_id"]) not in only:
                    continue
                done.add(command["command_id"])
                results += [
                    {
                        **command,
                        "plan_id": order["plan_id"],
                        "action": order["action"],
                        "state": state,
                        "detail": detail,
                        "at": now(),
                        "power_before_w": before_w[command["miner_id"]],
                        "power_after_w": after_w,
                        "power_estimated": estimated,
                    }
                    for state in states
                ]
        await deliver(
            "telemetry.command.progressed.v1",
            {"site_id": str(outside.site_id), "results": results},
        )

    return send


@pytest.fixture
def wanted(site_id: UUID) -> Callable[..., dict[str, Any]]:
    """Make the body of a trigger for so many megawatts."""

    def make(megawatts: float, **more: Any) -> dict[str, Any]:
        return {
            "site_id": str(site_id),
            "target_power_reduction_mw": megawatts,
            "strategy": "performance_priority",
            **more,
        }

    return make
