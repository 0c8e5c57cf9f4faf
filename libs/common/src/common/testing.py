"""The pytest plugin: real PostgreSQL, Redis and Kafka, and one tenant per test.

What hangs on the service under test lives for a module, as one process tests several services.

Tests commit for real. What keeps them apart is the wall that keeps customers apart: each test has
an organisation of its own. A worker process has its own database, topic prefix and Redis index.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from asyncpg import InternalServerError, UniqueViolationError
from fastapi import FastAPI
from hypothesis import settings as hypothesis_settings
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Receive, Scope, Send

from common import auth, migrations, postgres
from common.app import Service, service_app
from common.background import running
from common.bootstrap import bootstrap_sql
from common.clock import now
from common.consumer import Dispatcher
from common.envelope import Message
from common.events import topic_of
from common.ids import new_id
from common.log import configure
from common.runtime import Runtime
from common.settings import ServiceSettings

INTERNAL_KEY = "test-internal-key-of-32-characters-or-more"
ALL_SCOPES = frozenset(
    {
        "organisations:read", "organisations:write", "api-keys:write", "audit:read", "sites:read",
        "sites:write", "miners:read", "miners:write", "miners:approve", "miners:command",
        "curtailment:read", "curtailment:command", "curtailment:approve", "telemetry:read",
        "miner-models:write", "recommendations:run", "jobs:read", "telemetry:history",
        "calculations:run", "calculations:read", "quotes:write", "market:read", "market:write",
        "forecasts:read", "insights:read", "treasury:read", "treasury:write", "treasury:approve",
        "tariffs:read", "tariffs:write", "costs:read", "costs:write", "wind:read", "wind:write",
    }
)  # fmt: skip

hypothesis_settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
hypothesis_settings.load_profile("ci")

ClientFor = Callable[..., httpx.AsyncClient]
TenantSessions = Callable[..., AbstractAsyncContextManager[AsyncSession]]


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """Where this test process finds its broker, database and cache."""

    postgres_dsn: str
    redis_url: str
    kafka_bootstrap: str
    prefix: str


def _infra_file() -> Path:
    start = Path.cwd()
    for folder in (start, *start.parents):
        found = folder / ".local" / "test" / "infra.json"
        if found.exists():
            return found
    pytest.exit("No test infrastructure: run `make test`, or `python -m launcher infra up`.", 4)


async def _prepare(places: dict[str, str], database: str) -> int:
    """Create this process's database and choose its Redis index."""
    connection = await postgres.connect(places["postgres_dsn"])
    await connection.execute(f'CREATE DATABASE "{database}"')
    await connection.close()
    redis: Redis = Redis.from_url(places["redis_url"])  # pyright: ignore[reportUnknownMemberType]
    index = int(await redis.incr("hashyard:test:index")) % 1000 + 1
    await redis.aclose()
    chosen: Redis = Redis.from_url(f"{places['redis_url']}/{index}")  # pyright: ignore[reportUnknownMemberType]
    await chosen.flushdb()  # pyright: ignore[reportUnknownMemberType]
    await chosen.aclose()
    return index


async def _drop(dsn: str, database: str) -> None:
    connection = await postgres.connect(dsn)
    await connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
    await connection.close()


@pytest.fixture(scope="session")
def infra() -> Generator[Infrastructure]:
    """This test process's own database, Redis index and topic prefix."""
    configure("test", "WARNING")
    places: dict[str, str] = orjson.loads(_infra_file().read_bytes())
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    prefix = f"t{os.getpid()}{worker}"
    database = f"test_{prefix}"
    index = asyncio.run(_prepare(places, database))
    dsn = places["postgres_dsn"].rpartition("/")[0] + f"/{database}"
    yield Infrastructure(
        postgres_dsn=dsn,
        redis_url=f"{places['redis_url']}/{index}",
        kafka_bootstrap=places["kafka_bootstrap"],
        prefix=f"{prefix}.",
    )
    asyncio.run(_drop(places["postgres_dsn"], database))


