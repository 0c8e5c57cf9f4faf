"""What every service gets from its first revision: made, matched by the models, never edited."""

import asyncio
import hashlib
import io
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from common import jobs, migrations, postgres
from common.app import Service
from common.bootstrap import bootstrap_sql
from common.runtime import Runtime
from common.testing import Infrastructure

FROZEN = {
    "platform tables": "c9d0897c77280fe5",
    "a tenant's table": "cd74ded983f571bc",
    "a client's table": "2e0ce11782f2b2b7",
    "a shared table": "dae7b2af3f624ab5",
    "messaging tables": "d269f90fa54a44cd",
    "job queue": "6e74614cc9452b90",
}
"""Digests of what revisions have run. They stay: a change is a new function with a new line."""


def emitted(name: str) -> str:
    """Return the SQL that a function for revisions runs."""
    if name == "job queue":
        # pgqueuer's own: when it changes, each service with jobs needs a revision that alters it.
        return jobs.install_statements("some").partition("\n")[2]
    made = io.StringIO()
    options: dict[str, Any] = {"as_sql": True, "output_buffer": made}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with Operations.context(context):
        match name:
            case "platform tables":
                migrations.create_platform_tables("some")
            case "messaging tables":
                migrations.create_messaging_tables("some")
            case "a client's table":
                migrations.tenant_policy("some", "thing", client=True)
            case "a shared table":
                migrations.tenant_policy("some", "thing", shared=True)
            case _:
                migrations.tenant_policy("some", "thing")
    return made.getvalue()


@pytest.mark.parametrize("name", FROZEN)
def test_what_revisions_have_run_is_never_edited(name: str) -> None:
    assert hashlib.sha256(emitted(name).encode()).hexdigest()[:16] == FROZEN[name]


async def test_the_models_are_what_the_revisions_make(runtime: Runtime, service: Service) -> None:
    def own(name: str | None, kind: str, _: object) -> bool:
        if kind == "schema":
            return name == service.name
        return not (kind == "table" and (name or "").startswith(("pgqueuer", "alembic")))

    def differences(connection: Connection) -> list[Any]:
        options: dict[str, Any] = {"include_schemas": True, "include_name": own}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, service.metadata)

    async with runtime.worker_engine.connect() as connection:
        assert await connection.run_sync(differences) == []


@pytest.fixture
async def empty_database(infra: Infrastructure, service: Service) -> AsyncGenerator[str]:
    """A database of this test's own, with the service's roles and schema; as its owner."""
    name = infra.postgres_dsn.rpartition("/")[2] + "_empty"
    dsn = infra.postgres_dsn.rpartition("/")[0] + f"/{name}"
    server = await postgres.connect(infra.postgres_dsn)
    await server.execute(f'CREATE DATABASE "{name}"')
    inside = await postgres.connect(dsn)
    for statement in bootstrap_sql([service.name], {}):
        await inside.execute(statement)
    await inside.close()
    yield f"postgresql+asyncpg://{service.name}_owner@{dsn.rpartition('@')[2]}"
    await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await server.close()


async def left_in(connection: AsyncConnection, schema: str) -> list[str]:
    """Return the relations, types and functions in a schema, apart from Alembic's own."""
    query = """
        SELECT relname FROM pg_class WHERE relnamespace = CAST(:schema AS regnamespace)
        AND relname !~ '^alembic'
        UNION SELECT typname FROM pg_type WHERE typnamespace = CAST(:schema AS regnamespace)
        AND typname !~ '^_?alembic'
        UNION SELECT proname FROM pg_proc WHERE pronamespace = CAST(:schema AS regnamespace)
    """
    return list(await connection.scalars(text(query), {"schema": schema}))


async def test_taking_the_first_revision_back_leaves_nothing(
    service: Service, empty_database: str
) -> None:
    config = migrations.config(service.versions, service.metadata, empty_database)
    engine = create_async_engine(empty_database, poolclass=NullPool)
    await asyncio.to_thread(command.upgrade, config, "head")
    async with engine.connect() as connection:
        assert "pgqueuer" in await left_in(connection, service.name)
    await asyncio.to_thread(command.downgrade, config, "base")
    async with engine.connect() as connection:
        assert await left_in(connection, service.name) == []
    await engine.dispose()
