"""Answers of the import."""

from uuid import UUID

from pydantic import BaseModel


class RowError(BaseModel):
    """What is wrong with one row of a file."""

    row: int
    """The line of the file, the headings being line 1."""
    field: str | None
    detail: str


class ImportReport(BaseModel):
    """What became of a file, or would."""

    dry_run: bool
    rows: int
    valid: int
    imported: int
    refused: bool
    """Whether errors kept the whole file out, or would."""
    errors_total: int
    errors: list[RowError]
    """The first 500."""
    ignored_columns: list[str]


class ImportResult(ImportReport):
    """The report of an import that ran as a job."""

    errors_csv: str | None
    """Where all errors can be downloaded for a month."""


class ImportAccepted(BaseModel):
    """An import on its way; `GET /api/hosting/jobs/{job_id}` shows how far it has come."""

    job_id: UUID
