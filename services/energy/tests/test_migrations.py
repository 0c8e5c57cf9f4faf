from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from common.runtime import Runtime
from energy.db import Base

SCHEMA = "energy"
WALLED = text(
    "SELECT c.table_name FROM information_schema.columns c JOIN pg_class t "
    "ON t.oid = format('%I.%I', c.table_schema, c.table_name)::regclass "
    "WHERE c.table_schema = :schema AND c.column_name = 'organisation_id' "
    "AND NOT (t.relrowsecurity AND t.relforcerowsecurity)"
)


def belongs(name: str | None, kind: str, _: object) -> bool:
    """Return whether a schema or table is this service's own; not Alembic's, nor the job queue."""
    if kind == "schema":
        return name == SCHEMA
    return kind != "table" or not (name or "").startswith(("alembic", "pgqueuer"))


def differences(connection: Connection) -> list[Any]:
    """What a new revision would change."""
    options: dict[str, Any] = {"include_schemas": True, "include_name": belongs}
    context = MigrationContext.configure(connection, opts=options)
    return compare_metadata(context, Base.metadata)


async def test_the_migrated_schema_is_what_the_models_say(runtime: Runtime) -> None:
    async with runtime.worker_engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_tenant_table_is_walled(runtime: Runtime) -> None:
    async with runtime.worker_engine.connect() as connection:
        assert list(await connection.scalars(WALLED, {"schema": SCHEMA})) == []
