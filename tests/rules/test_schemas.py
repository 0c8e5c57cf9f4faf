"""House rules over the live catalogue: the tenant wall stands on every table, models match."""

from collections.abc import Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from common.app import Service
from common.testing import Infrastructure

MEMBERS = ("gateway", "calculator", "hosting", "telemetry", "intelligence", "energy")


@pytest.fixture(scope="module")
async def catalogue(
    infra: Infrastructure, members: dict[str, Service], migrated: Callable[..., Any]
) -> str:
    for one in members.values():
        await migrated(one)
    return infra.postgres_dsn.replace("postgresql://", "postgresql+asyncpg://")


async def _rows(dsn: str, query: str) -> list[Any]:
    engine = create_async_engine(dsn, poolclass=NullPool)
    async with engine.connect() as connection:
        found = list((await connection.execute(text(query))).all())
    await engine.dispose()
    return found


async def test_every_tenant_table_is_walled_off(catalogue: str) -> None:
    query = """
        SELECT n.nspname, c.relname FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organisation_id'
        WHERE n.nspname IN
            ('gateway', 'calculator', 'hosting', 'telemetry', 'intelligence', 'energy')
        AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
    """
    open_tables = {tuple(row) for row in await _rows(catalogue, query)}
    readable = await _rows(
        catalogue,
        "SELECT table_schema, table_name FROM information_schema.role_table_grants "
        "WHERE grantee LIKE '%\\_app' AND privilege_type = 'SELECT'",
    )
    assert open_tables & {tuple(row) for row in readable} == set()


async def test_what_carries_no_tenant_is_not_the_apps_to_read(catalogue: str) -> None:
    """Samples and roll-ups have no organisation: the app role reads them through views only."""
    query = """
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'telemetry' AND c.relkind IN ('r', 'p')
        AND c.relname ~ '^(sample|rollup|half_hour|board)'
        AND has_table_privilege('telemetry_app', c.oid, 'SELECT')
    """
    assert await _rows(catalogue, query) == []


async def test_views_on_tenant_data_are_security_barriers(catalogue: str) -> None:
    query = """
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'telemetry' AND c.relkind = 'v'
        AND NOT coalesce(c.reloptions::text, '') LIKE '%security_barrier=true%'
    """
    assert await _rows(catalogue, query) == []


async def test_no_running_role_owns_anything(catalogue: str) -> None:
    query = """
        SELECT c.relname, r.rolname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
        WHERE r.rolname ~ '_(app|worker)$'
    """
    assert await _rows(catalogue, query) == []
    superior = (
        "SELECT rolname FROM pg_roles WHERE rolname ~ '_(app|worker|owner)$' AND "
        "(rolsuper OR rolbypassrls OR rolcreaterole)"
    )
    assert await _rows(catalogue, superior) == []


@pytest.mark.parametrize("name", MEMBERS)
async def test_models_and_migrations_agree(
    catalogue: str, members: dict[str, Service], name: str
) -> None:
    metadata = members[name].metadata

    def differences(connection: Connection) -> list[Any]:
        def ours(_: Any, table: str | None, kind: str, __: Any, ___: Any) -> bool:
            skipped = ("pgqueuer", "sample_", "alembic", "half_hour_", "rollup_")
            return not (kind == "table" and (table or "").startswith(skipped))

        def own_schema(one: str | None, kind: str, _: Any) -> bool:
            return kind != "schema" or one == metadata.schema

        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": own_schema,
                "include_object": ours,
                "version_table_schema": metadata.schema,
                "compare_type": True,
            },
        )
        return list(compare_metadata(context, metadata))

    engine = create_async_engine(catalogue, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text("SET search_path = pg_catalog"))
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert found == []


async def test_audit_lines_cannot_be_changed(catalogue: str) -> None:
    query = """
        SELECT grantee, table_schema FROM information_schema.role_table_grants
        WHERE table_name = 'audit_event' AND privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE')
        AND grantee ~ '_(app|worker)$'
    """
    assert await _rows(catalogue, query) == []
