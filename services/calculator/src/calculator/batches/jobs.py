"""A batch as a job: part by part, each in a transaction of its own."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.batches import running, sheets
from calculator.batches.models import Batch, BatchPart
from calculator.batches.running import NOTHING_SEEN, Seen
from calculator.batches.sheets import Asked
from calculator.calculations.nameplates import Wall
from calculator.db import Job
from common.auth import Principal
from common.clock import now
from common.jobs import Jobs, Progress, Step, work
from common.runtime import Runtime

KIND = "batch.calculate"
_KEPT = timedelta(days=30)
_SWEEP_S = 3_600
_queue = Jobs(Job)


async def start(
    session: AsyncSession,
    caller: Principal,
    asked: Asked,
    ignored_columns: Sequence[str],
    part_rows: int,
) -> tuple[UUID, UUID]:
    """Keep a batch and queue the job that calculates it; return the ids of job and batch."""
    places = range(0, asked.length, part_rows)
    batch = await running.keep(session, caller, asked, ignored_columns, parts=len(places))
    assert batch is not None  # only users come here: they have a history
    wall = Wall.of(caller)
    job = await _queue.enqueue(
        session, caller, KIND, {"batch_id": str(batch.id), "tariffs": wall.tariffs}
    )
    assert job is not None  # only with a dedupe key there may be none
    batch.job_id = job.id
    parts = [asked.part(place, place + part_rows) for place in places]
    packed = await asyncio.to_thread(lambda: [sheets.pack_asked(part) for part in parts])
    session.add_all(
        BatchPart(
            batch_id=batch.id,
            part=place,
            asked=one,
            organisation_id=batch.organisation_id,
            client_id=batch.client_id,
        )
        for place, one in enumerate(packed)
    )
    await session.flush()
    return job.id, batch.id


async def do_jobs(runtime: Runtime) -> None:
    """Do this service's jobs."""
    await work(runtime, jobs_of(runtime))


def jobs_of(runtime: Runtime) -> Jobs:
    """Return the kinds of job that this service does."""
    jobs = Jobs(Job)

    @jobs.kind(KIND)
    async def calculate_batch(session: AsyncSession, step: Step) -> Progress:
        return await carry_on(session, runtime, step)

    return jobs


async def carry_on(session: AsyncSession, runtime: Runtime, step: Step) -> Progress:
    """Calculate the next part of a batch; all parts see the market that the first one saw."""
    batch = await session.get(Batch, UUID(step.arguments["batch_id"]))
    if batch is None:
        return Progress(percent=100, step="deleted", cursor={}, result={"deleted": True})
    # What the caller cannot see in a request, the job cannot either.
    client_id = str(batch.client_id) if batch.client_id else ""
    await session.execute(select(func.set_config("app.client_id", client_id, True)))  # noqa: FBT003  (of this transaction only)
    place: int = step.cursor.get("part", 0)
    part = await session.get_one(BatchPart, (batch.id, place))
    asked = await asyncio.to_thread(sheets.unpack_asked, part.asked)
    seen = NOTHING_SEEN if batch.market is None else Seen.of(batch.market)
    wall = Wall(
        batch.organisation_id, batch.client_id, tariffs=step.arguments.get("tariffs", False)
    )
    found, seen = await running.calculate(runtime, wall, asked, seen)
    batch.market = seen.document()
    part.answered = await asyncio.to_thread(sheets.pack_answered, found)
    part.totals = found.totals()
    await session.flush()
    rows: int = step.cursor.get("rows", 0) + asked.length
    told = f"{rows:,} of {batch.rows:,} rows"
    cursor = {"part": place + 1, "rows": rows}
    percent = 100 * rows // batch.rows
    if place + 1 < batch.parts:
        return Progress(percent=percent, step=told, cursor=cursor)
    summary = await running.finish(session, batch)
    return Progress(percent=100, step=told, cursor=cursor, result=summary.model_dump(mode="json"))


async def sweep(runtime: Runtime) -> None:
    """Forget the rows of batches after a month; what came of them stays in the history."""
    while True:
        async with runtime.worker_session() as session:
            await session.execute(delete(Batch).where(Batch.created_at < now() - _KEPT))
        await asyncio.sleep(_SWEEP_S)
