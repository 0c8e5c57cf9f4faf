"""Jobs: long work that a user can watch, in steps that survive a crash.

A job is a row, enqueued by pgqueuer inside the caller's own transaction. Its handler is called
step by step; each step is one transaction which writes the step's effect, the cursor and the
progress together. A process that dies leaves the cursor at the last whole step, where another one
goes on. Why pgqueuer: docs/decisions/0003.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter
from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job as QueuedJob
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import Channel
from pydantic import BaseModel
from sqlalchemy import Select, make_url, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sse_starlette import EventSourceResponse, ServerSentEvent
from structlog import get_logger

from common.auth import AnyPrincipal, Principal
from common.clock import now
from common.db import JobColumns, Session
from common.errors import NotFound, Problem, problems
from common.ids import new_id
from common.pages import Page, PageQuery, page_of, paged
from common.runtime import Runtime, RuntimeDep
from common.trace import correlation_id

log = get_logger()
_ENTRYPOINT = "job"
_MAX_STARTS = 4
_SERVER_FAULTS = 500
_GRACE_S = 5
_HEARTBEAT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Step:
    """What a handler is told: the job's arguments, and the cursor its last step returned."""

    job_id: UUID
    organisation_id: UUID
    arguments: dict[str, Any]
    cursor: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a handler returns after one step; the job is done when it gives a result."""

    percent: int
    step: str
    cursor: dict[str, Any]
    result: dict[str, Any] | None = None


Handler = Callable[[AsyncSession, Step], Awaitable[Progress]]


class Jobs:
    """The kinds of job that a service does, over its own `job` table."""

    def __init__(self, table: type[JobColumns]) -> None:
        self.table = table
        self.handlers: dict[str, Handler] = {}

    def kind(self, name: str) -> Callable[[Handler], Handler]:
        """Register the handler of a kind of job."""

        def register(handler: Handler) -> Handler:
            self.handlers[name] = handler
            return handler

        return register

    async def enqueue(
        self,
        session: AsyncSession,
        principal: Principal,
        kind: str,
        arguments: dict[str, Any],
        *,
        dedupe_key: str | None = None,
    ) -> JobColumns | None:
        """Add a job in the session's transaction; None when `dedupe_key` is already queued."""
        job = self.table(
            id=new_id(),
            organisation_id=principal.organisation_id,
            kind=kind,
            state="queued",
            arguments=arguments,
            cursor={},
            created_by=principal.subject,
        )
        queries = _queries(_schema(self.table), cast("Any", _SessionDriver(session)))
        payload = {"job": job.id, "organisation": job.organisation_id}
        [queued] = await queries.enqueue(
            _ENTRYPOINT, orjson.dumps(payload, default=str), dedupe_key=dedupe_key,
            on_conflict="skip",
        )  # fmt: skip
        if queued is None:
            return None
        session.add(job)
        await session.flush()
        return job


class _SessionDriver:
    """Lets pgqueuer write through the session. Its own connection would commit by itself."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def fetch(self, query: str, *args: Any) -> list[dict[str, Any]]:
        connection = await self._session.connection()
        result = await connection.exec_driver_sql(query, args)
        return [dict(row) for row in result.mappings()]


def _schema(table: type[JobColumns]) -> str:
    return table.metadata.schema or "public"


def _settings(schema: str) -> DBSettings:
    return DBSettings.model_validate({"db_schema": schema, "channel": f"{schema}_jobs"})


def _queries(schema: str, driver: Any) -> Queries:
    names = _settings(schema)
    return Queries(
        driver,
        qbe=QueryBuilderEnvironment(names),
        qbq=QueryQueueBuilder(names),
        qbs=QuerySchedulerBuilder(names),
    )


def install_statements(schema: str) -> str:
    """Return the DDL of the queue's tables, for use in a revision."""
    return QueryBuilderEnvironment(_settings(schema)).build_install_query(create_schema=False)


def uninstall_statements(schema: str) -> str:
    """Return the DDL that takes the queue's tables away again."""
    return QueryBuilderEnvironment(_settings(schema)).build_uninstall_query()


async def work(runtime: Runtime, jobs: Jobs) -> None:
    """Do queued jobs until the process stops; returns when the connection is lost."""
    dsn = make_url(runtime.settings.worker_database_url.get_secret_value())
    plain = dsn.set(drivername="postgresql").render_as_string(hide_password=False)
    opening: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    connection = await opening(
        plain, timeout=5, server_settings={"application_name": f"{runtime.name}-jobs"}
    )
    driver = AsyncpgDriver(connection)
    queue = PgQueuer(
        driver,
        channel=Channel(_settings(runtime.name).channel),
        queries=_queries(runtime.name, driver),
    )

    def lost(*_: object) -> None:
        queue.shutdown.set()

    connection.add_termination_listener(lost)

    async def run(queued: QueuedJob) -> None:
        await _within_grace(_run(runtime, jobs, queued), runtime.stopping)

    queue.entrypoint(
        _ENTRYPOINT, on_failure="hold", executor_factory=DatabaseRetryEntrypointExecutor
    )(run)
    stopper = asyncio.create_task(_stop_with(runtime, queue))
    try:
        await queue.run(
            dequeue_timeout=timedelta(seconds=2), batch_size=2, heartbeat_timeout=_HEARTBEAT
        )
    finally:
        stopper.cancel()
        with suppress(Exception):
            await connection.close(timeout=2)


async def _stop_with(runtime: Runtime, queue: PgQueuer) -> None:
    await runtime.stopping.wait()
    queue.shutdown.set()


