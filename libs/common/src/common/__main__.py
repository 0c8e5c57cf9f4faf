"""`python -m common trace <id>`: what one request caused, across all services.

The id is a request's (X-Request-Id), a job's, an event's or an aggregate's. The database is read
as the role of TRACE_DATABASE_URL, which must see every service's outbox: an operator's role.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from pydantic_settings import BaseSettings
from rich.console import Console
from rich.tree import Tree

from common.postgres import Connection, connect


class TraceSettings(BaseSettings):
    """Where to look."""

    trace_database_url: SecretStr


@dataclass(frozen=True, slots=True)
class Trace:
    """One event on the way."""

    service: str
    event_id: UUID
    type: str
    key: str
    occurred_at: datetime
    published_at: datetime | None
    correlation_id: str
    causation_id: str


async def events_of(connection: Connection, wanted: str) -> list[Trace]:
    """Return the events of the request that `wanted` belongs to, in order of occurrence."""
    schemas = [
        row["nspname"]
        for row in await connection.fetch(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relname = 'outbox' AND c.relkind = 'r' ORDER BY 1"
        )
    ]
    found = await _search(
        connection,
        schemas,
        "headers->>'correlation_id' = $1 OR event_id::text = $1 OR key = $1",
        wanted,
    )
    requests = {trace.correlation_id for trace in found if trace.correlation_id}
    whole = {trace.event_id: trace for trace in found}
    for request in requests:
        for trace in await _search(connection, schemas, "headers->>'correlation_id' = $1", request):
            whole[trace.event_id] = trace
    return sorted(whole.values(), key=lambda trace: trace.occurred_at)


async def _search(
    connection: Connection, schemas: Sequence[str], where: str, wanted: str
) -> list[Trace]:
    found: list[Trace] = []
    for schema in schemas:
        rows: Sequence[Any] = await connection.fetch(
            "SELECT event_id, type, key, occurred_at, published_at, "  # noqa: S608
            "headers->>'correlation_id' AS correlation, headers->>'causation_id' AS causation "
            f"FROM {schema}.outbox WHERE {where} ORDER BY id LIMIT 1000",
            wanted,
        )
        found.extend(
            Trace(
                schema, row["event_id"], row["type"], row["key"], row["occurred_at"],
                row["published_at"], row["correlation"] or "", row["causation"] or "",
            )
            for row in rows
        )  # fmt: skip
    return found


def tree_of(traces: Sequence[Trace]) -> Tree:
    """Return the events as a tree: each below the event whose handling published it."""
    root = Tree("[bold]cause[/bold] → effect")
    branches: dict[str, Tree] = {}
    requests: dict[str, Tree] = {}
    for trace in traces:
        parent = branches.get(trace.causation_id)
        if parent is None:
            name = trace.correlation_id or "no request"
            parent = requests.get(name) or root.add(f"request {name}")
            requests[name] = parent
        sent = (
            f"sent after {(trace.published_at - trace.occurred_at).total_seconds() * 1000:.0f} ms"
            if trace.published_at
            else "not sent yet"
        )
        branches[str(trace.event_id)] = parent.add(
            f"{trace.occurred_at:%F %T.%f}  {trace.type}  {trace.key}  [dim]{sent}[/dim]"
        )
    return root


async def trace(dsn: str, wanted: str) -> list[Trace]:
    """Read the path of an id from the database."""
    connection = await connect(dsn, application_name="trace")
    try:
        return await events_of(connection, wanted)
    finally:
        await connection.close()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m common", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("trace", help="print what a request caused").add_argument("id")
    chosen = parser.parse_args()
    settings = TraceSettings()  # pyright: ignore[reportCallIssue]  (read from the environment)
    traces = asyncio.run(trace(settings.trace_database_url.get_secret_value(), chosen.id))
    if not traces:
        sys.exit(f"No event belongs to {chosen.id} (sent events are kept for a day).")
    Console().print(tree_of(traces))


if __name__ == "__main__":
    main()
