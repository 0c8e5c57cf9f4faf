"""Bare connections, for what a session cannot do: LISTEN, session locks, COPY, DDL on roles.

asyncpg has no type annotations; this is its typed surface.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, cast

import asyncpg
from sqlalchemy import make_url


class Connection(Protocol):
    """The part of asyncpg's connection that we use."""

    async def execute(self, query: str, *args: Any) -> str:
        """Run a statement and return its status."""
        ...

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]:
        """Run a query and return its rows."""
        ...

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Run a query and return its first value."""
        ...

    async def copy_records_to_table(
        self,
        table_name: str,
        *,
        records: Iterable[Sequence[Any]],
        columns: Sequence[str] | None = None,
        schema_name: str | None = None,
    ) -> str:
        """Write rows by binary COPY."""
        ...

    def transaction(self) -> Any:
        """Return a transaction, an async context manager."""
        ...

    async def add_listener(self, channel: str, callback: Callable[..., object]) -> None:
        """Call back on each NOTIFY of a channel."""
        ...

    def add_termination_listener(self, callback: Callable[..., object]) -> None:
        """Call back when the connection is gone."""
        ...

    def is_closed(self) -> bool:
        """Return whether the connection is gone."""
        ...

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  (asyncpg's)
        """Close the connection."""
        ...


async def connect(dsn: str, *, application_name: str = "hashyard") -> Connection:
    """Open a connection; the DSN may carry SQLAlchemy's driver name."""
    plain = make_url(dsn).set(drivername="postgresql").render_as_string(hide_password=False)
    opening: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    made = await opening(
        plain,
        timeout=5,
        server_settings={"application_name": application_name, "tcp_keepalives_idle": "5"},
    )
    return cast("Connection", made)