async def _within_grace(doing: Any, stopping: asyncio.Event) -> None:
    """Run a job; on shutdown give it a few seconds, then put it back into the queue."""
    task = asyncio.ensure_future(doing)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=_GRACE_S)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            raise RetryRequested(delay=timedelta(0), reason="the process stops")
        task.result()
    finally:
        stop.cancel()


async def _run(runtime: Runtime, jobs: Jobs, queued: QueuedJob) -> None:
    payload = orjson.loads(queued.payload or b"{}")
    job_id, organisation_id = UUID(payload["job"]), UUID(payload["organisation"])
    correlation_id.set(str(job_id))
    table = jobs.table
    async with runtime.tenant_session(organisation_id) as session:
        job = await session.get_one(table, job_id)
        # pgqueuer does not count the starts that ended in a crash; this does.
        job.starts += 1
        job.state = "running"
        kind, starts = job.kind, job.starts
    if starts > _MAX_STARTS:
        await _finish(runtime, table, organisation_id, job_id, error="it never came to its end")
        return
    try:
        await _steps(runtime, jobs, job_id, organisation_id)
    except Problem as problem:
        if problem.status >= _SERVER_FAULTS and not _last(queued, starts):
            raise
        # What the caller did wrong is not right the next time either.
        await _finish(runtime, table, organisation_id, job_id, error=problem.detail[:500])
    except Exception as error:
        if not _last(queued, starts):
            raise
        log.exception("job.failed", kind=kind, job_id=str(job_id))
        # The first line only: a database error goes on with its statement and everybody's values.
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
        await _finish(runtime, table, organisation_id, job_id, error=text[:500])


def _last(queued: QueuedJob, starts: int) -> bool:
    return queued.attempts + 1 >= _MAX_STARTS or starts >= _MAX_STARTS


async def _steps(runtime: Runtime, jobs: Jobs, job_id: UUID, organisation_id: UUID) -> None:
    while True:
        async with runtime.tenant_session(organisation_id) as session:
            job = await session.get_one(jobs.table, job_id, with_for_update=True)
            if job.finished_at is not None:
                return
            step = Step(job_id, organisation_id, job.arguments, job.cursor)
            progress = await jobs.handlers[job.kind](session, step)
            job.percent, job.step, job.cursor = progress.percent, progress.step, progress.cursor
            if progress.result is not None:
                job.state, job.result = "done", progress.result
                job.percent, job.finished_at = 100, now()
                return


async def _finish(
    runtime: Runtime, table: type[JobColumns], organisation_id: UUID, job_id: UUID, *, error: str
) -> None:
    async with runtime.tenant_session(organisation_id) as session:
        await session.execute(
            update(table)
            .where(table.id == job_id)
            .values(state="failed", error=error, finished_at=now())
        )


class JobStatus(BaseModel):
    """A job and how far it has come."""

    id: UUID
    kind: str
    state: str
    percent: int
    step: str
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


def _status(job: JobColumns) -> JobStatus:
    return JobStatus.model_validate(job, from_attributes=True)


def _visible(table: type[JobColumns], caller: Principal) -> Select[JobColumns]:
    """Select the jobs that a caller may see: its own, and with `jobs:read` the organisation's.

    A client is one of many customers of the organisation: others' jobs are not its business.
    """
    query = select(table)
    if caller.client_id is None and "jobs:read" in caller.scopes:
        return query
    return query.where(table.created_by == caller.subject)


async def _find(
    session: AsyncSession, table: type[JobColumns], caller: Principal, job_id: UUID
) -> JobColumns:
    query = _visible(table, caller).where(table.id == job_id)
    job = await session.scalar(query.execution_options(populate_existing=True))
    if job is None:
        raise NotFound("No such job.", field="job_id")
    return job


def jobs_router(area: str, table: type[JobColumns]) -> APIRouter:
    """Return the routes `/api/<area>/jobs`: list, one, and its progress as a stream."""
    router = APIRouter(prefix=f"/api/{area}/jobs", tags=["jobs"])

    @router.get("")
    async def list_jobs(page: PageQuery, session: Session, caller: AnyPrincipal) -> Page[JobStatus]:
        """List the caller's jobs, with `jobs:read` the organisation's; newest first."""
        query = _visible(table, caller).order_by(table.id.desc())
        rows, total = await paged(session, query, page)
        items = [_status(row) for row in rows]
        return Page[JobStatus].model_validate(page_of(items, total, page))

    @router.get("/{job_id}", responses=problems(NotFound))
    async def get_job(job_id: UUID, session: Session, caller: AnyPrincipal) -> JobStatus:
        """Return a job: state queued, running, done or failed; percent 0 to 100."""
        return _status(await _find(session, table, caller, job_id))

    @router.get(
        "/{job_id}/stream", response_class=EventSourceResponse, responses=problems(NotFound)
    )
    async def stream_job(
        job_id: UUID, runtime: RuntimeDep, caller: AnyPrincipal
    ) -> EventSourceResponse:
        """Stream a job's progress as server-sent events until it ends."""

        async def read() -> JobStatus:
            async with runtime.tenant_session(caller.organisation_id, caller.client_id) as session:
                return _status(await _find(session, table, caller, job_id))

        await read()  # a job that is not there is said before the stream begins
        return EventSourceResponse(_progress(read, runtime.stopping))

    return router


async def _progress(
    read: Callable[[], Awaitable[JobStatus]], stopping: asyncio.Event
) -> AsyncGenerator[ServerSentEvent]:
    last = ""
    while not stopping.is_set():
        status = await read()
        text = status.model_dump_json()
        if text != last:
            yield ServerSentEvent(text, event="progress")
            last = text
        if status.finished_at is not None:
            return
        await asyncio.sleep(0.3)
