"""The quotes of record: what was published, and what a person records by hand."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.db import AuditEvent
from calculator.domain.assembly import MANUAL, is_fresh
from calculator.domain.market import Valued
from calculator.domain.readings import AHEAD, Kind, Reading
from calculator.quotes.models import Quote
from calculator.quotes.schemas import ManualQuote, QuoteView, RecordedQuote, figure_of
from calculator.quotes.store import remember
from common.audit import audit
from common.auth import PLATFORM_ORGANISATION, Principal
from common.errors import Forbidden, Invalid
from common.pages import PageRequest, page_of, paged

_FIRST_PRICE = datetime(2010, 7, 17, tzinfo=UTC)
"""When the first exchange opened."""
_PLACES = {Kind.PRICE_USD: 6, Kind.DIFFICULTY: 6, Kind.HEIGHT: 0, Kind.FEES_BTC_PER_BLOCK: 8}


class NotThePlatform(Forbidden):
    title: ClassVar[str] = "Only the platform's Admin records quotes"


class QuoteOfAnotherTime(Invalid):
    title: ClassVar[str] = "The quote is of a time when there was none"


async def record_by_hand(
    session: AsyncSession, principal: Principal, body: ManualQuote, now: datetime
) -> RecordedQuote:
    """Keep figures that a person vouches for; they count where no source has a younger one.

    Raises:
        NotThePlatform: quotes are shared by all organisations.
        QuoteOfAnotherTime: the time given lies ahead, or before any price.
    """
    if principal.organisation_id != PLATFORM_ORGANISATION:
        raise NotThePlatform("Quotes are shared by all; record them as the platform's Admin.")
    at = body.at or now
    if not _FIRST_PRICE <= at <= now + AHEAD:
        raise QuoteOfAnotherTime("Give a time that has passed, or leave it out.", field="at")
    readings = [
        Reading(kind, MANUAL, value, at, now) for kind, value in _stated(body) if value is not None
    ]
    await remember(session, readings, body.note)
    await audit(
        session,
        AuditEvent,
        principal,
        action="quote.record",
        object_type="quote",
        object_id=MANUAL,
        detail={"at": at.isoformat(), "note": body.note}
        | {one.kind.value: f"{one.value:f}" for one in readings},
    )
    return RecordedQuote(
        source=MANUAL,
        note=body.note,
        figures={
            one.kind.value: figure_of(
                Valued(one.value, MANUAL, at, not is_fresh(one, now)), now, _PLACES[one.kind]
            )
            for one in readings
        },
    )


def _stated(body: ManualQuote) -> list[tuple[Kind, Decimal | None]]:
    return [
        (Kind.PRICE_USD, body.price_usd),
        (Kind.DIFFICULTY, body.difficulty),
        (Kind.HEIGHT, None if body.height is None else Decimal(body.height)),
        (Kind.FEES_BTC_PER_BLOCK, body.fees_btc_per_block),
    ]


async def list_quotes(session: AsyncSession, page: PageRequest) -> dict[str, object]:
    """Return one page of the published quotes, newest first."""
    rows, total = await paged(
        session, select(Quote).order_by(Quote.published_at.desc(), Quote.id.desc()), page
    )
    return page_of([QuoteView.model_validate(row) for row in rows], total, page)
