"""HTTP of the batch."""

import asyncio
from typing import Annotated, Any, cast
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response

from calculator.auth import CalculationsReader, CalculationsRunner
from calculator.batches import jobs, running, sheets, uploads
from calculator.batches.columns import BatchTooLarge, BatchUnclear, EmptyBatch
from calculator.batches.running import BatchNotFound, Finished
from calculator.batches.schemas import (
    BatchAccepted,
    BatchAnswer,
    BatchRequest,
    BatchRow,
    BatchSummary,
)
from calculator.batches.sheets import Asked
from calculator.batches.uploads import UnknownUpload, UploadTooLarge
from calculator.quotes.current import MarketUnknown
from calculator.settings import Settings
from common.db import Session
from common.errors import BadRequest, problems
from common.pages import Page, PageQuery, page_of
from common.runtime import RuntimeDep
from common.tabular import TooManyRows, Unreadable

router = APIRouter(prefix="/api/calculator/batch", tags=["batches"])
Prefer = Annotated[
    str | None,
    Header(max_length=200, description="`respond-async`: calculate by a job, however few rows"),
]
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TEXT = {"schema": {"type": "string"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/calculate",
    response_model=BatchAnswer,
    responses={
        202: {"model": BatchAccepted, "description": "Calculated by a job, named by Location"},
        **problems(
            BadRequest,
            UploadTooLarge,
            BatchTooLarge,
            TooManyRows,
            UnknownUpload,
            EmptyBatch,
            BatchUnclear,
            Unreadable,
            MarketUnknown,
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": BatchRequest.model_json_schema()},
                "text/csv": _TEXT,
                _XLSX: _BINARY,
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                },
            },
        }
    },
)
async def calculate_batch(
    request: Request,
    session: Session,
    runtime: RuntimeDep,
    caller: CalculationsRunner,
    *,
    prefer: Prefer = None,
) -> Response:
    """Calculate up to 10,000 machines: JSON columns or rows, a CSV or an xlsx file.

    The fields are those of a single calculation, and `label` for a name of the caller's own; of a
    file, unknown columns are ignored and named. Query parameters (and fields of a form) are
    defaults for rows that do not say themselves. Each row has a result or an error; the good rows
    are calculated whatever the others hold.

    With `Prefer: respond-async` a job does it: the answer is 202.
    """
    upload = await uploads.uploaded(request)
    asked = Asked(upload.raw, upload.lines)
    settings = cast("Settings", runtime.settings)
    large = asked.length > settings.batch_rows_at_once
    if caller.kind == "user" and (large or _prefers_job(prefer)):
        ids = await jobs.start(
            session, caller, asked, upload.ignored_columns, settings.batch_part_rows
        )
        return _accepted(*ids)
    finished = await running.run(session, runtime, caller, asked, upload.ignored_columns)
    return Response(await asyncio.to_thread(_written, finished), media_type="application/json")


@router.get("/{batch_id}", responses=problems(BatchNotFound))
async def get_batch(batch_id: UUID, session: Session, caller: CalculationsReader) -> BatchSummary:
    """Show what came of a batch, as far as it is calculated."""
    return await running.summary_of(session, caller, batch_id)


@router.get("/{batch_id}/rows", response_model=Page[BatchRow], responses=problems(BatchNotFound))
async def list_batch_rows(
    batch_id: UUID, session: Session, caller: CalculationsReader, page: PageQuery
) -> object:
    """List the rows of a batch with their results or errors, in the order sent."""
    rows = list(sheets.result_rows(await running.parts_of(session, caller, batch_id)))
    start = (page.page - 1) * page.page_size
    return page_of(rows[start : start + page.page_size], len(rows), page)


@router.get(
    "/{batch_id}/results.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": _TEXT}}, **problems(BatchNotFound)},
)
async def download_batch_csv(
    batch_id: UUID, session: Session, caller: CalculationsReader
) -> Response:
    """Download a batch as CSV; no cell is a formula."""
    parts = await running.parts_of(session, caller, batch_id)
    content = await asyncio.to_thread(lambda: sheets.csv_of(sheets.result_rows(parts)))
    return _file(content, "text/csv", f"batch-{batch_id}.csv")


@router.get(
    "/{batch_id}/results.xlsx",
    response_class=Response,
    responses={200: {"content": {_XLSX: _BINARY}}, **problems(BatchNotFound)},
)
async def download_batch_xlsx(
    batch_id: UUID, session: Session, caller: CalculationsReader
) -> Response:
    """Download a batch as an xlsx workbook; no cell is a formula."""
    parts = await running.parts_of(session, caller, batch_id)
    content = await asyncio.to_thread(lambda: sheets.xlsx_of(sheets.result_rows(parts)))
    return _file(content, _XLSX, f"batch-{batch_id}.xlsx")


def _written(finished: Finished) -> bytes:
    document: dict[str, Any] = finished.summary.model_dump(mode="json")
    return orjson.dumps(document | {"results": list(sheets.result_rows(finished.parts))})


def _file(content: bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)


def _prefers_job(prefer: str | None) -> bool:
    wishes = (prefer or "").lower().split(",")
    return any(wish.partition(";")[0].strip() == "respond-async" for wish in wishes)


def _accepted(job_id: UUID, batch_id: UUID) -> Response:
    accepted = BatchAccepted(job_id=job_id, batch_id=batch_id).model_dump(mode="json")
    headers = {
        "Location": f"/api/calculator/jobs/{job_id}",
        "Preference-Applied": "respond-async",
    }
    return JSONResponse(accepted, 202, headers)
