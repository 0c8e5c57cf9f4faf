"""HTTP of the currencies."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query

from common.db import Session
from common.errors import problems
from energy.auth import CostsReader
from energy.currencies import reading
from energy.currencies.reading import CurrencyUnknown, DayInFuture, RateUnavailable
from energy.currencies.schemas import ConversionView, Converted, ReferenceRates, ReferenceRateView
from energy.parties.ecb import BASE
from energy.tariffs.amounts import Currency, Day

router = APIRouter(prefix="/api/electricity/currencies", tags=["currencies"])


@router.get("")
async def list_currencies(session: Session, _: CostsReader) -> ReferenceRates:
    """List the newest reference rate of every currency, with its day and source."""
    rows = await reading.latest(session)
    return ReferenceRates(base=BASE, rates=[ReferenceRateView.of(row) for row in rows])


@router.get("/convert", responses=problems(CurrencyUnknown, DayInFuture, RateUnavailable))
async def convert(
    session: Session,
    _: CostsReader,
    *,
    amount: Annotated[
        Decimal, Query(ge=-1_000_000_000_000, le=1_000_000_000_000, allow_inf_nan=False)
    ],
    source: Annotated[Currency, Query(alias="from")],
    to: Annotated[Currency, Query()],
    on: Annotated[Day | None, Query(description="Without it, today.")] = None,
) -> Converted:
    """Convert an amount by the last reference rate until a day. Nothing is converted at a guess."""
    made = await reading.conversion(session, source, to, on)
    return Converted(amount=amount, converted=made.of(amount), conversion=ConversionView.of(made))