def _dsn(infra: Infrastructure, role: str) -> str:
    place = infra.postgres_dsn.rpartition("@")[2]
    return f"postgresql+asyncpg://{role}@{place}"


MakeSettings = Callable[..., ServiceSettings]


@pytest.fixture(scope="session")
def make_settings(infra: Infrastructure) -> MakeSettings:
    """Settings of any service on this process's infrastructure; overrides by field name."""

    def make(service: Service, **overrides: Any) -> ServiceSettings:
        values: dict[str, Any] = {
            "database_url": _dsn(infra, f"{service.name}_app"),
            "worker_database_url": _dsn(infra, f"{service.name}_worker"),
            "owner_database_url": _dsn(infra, f"{service.name}_owner"),
            "database_pool_size": 5,
            "internal_key": INTERNAL_KEY,
            "port": 1,
            "ops_port": 2,
            "environment": "test",
            "kafka_bootstrap": infra.kafka_bootstrap,
            "kafka_topic_prefix": infra.prefix,
            "redis_url": infra.redis_url,
            "log_level": "WARNING",
            "allow_simulated_miners": True,
        }
        return service.settings(**(values | overrides))

    return make


@pytest.fixture(scope="session")
def extra_settings() -> dict[str, Any]:
    """Settings that a service needs beyond the common ones; a conftest overrides this."""
    return {}


@pytest.fixture(scope="session")
def migrated(infra: Infrastructure) -> Callable[[Service], Awaitable[None]]:
    """Prepare roles, schema and tables of a service, once per process."""
    done: set[str] = set()

    async def migrate(service: Service) -> None:
        if service.name in done:
            return
        done.add(service.name)
        connection = await postgres.connect(infra.postgres_dsn)
        for statement in bootstrap_sql([service.name], {}):
            await _patiently(connection, statement)
        await connection.close()
        dsn = _dsn(infra, f"{service.name}_owner")
        await asyncio.to_thread(migrations.migrate, service.versions, service.metadata, dsn)

    return migrate


async def _patiently(connection: postgres.Connection, statement: str) -> None:
    """Run DDL on roles, which all test processes share: two at once may collide."""
    for _ in range(20):
        try:
            await connection.execute(statement)
        except (InternalServerError, UniqueViolationError):
            await asyncio.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
async def settings(
    service: Service,
    make_settings: MakeSettings,
    extra_settings: dict[str, Any],
    migrated: Callable[[Service], Awaitable[None]],
) -> ServiceSettings:
    """Settings of the service under test, its schema at head."""
    await migrated(service)
    return make_settings(service, **extra_settings)


@pytest.fixture(scope="module")
async def app(service: Service, settings: ServiceSettings) -> AsyncGenerator[FastAPI]:
    """The service's application, started, with no background work."""
    made = service_app(service, settings, role="api")
    async with made.router.lifespan_context(made) as found:
        state: dict[str, Any] = dict(found or {})

        async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
            await made({**scope, "state": dict(state)}, receive, send)

        made.state.asgi = asgi
        yield made


@pytest.fixture(scope="module")
def runtime(app: FastAPI) -> Runtime:
    """The runtime of the application under test."""
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
def organisation() -> UUID:
    """A tenant of this test's own."""
    return new_id()


@pytest.fixture
def principal(organisation: UUID) -> Callable[..., auth.Principal]:
    """Make a principal; by default the Owner of this test's organisation with every scope."""

    def make(**changes: Any) -> auth.Principal:
        values: dict[str, Any] = {
            "subject": new_id(),
            "kind": "user",
            "organisation_id": organisation,
            "client_id": None,
            "role": "Owner",
            "scopes": ALL_SCOPES,
            "request_id": str(new_id()),
            "expires_at": now() + timedelta(seconds=30),
        }
        return auth.Principal(**(values | changes))

    return make


