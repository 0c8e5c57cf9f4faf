"""Importing a large file as a job: part by part, each part in a transaction of its own.

A part's machines, its errors and the job's cursor commit together, so that a process that dies
leaves whole parts behind, and the next one goes on with the first that is left.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar, cast
from uuid import UUID

import orjson
from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import NotFound
from common.jobs import Jobs, Progress, Step, work
from common.runtime import Runtime
from common.tabular import Row, write_csv
from common.trace import correlation_id
from hosting.db import Job
from hosting.imports.models import ImportPart, ImportUpload
from hosting.imports.schemas import ImportResult, RowError
from hosting.imports.sheets import MAX_ERRORS, ImportOptions, Sheet, announce, check_rows
from hosting.miners.models import Miner
from hosting.miners.registry import require_approver
from hosting.settings import Settings
from hosting.sites.registry import site_of

KIND = "miners.import"
_SCOPES = frozenset({"miners:write", "miners:approve"})
_CHECKED_PERCENT = 10
_KEPT = timedelta(days=30)
_SWEEP_S = 60
_TAKEN = {
    "uq_miner_serial": ("serial_number", "{miner.serial_number} exists already."),
    "uq_miner_address": ("cgminer_ip", "{miner.cgminer_ip} belongs to another machine."),
    "uq_miner_place": ("position", "Another machine stands there."),
}
_queue = Jobs(Job)


class ImportNotFound(NotFound):
    title: ClassVar[str] = "No such import"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an import has come."""

    checked: bool = False
    part: int = 0
    rows: int = 0
    imported: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Import:
    """An import as a step of its job sees it."""

    upload: ImportUpload
    caller: Principal
    options: ImportOptions
    settings: Settings


async def start(
    session: AsyncSession,
    principal: Principal,
    settings: Settings,
    sheet: Sheet,
    options: ImportOptions,
) -> UUID:
    """Keep a file's rows and queue the job that imports them, in the caller's transaction.

    Raises:
        SiteNotFound: the site for rows that name none does not exist.
    """
    if options.site_id is not None:
        await site_of(session, options.site_id)
    job = await _queue.enqueue(session, principal, KIND, {})
    if job is None:  # pragma: no cover  (only with a dedupe key)
        msg = "the job was not queued"
        raise RuntimeError(msg)
    wall = {"organisation_id": principal.organisation_id, "client_id": principal.client_id}
    size = settings.import_batch_rows
    parts = [sheet.rows[at : at + size] for at in range(0, len(sheet.rows), size)]
    session.add(
        ImportUpload(
            job_id=job.id,
            caller={
                "subject": str(principal.subject),
                "kind": principal.kind,
                "role": principal.role,
                "scopes": sorted(principal.scopes & _SCOPES),
                "request_id": principal.request_id,
            },
            options=options.model_dump(mode="json"),
            rows=len(sheet.rows),
            parts=len(parts),
            ignored_columns=sheet.ignored_columns,
            **wall,
        )
    )
    await session.flush()
    session.add_all(
        ImportPart(job_id=job.id, part=place, rows=_packed(rows), errors=[], **wall)
        for place, rows in enumerate(parts)
    )
    await session.flush()
    return job.id


async def errors_csv(session: AsyncSession, job_id: UUID) -> bytes:
    """Return all errors that an import has met so far.

    Raises:
        ImportNotFound: there is no such import, or it is more than a month old.
    """
    if await session.get(ImportUpload, job_id) is None:
        raise ImportNotFound(f"There is no import {job_id}; reports are kept for a month.")
    errors = await _errors(session, job_id)
    return write_csv(
        ("row", "field", "detail"),
        ((error["row"], error["field"] or "", error["detail"]) for error in errors),
    )


async def do_jobs(runtime: Runtime) -> None:
    """Do this service's jobs."""
    await work(runtime, jobs_of(cast("Settings", runtime.settings)))


def jobs_of(settings: Settings) -> Jobs:
    """Return the kinds of job that this service does."""
    jobs = Jobs(Job)

    @jobs.kind(KIND)
    async def import_miners(session: AsyncSession, step: Step) -> Progress:
        return await carry_on(session, step, settings)

    return jobs


async def carry_on(session: AsyncSession, step: Step, settings: Settings) -> Progress:
    """Do the next step of an import: check all its rows first, where one bad row refuses all."""
    upload = await session.get_one(ImportUpload, step.job_id)
    # What the caller cannot see or write in a request, the job cannot either.
    client_id = str(upload.client_id) if upload.client_id else ""
    await session.execute(select(func.set_config("app.client_id", client_id, True)))  # noqa: FBT003  (of this transaction only)
    caller = _caller(upload)
    correlation_id.set(caller.request_id)
    options = ImportOptions.model_validate(upload.options)
    if options.approve:
        require_approver(caller)
    doing = Import(upload, caller, options, settings)
    cursor = Cursor(**step.cursor)
    if (options.dry_run or not options.partial) and not cursor.checked:
        return await _check_all(session, doing)
    return await _import_part(session, doing, cursor)


