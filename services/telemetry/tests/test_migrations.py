"""The schema is what the models say, and the app role sees samples through views only."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from common.runtime import Runtime
from telemetry.tables import METADATA

_WALLED = text(
    "SELECT c.table_name FROM information_schema.columns c JOIN pg_class t "
    "ON t.oid = format('%I.%I', c.table_schema, c.table_name)::regclass "
    "WHERE c.table_schema = 'telemetry' AND c.column_name = 'organisation_id' "
    "AND t.relkind = 'r' AND NOT (t.relrowsecurity AND t.relforcerowsecurity)"
)
_PARTITION = text("SELECT telemetry.ensure_sample_day('2026-02-01')")


def _belongs(name: str | None, kind: str, _: object) -> bool:
    if kind == "schema":
        return name == "telemetry"
    return name != "alembic_version" and not (name or "").startswith("sample_")


def _differences(connection: Connection) -> list[Any]:
    options: dict[str, Any] = {"include_schemas": True, "include_name": _belongs}
    context = MigrationContext.configure(connection, opts=options)
    return compare_metadata(context, METADATA)


async def test_the_migrated_schema_is_what_the_models_say(runtime: Runtime) -> None:
    async with runtime.worker_engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_every_tenant_table_is_walled(runtime: Runtime) -> None:
    async with runtime.worker_engine.connect() as connection:
        assert list(await connection.scalars(_WALLED)) == []


@pytest.mark.parametrize(
    "table",
    ["sample", "sample_20260201", "miner_state", "rollup_5m", "half_hour", "curtailment_interval"],
)
async def test_the_app_role_cannot_read_past_the_views(
    table: str,
    tenant_session: Callable[..., AbstractAsyncContextManager[AsyncSession]],
    worker_session: Callable[[], AbstractAsyncContextManager[AsyncSession]],
) -> None:
    async with worker_session() as session:
        await session.execute(_PARTITION)
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with tenant_session() as session:
            await session.execute(text(f"SELECT 1 FROM telemetry.{table}"))
