"""HTTP of the quotes of record."""

from fastapi import APIRouter

from calculator.auth import QuotesWriter
from calculator.quotes import record
from calculator.quotes.current import forget
from calculator.quotes.record import NotThePlatform, QuoteOfAnotherTime
from calculator.quotes.schemas import ManualQuote, QuoteView, RecordedQuote
from calculator.sources.parties import parties_of
from common.auth import Anyone
from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery
from common.runtime import RuntimeDep

router = APIRouter(prefix="/api/calculator/quotes", tags=["quotes"])


@router.get("", response_model=Page[QuoteView])
async def list_quotes(session: Session, _: Anyone, page: PageQuery) -> object:
    """List the quotes of record, newest first: one every five minutes."""
    return await record.list_quotes(session, page)


@router.post("", status_code=201, responses=problems(NotThePlatform, QuoteOfAnotherTime))
async def record_quote(
    body: ManualQuote, session: Session, principal: QuotesWriter, runtime: RuntimeDep
) -> RecordedQuote:
    """Record figures by hand, for an installation that reaches no source of quotes."""
    forget(runtime)
    return await record.record_by_hand(session, principal, body, parties_of(runtime).now())
