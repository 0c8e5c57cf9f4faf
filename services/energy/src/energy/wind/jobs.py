"""Orders as jobs: kept in the caller's transaction, carried out step by step."""

import asyncio
import json
from collections.abc import Awaitable
from datetime import timedelta
from typing import ClassVar, TypeVar, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict
from common.jobs import Jobs, Progress, Step
from common.runtime import Runtime
from energy.db import AuditEvent, Job
from energy.domain.settlement import day_of
from energy.settings import Settings
from energy.wind import processing
from energy.wind.miners import miners_named
from energy.wind.orders import Order, check_order, read_periods
from energy.wind.schemas import (
    Backfill,
    CalculateAll,
    Ingest,
    JobAccepted,
    Reconcile,
    Span,
    days_of,
)

T = TypeVar("T")
KIND = "wind.process"
_DAY = timedelta(days=1)
_queue = Jobs(Job)
_STILL_HERE_S = 15.0


class AlreadyOrdered(Conflict):
    title: ClassVar[str] = "The same is being done"


def kinds(runtime: Runtime, jobs: Jobs) -> None:
    """Register what the job queue does for wind."""

    @jobs.kind(KIND)
    async def process(session: AsyncSession, step: Step) -> Progress:
        order = Order.read(step.arguments)
        try:
            return await kept_awake(session, processing.advance(runtime, order, step.cursor))
        except Exception as error:
            await processing.fail(runtime, step.cursor, error)
            raise


async def kept_awake(session: AsyncSession, doing: Awaitable[T]) -> T:
    """Wait for something without letting the session's transaction look idle."""
    task = asyncio.ensure_future(doing)
    try:
        while not (await asyncio.wait({task}, timeout=_STILL_HERE_S))[0]:
            await session.execute(text("SELECT 1"))
        return task.result()
    finally:
        task.cancel()


async def ingest(
    session: AsyncSession, runtime: Runtime, caller: Principal, body: Ingest
) -> JobAccepted:
    """Order days from Elexon. Raises as `enqueue`."""
    first, last = days_of(body, day_of(now()) - _DAY)
    order = Order(
        kind="reingest",
        first=first,
        last=last,
        periods=None if body.periods is None else read_periods(body.periods),
        models=tuple(body.models),
        missing_only=body.missing_only,
        outputs=body.outputs,
    )
    return await enqueue(session, runtime, caller, order)


async def calculate(
    session: AsyncSession, runtime: Runtime, caller: Principal, body: CalculateAll
) -> JobAccepted:
    """Order the bitcoin of some days anew. Raises as `enqueue`."""
    first, last = days_of(body, day_of(now()) - _DAY)
    order = Order(kind="calculate", first=first, last=last, models=tuple(body.models))
    return await enqueue(session, runtime, caller, order)


async def reconcile(
    session: AsyncSession, runtime: Runtime, caller: Principal, body: Reconcile
) -> JobAccepted:
    """Order a comparison with Elexon. Raises as `enqueue`."""
    yesterday = day_of(now()) - _DAY
    given = body.date is not None or body.from_ is not None
    first, last = days_of(body, yesterday) if given else (yesterday - 6 * _DAY, yesterday)
    return await enqueue(session, runtime, caller, Order(kind="reconcile", first=first, last=last))


async def process_missing(
    session: AsyncSession, runtime: Runtime, caller: Principal, body: CalculateAll
) -> JobAccepted:
    """Order what is missing of some days. Raises as `enqueue`."""
    first, last = days_of(body, day_of(now()) - _DAY)
    models = tuple(body.models)
    order = Order(kind="process-missing", first=first, last=last, models=models)
    return await enqueue(session, runtime, caller, order)


async def backfill(
    session: AsyncSession, runtime: Runtime, caller: Principal, body: Backfill
) -> JobAccepted:
    """Order history. Raises as `enqueue`."""
    first, last = days_of(body, day_of(now()) - _DAY)
    models = tuple(body.models)
    order = Order(
        kind="backfill",
        first=first,
        last=last,
        models=models,
        outputs=body.outputs,
        at_once=body.at_once,
    )
    return await enqueue(session, runtime, caller, order)


async def generation(
    session: AsyncSession, runtime: Runtime, caller: Principal, body: Span
) -> JobAccepted:
    """Order wind generation by type. Raises as `enqueue`."""
    first, last = days_of(body, day_of(now()) - _DAY)
    return await enqueue(session, runtime, caller, Order(kind="generation", first=first, last=last))


async def verify(
    session: AsyncSession, runtime: Runtime, caller: Principal, body: Span
) -> JobAccepted:
    """Order a verification. Raises as `enqueue`."""
    first, last = days_of(body, day_of(now()) - _DAY)
    return await enqueue(session, runtime, caller, Order(kind="verify", first=first, last=last))


async def enqueue(
    session: AsyncSession, runtime: Runtime, caller: Principal, order: Order
) -> JobAccepted:
    """Keep an order as a job.

    Raises:
        Problem: what `check_order` and `miners_named` refuse.
        AlreadyOrdered: the same is queued, or being done.
    """
    check_order(order, day_of(now()))
    if order.models:
        usual = cast("Settings", runtime.settings).miner_models()
        await miners_named(runtime, order.models, usual)
    document = order.document()
    job = await _queue.enqueue(session, caller, KIND, document, dedupe_key=_key(order))
    if job is None:
        raise AlreadyOrdered(
            f"{order.kind} of {order.first} to {order.last} is queued or under way; "
            "everybody will see what comes of it."
        )
    await audit(
        session, AuditEvent, caller, action=f"wind.{order.kind}", object_type="job",
        object_id=str(job.id), detail=document,
    )  # fmt: skip
    at = f"/api/wind/jobs/{job.id}"
    return JobAccepted(job_id=job.id, status_url=at, stream_url=f"{at}/stream")


def _key(order: Order) -> str:
    """Return what two orders have in common when one of them is enough."""
    document = order.document()
    return "wind " + json.dumps(document, sort_keys=True)
