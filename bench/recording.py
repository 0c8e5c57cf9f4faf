"""Recording: 6,000 machines, a month of half-hours, from events to costs in PostgreSQL.

    python bench/recording.py [--json FILE] [--machines 6000] [--days 30] [--clients 20]

The events are those of telemetry (at most 500 machines each), handed as bytes to the service's own
dispatcher in batches as Kafka gives them: inbox, parsing, checks, rows and their transaction count
as intake. Rating is what follows: local days by a time-of-use tariff with service and demand
charges, sums per machine, client and site, and the events of it. The tables live in a database of
their own in the test infrastructure's PostgreSQL. Beside it stands the time in which PostgreSQL
takes the same number of bytes by COPY: what the machine itself needs; and a fixed loop, timed just
before and after rating, which says how busy the machine was.
"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import orjson
from fastapi import FastAPI
from sqlalchemy import text
from starlette.types import Receive, Scope, Send

from common import auth, migrations, postgres
from common.app import service_app
from common.bootstrap import bootstrap_sql
from common.clock import now
from common.consumer import Dispatcher
from common.envelope import Message
from common.ids import new_id
from common.runtime import Runtime
from energy.costs.rater import rate_due
from energy.costs.reactions import HalfHourClosed
from energy.costs.reading import cost_between
from energy.main import SERVICE
from energy.settings import Settings

LIMIT_S = 10.0
PER_EVENT = 500
BATCH = 200
KEY = "k" * 40
HALF_HOUR = timedelta(minutes=30)
START = datetime(2026, 4, 1, tzinfo=UTC)
RATE: dict[str, Any] = {
    "name": "Time of use", "rate_type": "tou", "timezone": "UTC", "currency": "USD",
    "tou_schedule": [
        {"name": "Off-Peak", "rate": "0.08", "days": list(range(7)), "start_hour": 21,
         "end_hour": 7},
        {"name": "Peak", "rate": "0.18", "days": list(range(7)), "start_hour": 7, "end_hour": 21},
    ],
    "daily_service_charge_usd": "1.00", "demand_charge_usd_per_kw": "5.00", "active": True,
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What was measured."""

    machines: int
    half_hours: int
    events: int
    parsing_s: float
    intake_s: float
    rating_s: float
    rating_cpu_s: float
    calibration_s: float
    limit_s: float
    ratio_to_limit: float
    copy_s: float
    stored_mb: float
    cost_usd: str


def events(machines: int, days: int, clients: int, site: UUID) -> Iterator[bytes]:
    """Yield the events' bodies, half-hour by half-hour."""
    rng = np.random.default_rng(5)
    miners = [str(new_id()) for _ in range(machines)]
    owners = [str(new_id()) for _ in range(clients)]
    owner = [owners[place * clients // machines] for place in range(machines)]
    for half_hour in range(days * 48):
        at = START + half_hour * HALF_HOUR
        kwh = np.round(rng.uniform(1.6, 1.75, machines), 6).tolist()
        for first in range(0, machines, PER_EVENT):
            rows = [
                {
                    "miner_id": miners[place], "client_id": owner[place], "kwh": kwh[place],
                    "th_h": 100.0, "state": "mining", "cause": None, "coverage": 1.0,
                }
                for place in range(first, min(first + PER_EVENT, machines))
            ]  # fmt: skip
            yield orjson.dumps(
                {"site_id": site, "starts_at": at, "revision": 1, "simulated": True, "rows": rows}
            )


def message(organisation: UUID, event_type: str, body: bytes) -> Message:
    """Return an event as Kafka's consumer hands it on."""
    return Message(
        event_id=new_id(), type=event_type, organisation_id=organisation, version=1,
        occurred_at=now(), correlation_id="bench", topic="telemetry.half-hour.v1", partition=0,
        position=0, key="bench", value=body,
    )  # fmt: skip


async def prepare(places: dict[str, str], name: str) -> Settings:
    """Make a database with the service's tables."""
    admin = await postgres.connect(places["postgres_dsn"])
    await admin.execute(f'CREATE DATABASE "{name}"')
    await admin.close()
    dsn = places["postgres_dsn"].rpartition("/")[0] + f"/{name}"
    connection = await postgres.connect(dsn)
    for statement in bootstrap_sql(["energy"], {}):
        await connection.execute(statement)
    await connection.close()
    place = dsn.rpartition("@")[2]
    urls = {
        role: f"postgresql+asyncpg://energy_{role}@{place}" for role in ("owner", "app", "worker")
    }
    await asyncio.to_thread(migrations.migrate, SERVICE.versions, SERVICE.metadata, urls["owner"])
    return Settings.model_validate(
        {
            "database_url": urls["app"], "worker_database_url": urls["worker"],
            "owner_database_url": urls["owner"], "internal_key": KEY, "port": 1,
            "ops_port": 2, "environment": "test", "kafka_bootstrap": places["kafka_bootstrap"],
            "redis_url": places["redis_url"], "log_level": "WARNING",
        }
    )  # fmt: skip


async def tariff(app: FastAPI, state: dict[str, Any], organisation: UUID) -> None:
    """Create the rate through the API."""
    owner = auth.Principal(
        subject=new_id(), kind="user", organisation_id=organisation, client_id=None, role="Owner",
        scopes=frozenset({"tariffs:read", "tariffs:write"}), request_id="bench",
        expires_at=now() + timedelta(minutes=5),
    )  # fmt: skip
    token = auth.mint(owner, audience="energy", key=KEY, ttl_s=300)

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=asgi),
        base_url="http://energy",
        headers={auth.HEADER: token},
    ) as client:
        answer = await client.post("/api/electricity/rates", json=RATE)
        answer.raise_for_status()


