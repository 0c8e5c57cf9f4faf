"""HTTP of the advice."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from common.db import Session
from common.errors import problems
from energy.advice import giving
from energy.advice.giving import Asked, SpanUnusable
from energy.advice.schemas import Advice
from energy.auth import TariffsReader
from energy.currencies.reading import CurrencyUnknown, RateUnavailable
from energy.facts.reading import SiteUnknown
from energy.tariffs.amounts import Currency, Day

router = APIRouter(prefix="/api/electricity/advice", tags=["advice"])


@router.get("", responses=problems(SiteUnknown, SpanUnusable, CurrencyUnknown, RateUnavailable))
async def get_advice(
    session: Session,
    _: TariffsReader,
    *,
    site_id: UUID,
    days: Annotated[int, Query(ge=1, le=31, description="To look ahead.")] = 7,
    start_date: Annotated[
        Day | None, Query(description="Of the past that is judged; without it, 30 days.")
    ] = None,
    end_date: Annotated[Day | None, Query(description="Inclusive; without it, yesterday.")] = None,
    currency: Annotated[Currency | None, Query(description="Without it, USD.")] = None,
) -> Advice:
    """Say what could cost less at a site.

    Classes of machines at their break-even, the coming hours in which some lose, what lower peaks
    would have saved in the span's last month, and what moving energy to cheaper hours would have.
    """
    return await giving.advise(session, Asked(site_id, days, start_date, end_date, currency))
