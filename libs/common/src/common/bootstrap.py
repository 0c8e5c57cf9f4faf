"""What a database superuser does once per installation: roles and schemas, nothing else."""

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping, Sequence

from pydantic import SecretStr
from pydantic_settings import BaseSettings

ROLES = ("owner", "app", "worker")


def bootstrap_sql(services: Iterable[str], passwords: Mapping[str, str]) -> list[str]:
    """Return idempotent statements that create each service's three roles and its schema.

    `passwords` maps a role's name (`hosting_app`) to its password; a role without one keeps none.
    `<service>_owner` owns the schema and runs migrations; `<service>_app` and `<service>_worker`
    get rights on its tables by default privileges and are told apart by the tables' policies.
    """
    statements: list[str] = []
    for service in services:
        for role in (f"{service}_{kind}" for kind in ROLES):
            secret = passwords.get(role, "").replace("'", "''")
            statements.append(
                f"DO $$ BEGIN CREATE ROLE {role} LOGIN; "
                "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            )
            if secret:
                statements.append(f"ALTER ROLE {role} PASSWORD '{secret}'")
        owner, app, worker = (f"{service}_{kind}" for kind in ROLES)
        statements += [
            f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {owner}",
            f"GRANT USAGE ON SCHEMA {service} TO {app}, {worker}",
            *(
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {service} {grant}"
                for grant in (
                    f"GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app}, {worker}",
                    f"GRANT USAGE, SELECT ON SEQUENCES TO {app}, {worker}",
                    f"GRANT EXECUTE ON FUNCTIONS TO {app}, {worker}",
                )
            ),
        ]
    return statements


class BootstrapSettings(BaseSettings):
    """What the bootstrap is told, beside one `<SERVICE>_<ROLE>_PASSWORD` per role."""

    bootstrap_database_url: SecretStr
    """DSN of a superuser, to the installation's database."""


def password_of(role: str) -> str:
    """Return a role's password from `<ROLE>_PASSWORD`; it must be set."""
    return os.environ[f"{role.upper()}_PASSWORD"]


async def prepare(dsn: str, services: Sequence[str], passwords: Mapping[str, str]) -> None:
    """Create roles and schemas; repeating it changes nothing but passwords."""
    from common.postgres import connect  # noqa: PLC0415  (only this command needs it)

    connection = await connect(dsn, application_name="bootstrap")
    try:
        for statement in bootstrap_sql(services, passwords):
            await connection.execute(statement)
    finally:
        await connection.close()


def main() -> None:
    """Prepare the database for the services named on the command line."""
    services = sys.argv[1:]
    roles = [f"{service}_{kind}" for service in services for kind in ROLES]
    passwords = {role: password_of(role) for role in roles}
    settings = BootstrapSettings()  # pyright: ignore[reportCallIssue]  (read from the environment)
    dsn = settings.bootstrap_database_url.get_secret_value()
    asyncio.run(prepare(dsn, services, passwords))
    sys.stdout.write(f"Roles and schemas of {', '.join(services)} are ready.\n")


if __name__ == "__main__":
    main()
