"""HTTP of the cost reports."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from common.db import Session
from common.errors import problems
from energy.auth import CostsReader
from energy.currencies.reading import CurrencyUnknown, RateUnavailable
from energy.facts.reading import SiteUnknown
from energy.reports import gathering, sheets
from energy.reports.gathering import (
    Asked,
    ClientUnknown,
    Interval,
    MixedCurrencies,
    ReportSpan,
)
from energy.reports.paper import pdf_of
from energy.reports.schemas import CostReport, view_of
from energy.tariffs.amounts import Currency, Day
from energy.usage.sheets import BINARY, CSV, TEXT, XLSX, csv_of, download, xlsx_of

router = APIRouter(prefix="/api/electricity/reports", tags=["reports"])
PDF = "application/pdf"
_REFUSALS = problems(
    ReportSpan, SiteUnknown, ClientUnknown, MixedCurrencies, CurrencyUnknown, RateUnavailable
)


async def _asked(
    *,
    start_date: Annotated[Day, Query(description="In the site's zone; without a site, UTC.")],
    end_date: Annotated[Day, Query(description="Inclusive.")],
    site_id: UUID | None = None,
    client_id: UUID | None = None,
    interval: Annotated[
        Interval, Query(description="Rows: 93 days at most, or 37 months.")
    ] = "day",
    currency: Annotated[
        Currency | None, Query(description="Without it, the rate's own; each row by its day.")
    ] = None,
) -> Asked:
    return Asked(site_id, client_id, start_date, end_date, interval, currency)


AskedQuery = Annotated[Asked, Depends(_asked)]


def _name(asked: Asked, ending: str) -> str:
    return f"electricity-{asked.start_date}-{asked.end_date}.{ending}"


@router.get("/costs", responses=_REFUSALS)
async def report_costs(session: Session, caller: CostsReader, asked: AskedQuery) -> CostReport:
    """Show the costs of a site, a client or everything by day or month, in any currency.

    Each row is converted by the reference rate of its own last day, which it states.
    """
    return view_of(await gathering.gather(session, caller, asked))


@router.get(
    "/costs.pdf",
    response_class=Response,
    responses={200: {"content": {PDF: BINARY}}, **_REFUSALS},
)
async def report_costs_pdf(session: Session, caller: CostsReader, asked: AskedQuery) -> Response:
    """Download the costs of a site, a client or everything as PDF, with a chart.

    A client's report holds its own machines' energy only: charges of the site are the operator's.
    """
    report = await gathering.gather(session, caller, asked)
    return download(await asyncio.to_thread(pdf_of, report), PDF, _name(asked, "pdf"))


@router.get(
    "/costs.csv",
    response_class=Response,
    responses={200: {"content": {CSV: TEXT}}, **_REFUSALS},
)
async def report_costs_csv(session: Session, caller: CostsReader, asked: AskedQuery) -> Response:
    """Download the same as CSV; no cell is a formula."""
    rows = sheets.rows_of(await gathering.gather(session, caller, asked))
    content = await asyncio.to_thread(csv_of, sheets.COLUMNS, rows)
    return download(content, CSV, _name(asked, "csv"))


@router.get(
    "/costs.xlsx",
    response_class=Response,
    responses={200: {"content": {XLSX: BINARY}}, **_REFUSALS},
)
async def report_costs_xlsx(session: Session, caller: CostsReader, asked: AskedQuery) -> Response:
    """Download the same as an xlsx workbook; no cell is a formula."""
    rows = sheets.rows_of(await gathering.gather(session, caller, asked))
    content = await asyncio.to_thread(xlsx_of, sheets.COLUMNS, rows)
    return download(content, XLSX, _name(asked, "xlsx"))
