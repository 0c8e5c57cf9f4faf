"""The database of an installation: made, given its roles and schemas, migrated."""

import asyncio
import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import cast

from asyncpg.exceptions import DuplicateDatabaseError, UndefinedTableError

from common.bootstrap import bootstrap_sql
from common.postgres import Connection, connect
from common.revisions import head
from launcher.installation import DATABASE, READER, ROLES, SERVICES, Installation
from launcher.paths import ROOT
from launcher.processes import NotReadyError, child_environment, tail


def prepare(installation: Installation) -> list[str]:
    """Make database, roles and schemas; return the services whose schema is not at head."""
    return asyncio.run(_prepare(installation))


async def _prepare(installation: Installation) -> list[str]:
    postgres, kept = installation.infrastructure.postgres, installation.secrets()
    server = await connect(postgres.dsn)
    try:
        with contextlib.suppress(DuplicateDatabaseError):
            await server.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await server.close()
    passwords = {
        f"{service}_{role}": kept[f"{service}_{role}_password"]
        for service in SERVICES
        for role in ROLES
    }
    connection = await connect(postgres.dsn_of("postgres", postgres.password, DATABASE))
    try:
        for statement in bootstrap_sql(SERVICES, passwords):
            await connection.execute(statement)
        return [name for name in SERVICES if await _current(connection, name) != _wanted(name)]
    finally:
        await connection.close()


def open_to_reader(installation: Installation) -> None:
    """Let the role of the printed DSN read every table, but no secret in it; it changes nothing."""
    asyncio.run(_open_to_reader(installation))


async def _open_to_reader(installation: Installation) -> None:
    postgres, kept = installation.infrastructure.postgres, installation.secrets()
    connection = await connect(postgres.dsn_of("postgres", postgres.password, DATABASE))
    try:
        for statement in _reader_sql(kept[f"{READER}_password"]):
            await connection.execute(statement)
        for row in await connection.fetch(_TABLES_WITH_SECRETS, list(SERVICES)):
            table = f'{row["schema"]}."{row["name"]}"'
            columns = ", ".join(f'"{column}"' for column in row["harmless"])
            revoke = f"REVOKE SELECT ON {table} FROM {READER}"  # noqa: S608  (our own names)
            await connection.execute(revoke)
            await connection.execute(f"GRANT SELECT ({columns}) ON {table} TO {READER}")
    finally:
        await connection.close()


_HIDDEN = "(password|secret|digest|sealed|credentials)"
"""Columns that the printed role does not read."""
_TABLES_WITH_SECRETS = f"""
    SELECT table_schema AS schema, table_name AS name,
        array_agg(column_name::text) FILTER (WHERE column_name !~ '{_HIDDEN}') AS harmless
    FROM information_schema.columns WHERE table_schema = ANY($1::text[])
    GROUP BY 1, 2 HAVING bool_or(column_name ~ '{_HIDDEN}')
"""  # noqa: S608  (our own words)


def _reader_sql(password: str) -> list[str]:
    """Return what makes the role, and lets it read what there is and what will come."""
    return [
        (
            f"DO $$ BEGIN CREATE ROLE {READER} LOGIN BYPASSRLS; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        ),
        f"ALTER ROLE {READER} PASSWORD '{password}'",
        f"ALTER ROLE {READER} SET default_transaction_read_only = on",
        f"REVOKE pg_read_all_data FROM {READER}",
        *(
            statement
            for service in SERVICES
            for statement in (
                f"GRANT USAGE ON SCHEMA {service} TO {READER}",
                f"GRANT SELECT ON ALL TABLES IN SCHEMA {service} TO {READER}",
                (
                    f"ALTER DEFAULT PRIVILEGES FOR ROLE {service}_owner IN SCHEMA {service} "
                    f"GRANT SELECT ON TABLES TO {READER}"
                ),
            )
        ),
    ]


async def _current(connection: Connection, service: str) -> str | None:
    with contextlib.suppress(UndefinedTableError):
        return cast(
            "str | None",
            await connection.fetchval(f"SELECT version_num FROM {service}.alembic_version"),  # noqa: S608  (our own names)
        )
    return None


def _wanted(service: str) -> str | None:
    folder = ROOT / "gateway" if service == "gateway" else ROOT / "services" / service
    return head(folder / "migrations" / "versions")


def migrate(installation: Installation, services: list[str]) -> None:
    """Bring schemas to head, each by its service's own command, as many at once as processors.

    Raises:
        NotReadyError: a migration failed.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        codes = list(pool.map(partial(_migrate, installation), services))
    failed = [name for name, code in zip(services, codes, strict=True) if code]
    if failed:
        raise NotReadyError(f"Migrating {', '.join(failed)} failed. {tail(_log(installation))}")


def _migrate(installation: Installation, service: str) -> int:
    """Run one service's migrations; only this process gets to see the owner's address."""
    log = _log(installation)
    log.parent.mkdir(parents=True, exist_ok=True)
    owner = {f"{service.upper()}_OWNER_DATABASE_URL": installation.owner_dsns()[service]}
    with log.open("ab") as output:
        return subprocess.run(
            [sys.executable, "-m", service, "migrate"],
            check=False,
            env=child_environment({**installation.environment_of(service), **owner}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ).returncode


def _log(installation: Installation) -> Path:
    return installation.log("migrations")
