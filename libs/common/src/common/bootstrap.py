"""What a database superuser does once per installation: roles and schemas, nothing else."""

from collections.abc import Iterable, Mapping

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
