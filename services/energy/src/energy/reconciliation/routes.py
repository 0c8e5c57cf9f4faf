"""HTTP of the reconciliation of utilities' bills."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from common.db import Session
from common.errors import BadRequest, problems
from common.pages import Page, PageQuery, page_of
from common.tabular import TooManyRows, Unreadable
from common.uploads import BadUpload, FileTooLarge, UnknownUpload, uploaded
from energy.auth import CostsWriter, TariffsReader
from energy.facts.reading import SiteUnknown
from energy.reconciliation import keeping
from energy.reconciliation.keeping import (
    AlreadyReconciled,
    Asked,
    CurrencyDiffers,
    NothingToCompare,
    PeriodUnusable,
    ReconciliationNotFound,
)
from energy.reconciliation.schemas import ReconciliationSummary, ReconciliationView
from energy.reconciliation.sheet import BillUnreadable, DecimalMark
from energy.tariffs.amounts import Currency, Day
from energy.usage.sheets import BINARY, CSV, TEXT, XLSX, csv_of, download, xlsx_of

router = APIRouter(prefix="/api/electricity/reconciliations", tags=["reconciliation"])


@router.post(
    "",
    status_code=201,
    responses=problems(
        BadRequest, SiteUnknown, PeriodUnusable, CurrencyDiffers, BillUnreadable, Unreadable,
        TooManyRows, FileTooLarge, BadUpload, UnknownUpload, NothingToCompare, AlreadyReconciled,
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                CSV: TEXT,
                XLSX: BINARY,
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
)  # fmt: skip
async def create_reconciliation(
    request: Request,
    session: Session,
    caller: CostsWriter,
    *,
    site_id: UUID,
    start_date: Annotated[Day, Query(description="In the site's zone.")],
    end_date: Annotated[Day, Query(description="Inclusive.")],
    currency: Annotated[Currency | None, Query(description="As the bill says.")] = None,
    utility_name: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    invoice_number: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    decimal: Annotated[DecimalMark, Query(description="How the file writes decimals.")] = "point",
) -> ReconciliationView:
    """Compare the lines of a utility's bill (CSV or xlsx) with our bill of the same days.

    Columns: `amount`, and where the bill has them `description`, `kind` (energy, demand, fixed,
    tax, credit, unknown; else found by unit and words), `quantity`, `unit`, `rate`. A line that
    calls itself a total is checked, not counted.
    """
    content, _ = await uploaded(request)
    asked = Asked(site_id, start_date, end_date, currency, utility_name, invoice_number, decimal)
    made = await keeping.create(session, caller, asked, content)
    return ReconciliationView.model_validate(made)


@router.get("", response_model=Page[ReconciliationSummary])
async def list_reconciliations(
    session: Session, _: TariffsReader, page: PageQuery, site_id: UUID | None = None
) -> object:
    """List reconciliations, the newest first."""
    rows, count = await keeping.page(session, site_id, page)
    return page_of([ReconciliationSummary.model_validate(row) for row in rows], count, page)


@router.get("/{reconciliation_id}", responses=problems(ReconciliationNotFound))
async def get_reconciliation(
    reconciliation_id: UUID, session: Session, _: TariffsReader
) -> ReconciliationView:
    """Show a reconciliation with the lines of both bills."""
    return ReconciliationView.model_validate(await keeping.one(session, reconciliation_id))


@router.delete("/{reconciliation_id}", status_code=204, responses=problems(ReconciliationNotFound))
async def remove_reconciliation(
    reconciliation_id: UUID, session: Session, caller: CostsWriter
) -> None:
    """Take a reconciliation away, to make it anew."""
    await keeping.remove(session, caller, reconciliation_id)


@router.get(
    "/{reconciliation_id}/file.csv",
    response_class=Response,
    responses={200: {"content": {CSV: TEXT}}, **problems(ReconciliationNotFound)},
)
async def download_reconciliation_csv(
    reconciliation_id: UUID, session: Session, _: TariffsReader
) -> Response:
    """Download a reconciliation as CSV; no cell is a formula."""
    rows = keeping.cells(await keeping.one(session, reconciliation_id))
    content = await asyncio.to_thread(csv_of, keeping.SHEET_COLUMNS, rows)
    return download(content, CSV, f"reconciliation-{reconciliation_id}.csv")


@router.get(
    "/{reconciliation_id}/file.xlsx",
    response_class=Response,
    responses={200: {"content": {XLSX: BINARY}}, **problems(ReconciliationNotFound)},
)
async def download_reconciliation_xlsx(
    reconciliation_id: UUID, session: Session, _: TariffsReader
) -> Response:
    """Download a reconciliation as an xlsx workbook; no cell is a formula."""
    rows = keeping.cells(await keeping.one(session, reconciliation_id))
    content = await asyncio.to_thread(xlsx_of, keeping.SHEET_COLUMNS, rows)
    return download(content, XLSX, f"reconciliation-{reconciliation_id}.xlsx")