@pytest.fixture
async def client_as(
    app: FastAPI, service: Service, principal: Callable[..., auth.Principal]
) -> AsyncGenerator[ClientFor]:
    """Make an HTTP client of the application as some principal (see `principal`)."""
    async with AsyncExitStack() as stack:

        def make(**changes: Any) -> httpx.AsyncClient:
            token = auth.mint(
                principal(**changes), audience=service.name, key=INTERNAL_KEY, ttl_s=600
            )
            made = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app.state.asgi, raise_app_exceptions=False),
                base_url="http://service",
                headers={auth.HEADER: token},
                timeout=30,
            )
            stack.push_async_callback(made.aclose)
            return made

        yield make


@pytest.fixture
def client(client_as: ClientFor) -> httpx.AsyncClient:
    """An HTTP client as the Owner of this test's organisation."""
    return client_as()


@pytest.fixture
def tenant_session(runtime: Runtime, organisation: UUID) -> TenantSessions:
    """Open a committing session walled to this test's organisation (or another)."""

    @asynccontextmanager
    async def open_session(
        organisation_id: UUID | None = None, client_id: UUID | None = None
    ) -> AsyncGenerator[AsyncSession]:
        async with runtime.tenant_session(organisation_id or organisation, client_id) as session:
            yield session

    return open_session


@pytest.fixture
def worker_session(runtime: Runtime) -> Callable[[], AbstractAsyncContextManager[AsyncSession]]:
    """Open a committing session of the worker role."""
    return runtime.worker_session


@pytest.fixture
def published(
    runtime: Runtime, organisation: UUID
) -> Callable[..., Awaitable[list[dict[str, Any]]]]:
    """List this organisation's outbox in order: type, key, version, data; by type if given."""

    async def read(
        event_type: str | None = None, organisation_id: UUID | None = None
    ) -> list[dict[str, Any]]:
        query = text(
            f"SELECT type, topic, key, version, data FROM {runtime.name}.outbox "  # noqa: S608
            "WHERE organisation_id = :org AND (CAST(:type AS text) IS NULL OR type = :type) "
            "ORDER BY id"
        )
        async with runtime.worker_session() as session:
            rows = await session.execute(
                query, {"org": organisation_id or organisation, "type": event_type}
            )
            return [dict(row) for row in rows.mappings()]

    return read


@pytest.fixture
def deliver(
    service: Service, runtime: Runtime, organisation: UUID
) -> Callable[..., Awaitable[UUID]]:
    """Hand an event to the service's reactions as the consumer would; returns its id.

    Without data it is a tombstone of `key`.
    """
    dispatcher = Dispatcher(runtime, service.reactions)

    async def send(
        event_type: str,
        data: dict[str, Any] | None,
        *,
        key: str = "test",
        version: int = 1,
        organisation_id: UUID | None = None,
        event_id: UUID | None = None,
    ) -> UUID:
        owner = organisation_id or organisation
        chosen = event_id or new_id()
        body = {"organisation_id": str(owner), "version": version} | (data or {})
        message = Message(
            event_id=chosen,
            type=event_type,
            organisation_id=owner,
            version=version,
            occurred_at=now(),
            correlation_id="test",
            topic=topic_of(event_type),
            partition=0,
            position=0,
            key=key,
            value=None if data is None else orjson.dumps(body, default=str),
        )
        await dispatcher.dispatch([message])
        return chosen

    return send


@pytest.fixture
def running_service(
    make_settings: MakeSettings, migrated: Callable[[Service], Awaitable[None]]
) -> Callable[..., AbstractAsyncContextManager[Runtime]]:
    """Run a service's background work for real (relay, consumer, tasks), without HTTP."""

    @asynccontextmanager
    async def run(service: Service, **overrides: Any) -> AsyncGenerator[Runtime]:
        await migrated(service)
        async with running(
            service.work(), make_settings(service, **overrides), "worker"
        ) as runtime:
            yield runtime

    return run
