"""Statements that bring a table to what a query says, and touch no row that is right already."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

_LOCK_DAY = text("SELECT pg_advisory_xact_lock(7201501, CAST(:day AS date) - date '2000-01-01')")


async def lock_day(session: AsyncSession, day: date) -> None:
    """Let nobody else write this day until the transaction ends."""
    await session.execute(_LOCK_DAY, {"day": day})


async def copy(
    session: AsyncSession, stage: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Write rows into a temporary table of this transaction by COPY."""
    raw = await (await session.connection()).get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table(
        stage, schema_name="pg_temp", records=rows, columns=list(columns)
    )


async def run(session: AsyncSession, statement: TextClause, **parameters: Any) -> int:
    """Run a statement and return how many rows it touched."""
    result: Any = await session.execute(statement, parameters)
    return max(result.rowcount, 0)


def replacing(
    table: str, *, keys: Sequence[str], values: Sequence[str], stage: str, scope: str
) -> tuple[TextClause, TextClause]:
    """Return two statements that make a scope of a table equal to a staged one.

    The first deletes what is staged differently or not at all, the second adds what is missing.
    """
    columns = ", ".join([*keys, *values])
    same = " AND ".join(f"s.{name} = x.{name}" for name in keys)
    left, right = (", ".join(f"{one}.{name}" for name in values) for one in "sx")
    delete = text(
        f"DELETE FROM energy.{table} x WHERE {scope} AND NOT EXISTS ("  # noqa: S608  (own names)
        f"SELECT FROM pg_temp.{stage} s WHERE {same} AND ({left}) IS NOT DISTINCT FROM ({right}))"
    )
    insert = text(
        f"INSERT INTO energy.{table} ({columns}) "  # noqa: S608  (own names)
        f"SELECT {columns} FROM pg_temp.{stage} ON CONFLICT DO NOTHING"
    )
    return delete, insert


def writing(
    table: str, *, keys: Sequence[str], values: Sequence[str], query: str, stamp: str | None = None
) -> TextClause:
    """Return a statement that writes what a query says over rows that say otherwise.

    stamp: the column that then says when.
    """
    columns = ", ".join([*keys, *values])
    changes = [f"{name} = excluded.{name}" for name in values]
    if stamp is not None:
        changes.append(f"{stamp} = now()")
    old, new = (", ".join(f"{one}.{name}" for name in values) for one in ("x", "excluded"))
    return text(
        f"INSERT INTO energy.{table} AS x ({columns}) {query} "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(changes)} "
        f"WHERE ({old}) IS DISTINCT FROM ({new})"
    )
