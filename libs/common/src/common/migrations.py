"""Migrations: one linear history per service, in its own schema, run by its owner role.

Services share this environment; a member holds only `migrations/versions/`. Each revision must
suit the previous release, which still serves while it runs.
"""

from pathlib import Path
from typing import Any

from alembic import command, context, op
from alembic.config import Config
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from common.frozen_ddl import MESSAGING_TABLES_1, PLATFORM_GRANTS_1, PLATFORM_TABLES_1

_TEMPLATES = Path(__file__).parent / "alembic_environment"
_LOCK = 7_201_311


def config(versions: Path, metadata: MetaData, dsn: str) -> Config:
    """Return the Alembic configuration of a service; there is no alembic.ini."""
    made = Config()
    made.set_main_option("script_location", str(_TEMPLATES))
    made.set_main_option("version_locations", str(versions))
    made.set_main_option("path_separator", "newline")
    made.set_main_option(
        "file_template", "%%(year)d-%%(month).2d-%%(day).2d-%%(hour).2d%%(minute).2d_%%(slug)s"
    )
    made.attributes.update(metadata=metadata, dsn=dsn)
    return made


def migrate(versions: Path, metadata: MetaData, dsn: str) -> None:
    """Bring the schema to head. Safe to run from several places at once."""
    command.upgrade(config(versions, metadata, dsn), "head")


def revise(versions: Path, metadata: MetaData, dsn: str, message: str) -> None:
    """Write a new revision from the difference between the models and the database."""
    command.revision(
        config(versions, metadata, dsn),
        message,
        autogenerate=True,
        version_path=str(versions),
        head="head" if list(versions.glob("*.py")) else "base",
    )


async def run_in_environment() -> None:
    """Run the migrations; called by Alembic's env.py."""
    attributes = context.config.attributes
    engine = create_async_engine(attributes["dsn"], poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_run, attributes["metadata"])
        await connection.commit()
    await engine.dispose()


def _run(connection: Connection, metadata: MetaData) -> None:
    connection.execute(text("SET lock_timeout = '4s'"))
    connection.execute(text("SET statement_timeout = '60s'"))
    connection.execute(text("SET search_path = pg_catalog"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock, hashtext(:schema))").bindparams(
        lock=_LOCK, schema=metadata.schema
    ))  # fmt: skip

    def ours(_: Any, name: str | None, kind: str, __: Any, ___: Any) -> bool:
        return not (kind == "table" and (name or "").startswith(("pgqueuer", "sample_", "alembic")))

    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=metadata.schema,
        include_schemas=True,
        include_name=lambda name, kind, _: kind != "schema" or name == metadata.schema,
        include_object=ours,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def tenant_policy(schema: str, table: str, *, client: bool = False, shared: bool = False) -> None:
    """Wall a table off by organisation, for use in a revision.

    client: rows with a `client_id` are also walled off by client.
    shared: rows of the platform organisation can be read (not written) by every tenant.
    """
    name = f'{schema}."{table}"'
    mine = (
        "organisation_id = (SELECT nullif(current_setting('app.organisation_id', true), '')::uuid)"
    )
    if client:
        own = "(SELECT nullif(current_setting('app.client_id', true), '')::uuid)"
        mine = f"{mine} AND ({own} IS NULL OR client_id = {own})"
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {name} TO {schema}_app USING ({mine}) WITH CHECK ({mine})")
    op.execute(
        f"CREATE POLICY worker ON {name} TO {schema}_worker, {schema}_owner "
        "USING (true) WITH CHECK (true)"
    )
    if shared:
        platform = "organisation_id = '00000000-0000-0000-0000-000000000000'"
        op.execute(f"CREATE POLICY shared ON {name} FOR SELECT TO {schema}_app USING ({platform})")


_WALLED_1 = ("outbox", "dead_letter", "audit_event", "idempotency_key", "job")


def create_platform_tables(schema: str, *, queue: bool = False) -> None:
    """Make the tables that `common` gives every service, in its first revision.

    Frozen (see `common.frozen_ddl`): it makes the tables of version 1, and so do all databases
    that ran it. queue: the service has jobs, make their queue as well.
    """
    for statement in PLATFORM_TABLES_1:
        op.execute(statement.format(schema=schema))
    for table in _WALLED_1:
        tenant_policy(schema, table)
    for statement in PLATFORM_GRANTS_1:
        op.execute(statement.format(schema=schema))
    if queue:
        job_queue(schema)


def drop_platform_tables(schema: str, *, queue: bool = False) -> None:
    """Take `create_platform_tables` back, in the same revision's downgrade."""
    if queue:
        drop_job_queue(schema)
    for table in (*_WALLED_1, "inbox"):
        op.execute(f"DROP TABLE {schema}.{table}")


_MESSAGING_1 = ("mail", "mail_opt_out", "webhook", "webhook_delivery")


def create_messaging_tables(schema: str) -> None:
    """Make the tables of `common.messaging`, in a revision of a service that sends messages.

    Frozen as the platform tables are.
    """
    for statement in MESSAGING_TABLES_1:
        op.execute(statement.format(schema=schema))
    for table in _MESSAGING_1:
        tenant_policy(schema, table, client=table != "mail_opt_out")


def drop_messaging_tables(schema: str) -> None:
    """Take `create_messaging_tables` back, in the same revision's downgrade."""
    for table in _MESSAGING_1:
        op.execute(f"DROP TABLE {schema}.{table}")


def job_queue(schema: str) -> None:
    """Create the job queue's tables, in a revision of a service that has got jobs since."""
    from common.jobs import install_statements  # noqa: PLC0415  (pgqueuer, only where it is used)

    _run_script(install_statements(schema))


def drop_job_queue(schema: str) -> None:
    """Take `job_queue` back."""
    from common.jobs import uninstall_statements  # noqa: PLC0415  (pgqueuer, as above)

    _run_script(uninstall_statements(schema))


def _run_script(script: str) -> None:
    connection: Any = op.get_bind().connection.dbapi_connection

    async def execute(raw: Any) -> None:
        await raw.execute(script)  # a script of several statements cannot be a prepared one

    connection.run_async(execute)