async def feed(
    runtime: Runtime, organisation: UUID, bodies: Iterator[bytes]
) -> tuple[float, float, int]:
    """Hand all events to the service; return seconds of it, of parsing alone, and their number."""
    dispatcher = Dispatcher(runtime, SERVICE.reactions, "costs")
    spent = parsing = 0.0
    count = 0
    while batch := [
        message(organisation, "telemetry.half-hour.closed.v1", body)
        for body in itertools.islice(bodies, BATCH)
    ]:
        began = time.perf_counter()
        await dispatcher.dispatch(batch)
        spent += time.perf_counter() - began
        began = time.perf_counter()
        for one in batch:
            HalfHourClosed.model_validate_json(one.value or b"")
        parsing += time.perf_counter() - began
        count += len(batch)
    return spent, parsing, count


def calibrated() -> float:
    """Return how long a fixed loop takes now: about 0.2 s on an idle core of 2024."""
    began = time.perf_counter()
    total = 0
    for number in range(5_000_000):
        total += number & 7
    return time.perf_counter() - began


async def copied(runtime: Runtime, dsn: str) -> tuple[float, float]:
    """Return how long a COPY of as many bytes takes, and how many MB that is."""
    async with runtime.worker_session() as session:
        size = await session.scalar(
            text(
                "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'energy' "
                "AND c.relkind = 'r' AND c.relname IN ('half_hour_part', 'cost_day', "
                "'electricity_costs', 'roster', 'outbox', 'inbox')"
            )
        )
    connection: Any = await postgres.connect(dsn)
    await connection.execute("CREATE TABLE public.plain (bytes bytea)")
    await connection.execute("ALTER TABLE public.plain ALTER bytes SET STORAGE EXTERNAL")
    chunk = np.random.default_rng(1).bytes(4096)
    began = time.perf_counter()
    await connection.copy_records_to_table(
        "plain", schema_name="public", records=((chunk,) for _ in range(int(size) // 4096))
    )
    spent = time.perf_counter() - began
    await connection.close()
    return spent, int(size) / 1e6


async def measure(arguments: argparse.Namespace) -> Result:
    """Run it once."""
    places: dict[str, str] = json.loads(Path(".local/test/infra.json").read_text())
    name = f"bench_{new_id().hex[-12:]}"
    settings = await prepare(places, name)
    dsn = places["postgres_dsn"].rpartition("/")[0] + f"/{name}"
    app = service_app(SERVICE, settings, role="api")
    organisation, site = new_id(), new_id()
    try:
        async with app.router.lifespan_context(app) as state:
            runtime: Runtime = app.state.runtime
            await tariff(app, dict(state or {}), organisation)
            place = {"site_id": site, "name": "Bench", "location": "Bench", "timezone": "UTC"}
            await Dispatcher(runtime, SERVICE.reactions).dispatch(
                [message(organisation, "hosting.site.changed.v1", orjson.dumps(place))]
            )
            bodies = events(arguments.machines, arguments.days, arguments.clients, site)
            intake, parsing, count = await feed(runtime, organisation, bodies)
            before = calibrated()
            began, used = time.perf_counter(), time.process_time()
            await rate_due(runtime)
            rating, cpu = time.perf_counter() - began, time.process_time() - used
            calibration = (before + calibrated()) / 2
            async with runtime.tenant_session(organisation) as session:
                end = START + timedelta(days=arguments.days)
                cost = await cost_between(session, site_id=site, start=START, end=end)
            copy_s, stored = await copied(runtime, dsn)
    finally:
        admin = await postgres.connect(places["postgres_dsn"])
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.close()
    return Result(
        machines=arguments.machines, half_hours=arguments.days * 48, events=count,
        parsing_s=round(parsing, 2), intake_s=round(intake, 2), rating_s=round(rating, 2),
        rating_cpu_s=round(cpu, 2), calibration_s=round(calibration, 2),
        limit_s=LIMIT_S, ratio_to_limit=round(rating / LIMIT_S, 3), copy_s=round(copy_s, 2),
        stored_mb=round(stored, 1), cost_usd=str(cost.total_cost),
    )  # fmt: skip


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--machines", type=int, default=6_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--clients", type=int, default=20)
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments))
    for name, value in asdict(result).items():
        print(f"{name:>16}  {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(result), indent=2))


if __name__ == "__main__":
    main()