async def _check_all(session: AsyncSession, doing: Import) -> Progress:
    upload, options = doing.upload, doing.options
    parts = list(
        await session.scalars(
            select(ImportPart).where(ImportPart.job_id == upload.job_id).order_by(ImportPart.part)
        )
    )
    rows = [row for part in parts for row in _unpacked(part.rows)]
    checked = await check_rows(session, doing.caller, doing.settings, rows, options)
    cursor = Cursor(checked=True, errors=len(checked.errors))
    if not options.dry_run and not checked.errors:
        return _progress(upload, cursor, f"{upload.rows:,} rows checked")
    parts[0].errors = [error.model_dump() for error in checked.errors]
    for part in parts:
        part.rows = None
    await session.flush()
    refused = bool(checked.errors) and not options.partial
    result = await _result(session, doing, cursor, valid=len(checked.miners), refused=refused)
    return _progress(upload, cursor, f"{upload.rows:,} rows checked", result)


async def _import_part(session: AsyncSession, doing: Import, cursor: Cursor) -> Progress:
    upload, caller = doing.upload, doing.caller
    part = await session.get_one(ImportPart, (upload.job_id, cursor.part))
    rows = _unpacked(part.rows)
    checked = await check_rows(session, caller, doing.settings, rows, doing.options)
    written, conflicts = await _write(session, checked.miners)
    errors = sorted([*checked.errors, *conflicts], key=lambda error: error.row)
    summary = {"job_id": upload.job_id, "rows": len(rows), "imported": len(written)}
    await announce(session, caller, written, {**summary, "errors_total": len(errors)})
    part.errors, part.rows = [error.model_dump() for error in errors], None
    await session.flush()
    cursor = replace(
        cursor,
        part=cursor.part + 1,
        rows=cursor.rows + len(rows),
        imported=cursor.imported + len(written),
        errors=cursor.errors + len(errors),
    )
    told = (
        f"{cursor.rows:,} of {upload.rows:,} rows, {cursor.imported:,} imported, "
        f"{cursor.errors:,} errors"
    )
    if cursor.part < upload.parts:
        return _progress(upload, cursor, told)
    result = await _result(session, doing, cursor, valid=cursor.imported, refused=False)
    return _progress(upload, cursor, told, result)


async def _write(
    session: AsyncSession, miners: Sequence[tuple[int, Miner]]
) -> tuple[list[Miner], list[RowError]]:
    """Write machines; those that somebody else's have just got in the way of are errors."""
    try:
        async with session.begin_nested():
            session.add_all(miner for _, miner in miners)
            await session.flush()
    except IntegrityError:
        return await _write_singly(session, miners)
    return [miner for _, miner in miners], []


async def _write_singly(
    session: AsyncSession, miners: Sequence[tuple[int, Miner]]
) -> tuple[list[Miner], list[RowError]]:
    written: list[Miner] = []
    errors: list[RowError] = []
    for line, miner in miners:
        try:
            async with session.begin_nested():
                session.add(miner)
                await session.flush()
            written.append(miner)
        except IntegrityError as error:
            name = next((name for name in _TAKEN if name in str(error.orig)), None)
            if name is None:
                raise
            field, detail = _TAKEN[name]
            errors.append(RowError(row=line, field=field, detail=detail.format(miner=miner)))
    return written, errors


def _progress(
    upload: ImportUpload, cursor: Cursor, told: str, result: dict[str, Any] | None = None
) -> Progress:
    first = _CHECKED_PERCENT if cursor.checked else 0
    percent = first + (100 - first) * cursor.rows // upload.rows
    return Progress(percent=percent, step=told, cursor=asdict(cursor), result=result)


async def _result(
    session: AsyncSession, doing: Import, cursor: Cursor, *, valid: int, refused: bool
) -> dict[str, Any]:
    upload = doing.upload
    errors = await _errors(session, upload.job_id)
    report = f"/api/hosting/miners/imports/{upload.job_id}/errors.csv"
    return ImportResult(
        dry_run=doing.options.dry_run,
        rows=upload.rows,
        valid=valid,
        imported=cursor.imported,
        refused=refused,
        errors_total=len(errors),
        errors=[RowError.model_validate(error) for error in errors[:MAX_ERRORS]],
        ignored_columns=upload.ignored_columns,
        errors_csv=report if errors else None,
    ).model_dump(mode="json")


async def _errors(session: AsyncSession, job_id: UUID) -> list[dict[str, Any]]:
    parts = await session.scalars(
        select(ImportPart.errors).where(ImportPart.job_id == job_id).order_by(ImportPart.part)
    )
    return [error for part in parts for error in part]


def _caller(upload: ImportUpload) -> Principal:
    known = upload.caller
    return Principal(
        subject=UUID(known["subject"]),
        kind=known["kind"],
        organisation_id=upload.organisation_id,
        client_id=upload.client_id,
        role=known["role"],
        scopes=frozenset(known["scopes"]),
        request_id=known["request_id"],
        expires_at=now() + timedelta(seconds=60),
    )


def _packed(rows: Sequence[Row]) -> bytes:
    return orjson.dumps([[row.number, row.cells] for row in rows])


def _unpacked(rows: bytes | None) -> list[Row]:
    return [Row(number, cells) for number, cells in orjson.loads(rows or b"[]")]


async def sweep(runtime: Runtime) -> None:
    """Delete the rows of imports that gave up, and reports after a month."""
    while True:
        async with runtime.worker_session() as session:
            ended = select(Job.id).where(Job.finished_at.is_not(None))
            await session.execute(
                update(ImportPart)
                .where(ImportPart.rows.is_not(None), ImportPart.job_id.in_(ended))
                .values(rows=None)
            )
            await session.execute(
                sql_delete(ImportUpload).where(ImportUpload.created_at < now() - _KEPT)
            )
        await asyncio.sleep(_SWEEP_S)
