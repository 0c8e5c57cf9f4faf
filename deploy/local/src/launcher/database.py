"""The database of an installation: made, given its roles and schemas, migrated."""

import asyncio
import contextlib
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import cast

from asyncpg.exceptions import DuplicateDatabaseError, UndefinedTableError

from common.app import Service
from common.bootstrap import bootstrap_sql
from common.migrations import migrate
from common.postgres import Connection, connect
from common.revisions import head
from launcher.installation import DATABASE, READER, ROLES, SERVICES, Installation
from launcher.paths import ROOT


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
        for statement in _reader_sql(kept[f"{READER}_password"]):
            await connection.execute(statement)
        return [name for name in SERVICES if await _current(connection, name) != _wanted(name)]
    finally:
        await connection.close()


def _reader_sql(password: str) -> list[str]:
    """Return what makes the role of the printed DSN: sees everything, changes nothing."""
    return [
        (
            f"DO $$ BEGIN CREATE ROLE {READER} LOGIN BYPASSRLS; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        ),
        f"ALTER ROLE {READER} PASSWORD '{password}'",
        f"ALTER ROLE {READER} SET default_transaction_read_only = on",
        f"GRANT pg_read_all_data TO {READER}",
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


def migrate_all(services: list[str]) -> None:
    """Bring schemas to head, all in this process: loading Alembic is most of the work."""
    for name in services:
        service = cast("Service", import_module(f"{name}.main").SERVICE)
        migrate(
            service.versions, service.metadata, os.environ[f"{name.upper()}_OWNER_DATABASE_URL"]
        )
        print(f"{name} is at head", flush=True)


def migration_command(services: list[str]) -> list[str]:
    """Return the command that brings these schemas to head."""
    return [sys.executable, "-m", "launcher", "migrate", *services]


def migration_environment(installation: Installation) -> dict[str, str]:
    """Return the owners' addresses, which no serving process gets to see."""
    dsns = installation.owner_dsns()
    return {f"{name.upper()}_OWNER_DATABASE_URL": dsn for name, dsn in dsns.items()}


def log_of(installation: Installation) -> Path:
    """Return where the migrations say what they do."""
    return installation.log("migrations")
