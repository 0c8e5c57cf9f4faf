"""Routes of importing machines from a file."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from common.db import Session
from common.errors import BadRequest, Forbidden, problems
from common.tabular import TooManyRows, Unreadable
from common.uploads import BadUpload, FileTooLarge, UnknownUpload
from hosting.auth import MinersWriter
from hosting.imports import jobs, sheets
from hosting.imports.jobs import ImportNotFound
from hosting.imports.schemas import ImportAccepted, ImportReport
from hosting.imports.sheets import ImportOptions, ImportRefused
from hosting.imports.uploads import uploaded
from hosting.settings import SettingsDep
from hosting.sites.registry import SiteNotFound

router = APIRouter(prefix="/api/hosting/miners", tags=["miners"])
Prefer = Annotated[
    str | None,
    Header(max_length=200, description="`respond-async`: import by a job, however small the file"),
]


@router.post(
    "/import",
    status_code=201,
    response_model=ImportReport,
    responses={
        200: {"model": ImportReport, "description": "A dry run: nothing was written"},
        202: {"model": ImportAccepted, "description": "Imported by a job, named by Location"},
        **problems(
            BadRequest,
            Forbidden,
            SiteNotFound,
            FileTooLarge,
            TooManyRows,
            UnknownUpload,
            BadUpload,
            Unreadable,
            ImportRefused,
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}},
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
async def import_miners(
    request: Request,
    response: Response,
    session: Session,
    principal: MinersWriter,
    settings: SettingsDep,
    _: Annotated[ImportOptions, Query()],
    *,
    prefer: Prefer = None,
) -> ImportReport | Response:
    """Register the machines of a CSV or xlsx file, all or (unless `partial`) none.

    The first line names the columns: `serial_number, model, cgminer_ip`, and where wanted
    `cgminer_port, site, client, firmware, hashrate_ths, power_w, rack, position`. Site, client and
    rack are given by name or id. The options may also be fields of the form.

    A large file, and any with `Prefer: respond-async`, is imported by a job: the answer is 202,
    and the job's result is the report. The job checks all rows before it writes the first, unless
    `partial`; a row that somebody else's machine gets in the way of meanwhile is an error of its
    own.
    """
    content, options = await uploaded(request)
    sheet = await sheets.read_sheet(principal, content, options)
    large = len(sheet.rows) > settings.import_rows_at_once and not options.dry_run
    if large or _prefers_job(prefer):
        return _accepted(await jobs.start(session, principal, settings, sheet, options))
    report = await sheets.import_sheet(session, principal, settings, sheet, options)
    if options.dry_run:
        response.status_code = 200
    return report


def _prefers_job(prefer: str | None) -> bool:
    wishes = (prefer or "").lower().split(",")
    return any(wish.partition(";")[0].strip() == "respond-async" for wish in wishes)


def _accepted(job_id: UUID) -> Response:
    accepted = ImportAccepted(job_id=job_id).model_dump(mode="json")
    headers = {
        "Location": f"/api/hosting/jobs/{job_id}",
        "Preference-Applied": "respond-async",
    }
    return JSONResponse(accepted, 202, headers)


@router.get(
    "/imports/{job_id}/errors.csv",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        **problems(ImportNotFound),
    },
)
async def get_import_errors(job_id: UUID, session: Session, _: MinersWriter) -> Response:
    """Download all errors that an import by a job has met, by row."""
    headers = {"Content-Disposition": f'attachment; filename="import-{job_id}-errors.csv"'}
    errors = await jobs.errors_csv(session, job_id)
    return Response(errors, media_type="text/csv", headers=headers)
