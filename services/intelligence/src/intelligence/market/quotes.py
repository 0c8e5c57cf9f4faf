"""What the calculator says: its quotes and the difficulty epochs, kept as it publishes them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.consumer import Reactions, Received
from intelligence.market.models import CalculatorQuote, NetworkEpoch

PAIR = "BTC/USD"
reactions = Reactions()


async def latest_quote(session: AsyncSession) -> CalculatorQuote | None:
    """Return the calculator's last quote of bitcoin, or None where it has published none."""
    newest = CalculatorQuote.version.desc(), CalculatorQuote.at.desc()
    query = select(CalculatorQuote).where(CalculatorQuote.pair == PAIR).order_by(*newest).limit(1)
    return await session.scalar(query)


async def quotes_since(session: AsyncSession, since: datetime) -> list[CalculatorQuote]:
    """Return the quotes of bitcoin from `since` on, in the order of time."""
    wanted = CalculatorQuote.pair == PAIR, CalculatorQuote.at >= since
    rows = await session.scalars(
        select(CalculatorQuote).where(*wanted).order_by(CalculatorQuote.at)
    )
    return list(rows)


async def daily_quotes(session: AsyncSession, since: datetime) -> list[CalculatorQuote]:
    """Return the last quote of bitcoin of each UTC day from `since` on, in the order of time."""
    day = func.date_trunc(text("'day'"), CalculatorQuote.at, text("'UTC'"))
    rows = await session.scalars(
        select(CalculatorQuote)
        .where(CalculatorQuote.pair == PAIR, CalculatorQuote.at >= since)
        .ext(distinct_on(day))
        .order_by(day, CalculatorQuote.at.desc())
    )
    return list(rows)


async def epochs(session: AsyncSession, last: int) -> list[NetworkEpoch]:
    """Return the last epochs in the order of their height; the last one is running."""
    query = select(NetworkEpoch).order_by(NetworkEpoch.height.desc()).limit(last)
    return list(reversed(list(await session.scalars(query))))


class QuotePublished(BaseModel):
    pair: str = Field(max_length=20)
    price_usd: Decimal = Field(gt=0)
    at: AwareDatetime
    source: str
    stale: bool = False
    simulated: bool = False
    difficulty: Decimal | None = None
    network_hashrate_ehs: Decimal | None = None
    subsidy_btc: Decimal | None = None
    fees_btc_per_block: Decimal | None = None
    hashprice_usd_per_ths_day: Decimal | None = None
    hashprice_btc_per_ths_day: Decimal | None = None


class EpochChanged(BaseModel):
    height: int = Field(ge=0, le=2_000_000_000)
    started_at: AwareDatetime
    difficulty: Decimal = Field(gt=0)
    bits: str | int | None = None
    subsidy_btc: Decimal = Field(ge=0)
    simulated: bool = False


@reactions.on("calculator.quote.published.v1")
async def quote_published(session: AsyncSession, event: Received[QuotePublished]) -> None:
    """Keep the quote."""
    row = {
        "organisation_id": PLATFORM_ORGANISATION,
        "version": event.version,
        **event.data.model_dump(),
    }
    statement = insert(CalculatorQuote).values(row)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["pair", "version"],
            set_=_all_but(row, "organisation_id", "pair", "version"),
            where=CalculatorQuote.at < statement.excluded.at,
        )
    )


@reactions.on("calculator.network-epoch.changed.v1")
async def epoch_changed(session: AsyncSession, event: Received[EpochChanged]) -> None:
    """Keep the epoch as its newest version says."""
    bits = event.data.bits
    row = {
        "organisation_id": PLATFORM_ORGANISATION,
        "version": event.version,
        **event.data.model_dump(),
        "bits": None if bits is None else str(bits),
    }
    statement = insert(NetworkEpoch).values(row)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["height"],
            set_=_all_but(row, "organisation_id", "height"),
            where=NetworkEpoch.version < statement.excluded.version,
        )
    )


def _all_but(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
