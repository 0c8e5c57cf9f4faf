"""HTTP of the savings ledger."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery, page_of
from energy.auth import CostsReader, CostsWriter
from energy.currencies.reading import CurrencyUnknown, RateUnavailable
from energy.facts.reading import SiteUnknown
from energy.savings import listing, shifts
from energy.savings.listing import EndBeforeStart, SavingNotFound, Wanted
from energy.savings.schemas import Kind, NewShift, SavingsSum, SavingView
from energy.savings.shifts import BaselineIncomplete, ShiftNotFound, ShiftOverlaps, ShiftUnclear
from energy.tariffs.amounts import Currency, Day
from energy.usage.sheets import BINARY, CSV, TEXT, XLSX, csv_of, download, xlsx_of

router = APIRouter(prefix="/api/electricity/savings", tags=["savings"])


async def _wanted(
    *,
    site_id: UUID | None = None,
    client_id: Annotated[
        UUID | None, Query(description="One client's part; without it, whole sites.")
    ] = None,
    kind: Kind | None = None,
    start_date: Annotated[Day | None, Query(description="Of the start, UTC.")] = None,
    end_date: Annotated[Day | None, Query(description="Inclusive.")] = None,
) -> Wanted:
    return Wanted(site_id, client_id, kind, start_date, end_date)


WantedQuery = Annotated[Wanted, Depends(_wanted)]


@router.get("", response_model=Page[SavingView], responses=problems(EndBeforeStart))
async def list_savings(
    session: Session, caller: CostsReader, wanted: WantedQuery, page: PageQuery
) -> object:
    """List what curtailments and shifts have saved, the newest first.

    A client sees its own machines' part.
    """
    rows, count = await listing.page(session, caller, wanted, page)
    return page_of([SavingView.model_validate(row) for row in rows], count, page)


@router.get("/summary", responses=problems(EndBeforeStart, CurrencyUnknown, RateUnavailable))
async def summarise_savings(
    session: Session,
    caller: CostsReader,
    wanted: WantedQuery,
    currency: Annotated[Currency | None, Query(description="Without it, USD.")] = None,
) -> SavingsSum:
    """Sum the ledger up."""
    return await listing.total(session, caller, wanted, currency)


@router.get(
    "/file.csv",
    response_class=Response,
    responses={200: {"content": {CSV: TEXT}}, **problems(EndBeforeStart)},
)
async def download_savings_csv(
    session: Session, caller: CostsReader, wanted: WantedQuery
) -> Response:
    """Download the ledger as CSV, at most 10,000 lines; no cell is a formula."""
    rows = await listing.sheet(session, caller, wanted)
    content = await asyncio.to_thread(csv_of, listing.COLUMNS, rows)
    return download(content, CSV, "savings.csv")


@router.get(
    "/file.xlsx",
    response_class=Response,
    responses={200: {"content": {XLSX: BINARY}}, **problems(EndBeforeStart)},
)
async def download_savings_xlsx(
    session: Session, caller: CostsReader, wanted: WantedQuery
) -> Response:
    """Download the ledger as an xlsx workbook, at most 10,000 lines; no cell is a formula."""
    rows = await listing.sheet(session, caller, wanted)
    content = await asyncio.to_thread(xlsx_of, listing.COLUMNS, rows)
    return download(content, XLSX, "savings.xlsx")


@router.post(
    "/shifts",
    status_code=201,
    responses=problems(SiteUnknown, ShiftUnclear, ShiftOverlaps, BaselineIncomplete),
)
async def create_shift(body: NewShift, session: Session, caller: CostsWriter) -> SavingView:
    """Put a shift into the ledger: what the same energy would have cost at a baseline's hours."""
    return SavingView.model_validate(await shifts.create(session, caller, body))


@router.delete("/shifts/{saving_id}", status_code=204, responses=problems(ShiftNotFound))
async def remove_shift(saving_id: UUID, session: Session, caller: CostsWriter) -> None:
    """Take a shift out of the ledger; what plans have saved stays."""
    await shifts.remove(session, caller, saving_id)


@router.get("/{saving_id}", responses=problems(SavingNotFound))
async def get_saving(saving_id: UUID, session: Session, _: CostsReader) -> SavingView:
    """Show one line of the ledger with its baseline and provenance."""
    return SavingView.model_validate(await listing.one(session, saving_id))
