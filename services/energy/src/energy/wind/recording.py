"""What is written down of a process: its run, its report, and how far each process has come."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id
from energy.wind.checking import DayCheck
from energy.wind.models import IngestionProgress, IngestionRun
from energy.wind.orders import Order

Report = dict[str, Any]
_MOST_TOLD = 100
"""Days and failures that a report names; more are only counted."""
_TOTALS = text(
    "SELECT count(*), coalesce(sum(records), 0), coalesce(sum(total_curtailed_energy), 0), "
    "coalesce(sum(total_payment), 0), coalesce(sum(periods_complete), 0) "
    "FROM energy.daily_summaries WHERE summary_date BETWEEN :first AND :last"
)
_BITCOIN_TOTALS = text(
    "SELECT miner_model, sum(calculations), sum(bitcoin_mined) "
    "FROM energy.bitcoin_daily_summaries WHERE summary_date BETWEEN :first AND :last "
    "GROUP BY 1 ORDER BY 1"
)
_LIVES = text("SELECT pg_advisory_lock(7201505, hashtext(CAST(:run AS text)))")
_CLOSE_INTERRUPTED = text(
    "UPDATE energy.ingestion_runs SET status = 'interrupted', "
    "error = 'the process ended before the run did' "
    # A job goes on with its run when it is started again.
    "WHERE status = 'running' AND ordered_by <> 'job' "
    "AND pg_try_advisory_xact_lock(7201505, hashtext(CAST(id AS text)))"
)


async def totals(session: AsyncSession, first: date, last: date) -> Report:
    """Return what is here of some days."""
    span = {"first": first, "last": last}
    [row] = await session.execute(_TOTALS, span)
    days, records, energy, payment, periods = row
    bitcoin = await session.execute(_BITCOIN_TOTALS, span)
    return {
        "days": days,
        "records": records,
        "curtailed_energy_mwh": f"{energy.normalize():f}",
        "payment_gbp": f"{payment.normalize():f}",
        "periods": periods,
        "models": {
            name: {"rows": rows, "bitcoin_mined": f"{mined.normalize():f}"}
            for name, rows, mined in bitcoin
        },
    }


def empty_report(before: Report) -> Report:
    """Return the report of a process that begins."""
    return {
        "before": before,
        "days_processed": 0,
        "days_complete": 0,
        "changed_days": [],
        "days_changed": 0,
        "rows_changed": 0,
        "incomplete_days": [],
        "days_incomplete": 0,
        "defects": [],
        "defects_found": 0,
        "failures": [],
        "failures_seen": 0,
    }


def with_failures(report: Report, failures: list[str]) -> Report:
    """Return the report with some failures more."""
    told = [*report["failures"], *failures][:_MOST_TOLD]
    return report | {"failures": told, "failures_seen": report["failures_seen"] + len(failures)}


def with_day(report: Report, check: DayCheck, *, changed: int) -> Report:
    """Return the report with a day more."""
    day = check.day.isoformat()
    report = report | {
        "days_processed": report["days_processed"] + 1,
        "days_complete": report["days_complete"] + check.complete,
        "rows_changed": report["rows_changed"] + changed,
    }
    if changed:
        report["days_changed"] += 1
        report["changed_days"] = [*report["changed_days"], day][:_MOST_TOLD]
    if not check.complete or check.bitcoin_status != "complete":
        gap = {
            "date": day,
            "missing_periods": check.missing_periods,
            "bitcoin_status": check.bitcoin_status,
        }
        report["days_incomplete"] += 1
        report["incomplete_days"] = [*report["incomplete_days"], gap][:_MOST_TOLD]
    if check.defects:
        told = [{"date": day, "defect": defect} for defect in check.defects]
        report["defects"] = [*report["defects"], *told][:_MOST_TOLD]
        report["defects_found"] += len(told)
    return report


def finished(report: Report, after: Report, *, failures_count: bool) -> Report:
    """Return the report of a process that has ended: what there is now, and whether it is whole.

    failures_count: with any failure it is not; otherwise only days and defects count.
    """
    whole = not report["days_incomplete"] and not report["defects_found"]
    failed = failures_count and report["failures_seen"] > 0
    return report | after | {"complete": whole and not failed}


@asynccontextmanager
async def living(engine: AsyncEngine) -> AsyncGenerator[Callable[[str], Awaitable[object]]]:
    """Give the function by which a run says that it lives, until the end of this.

    It says so by a lock of a connection of its own, which ends however the process does.
    """
    async with engine.connect() as pooled:
        connection = await pooled.execution_options(isolation_level="AUTOCOMMIT")
        try:
            yield lambda run: connection.execute(_LIVES, {"run": run})
        finally:
            # The lock belongs to the connection: it must not go back to the pool with it.
            with suppress(Exception):
                await connection.invalidate()


async def begin_run(session: AsyncSession, order: Order, ordered_by: str) -> UUID:
    """Note that a process begins, and which ones were interrupted; return its id."""
    await session.execute(_CLOSE_INTERRUPTED)
    run = IngestionRun(
        id=new_id(),
        kind=order.kind,
        ordered_by=ordered_by,
        first_date=order.first,
        last_date=order.last,
        started_at=now(),
        finished_at=None,
        status="running",
        report=None,
        error=None,
    )
    session.add(run)
    await session.flush()
    return run.id


async def end_run(session: AsyncSession, run: UUID, report: Report) -> None:
    """Note how a process ended."""
    status = "complete" if report["complete"] else "incomplete"
    await session.execute(
        update(IngestionRun)
        .where(IngestionRun.id == run)
        .values(status=status, finished_at=now(), report=report, error=None)
    )


async def fail_run(session: AsyncSession, run: UUID, error: str) -> None:
    """Note that a process came to no end; where it is tried again, it may still."""
    await session.execute(
        update(IngestionRun).where(IngestionRun.id == run).values(status="failed", error=error)
    )


async def last_processed(session: AsyncSession, process: str) -> date | None:
    """Return how far a process has come."""
    row = await session.get(IngestionProgress, process)
    return None if row is None else row.last_processed_date


async def note_progress(
    session: AsyncSession, process: str, *, day: date, status: str, error: str | None = None
) -> None:
    """Note how far a process has come."""
    row = {
        "organisation_id": PLATFORM_ORGANISATION,
        "process": process,
        "last_processed_date": day,
        "status": status,
        "error_message": error,
        "updated_at": now(),
    }
    statement = insert(IngestionProgress).values(row)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["process"],
            set_={
                name: statement.excluded[name]
                for name in row
                if name not in ("process", "organisation_id")
            },
        )
    )
