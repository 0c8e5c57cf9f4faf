"""What the calculator says bitcoin and hashrate are worth."""

from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.consumer import Reactions, Received
from hosting.quotes.models import Quote

reactions = Reactions()
Positive = Annotated[Decimal, Field(gt=0, lt=10**12, allow_inf_nan=False)]


class QuotePublished(BaseModel):
    """calculator.quote.published.v1, as far as a fleet's earnings need it."""

    pair: Annotated[str, Field(min_length=1, max_length=20)]
    price_usd: Positive
    hashprice_usd_per_ths_day: Positive
    hashprice_btc_per_ths_day: Positive
    at: AwareDatetime
    published_at: AwareDatetime
    source: str
    stale: bool
    simulated: bool


@reactions.on("calculator.quote.published.v1")
async def quote_published(session: AsyncSession, event: Received[QuotePublished]) -> None:
    """Keep the newest quote of each pair. Only the platform quotes; a tenant's word is no price."""
    if event.organisation_id != PLATFORM_ORGANISATION:
        return
    row = {
        "organisation_id": event.organisation_id,
        "version": event.version,
        **event.data.model_dump(),
    }
    statement = insert(Quote).values(row)
    said = statement.excluded
    key = ("organisation_id", "pair")
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=key,
            set_={name: said[name] for name in row if name not in key},
            where=tuple_(Quote.version, Quote.at) < tuple_(said.version, said.at),
        )
    )
