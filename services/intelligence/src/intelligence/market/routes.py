"""HTTP of the market."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from common.db import Session
from common.errors import BadRequest, Forbidden, problems
from common.tabular import TooManyRows, Unreadable
from common.uploads import BadUpload, FileTooLarge, UnknownUpload, uploaded
from intelligence.auth import MarketReader, MarketWriter
from intelligence.domain.candles import INDEX, Interval
from intelligence.market import charts, imports, prices
from intelligence.market.imports import ImportOptions, ImportRefused, ReservedVenue
from intelligence.market.prices import NoFreshPrice, StaleQuotes
from intelligence.market.schemas import (
    AggregatedQuotes,
    CandleImport,
    Candles,
    Exchanges,
    MarketPrice,
    MarketVolume,
    QuotesToAggregate,
)

router = APIRouter(prefix="/api/analytics", tags=["analytics"])
_FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.get("/price", responses=problems(NoFreshPrice))
async def get_market_price(session: Session, _: MarketReader) -> MarketPrice:
    """Show the price of a bitcoin: the median of fresh venues, and what each of them says.

    A venue more than 2 % off the median is left out and named. Where no venue is fresh the answer
    is 503, with the last known prices.
    """
    return await prices.price(session)


@router.get("/volume", responses=problems(NoFreshPrice))
async def get_market_volume(session: Session, _: MarketReader) -> MarketVolume:
    """Show what was traded within 24 hours, by venue and in all."""
    return await prices.volume(session)


@router.get("/exchanges")
async def compare_exchanges(session: Session, _: MarketReader) -> Exchanges:
    """Show the venues beside each other: price, spread, distance from the median, health."""
    return await prices.exchanges(session)


@router.get("/candles")
async def list_candles(
    session: Session,
    _: MarketReader,
    interval: Annotated[Interval, Query(description="How long a bar lasts")] = Interval.HOUR,
    limit: Annotated[int, Query(ge=1, le=1000, description="Bars, at most 1,000")] = 200,
    venue: Annotated[
        str,
        Query(max_length=30, pattern="^[a-z0-9_-]+$", description="`index`: the median of all"),
    ] = INDEX,
) -> Candles:
    """List the last closed candles in the order of time; what is missing is named, not filled."""
    return await charts.chart(session, interval=interval, limit=limit, venue=venue)


@router.post("/quotes/aggregate", responses=problems(StaleQuotes))
async def aggregate_quotes(body: QuotesToAggregate, _: MarketReader) -> AggregatedQuotes:
    """Make one price of several venues' as the market's own is made; nothing is stored."""
    return prices.combined(body)


@router.post(
    "/candles/import",
    status_code=201,
    responses={
        200: {"model": CandleImport, "description": "A dry run: nothing was written"},
        **problems(
            BadRequest,
            Forbidden,
            FileTooLarge,
            TooManyRows,
            UnknownUpload,
            BadUpload,
            Unreadable,
            ReservedVenue,
            ImportRefused,
        ),
    },
    openapi_extra=_FILE,
)
async def import_candles(
    request: Request,
    response: Response,
    session: Session,
    principal: MarketWriter,
    options: Annotated[ImportOptions, Query()],
) -> CandleImport:
    """Store the candles of a CSV or xlsx file, all or (unless `partial`) none.

    The first line names the columns `time, open, high, low, close` and, where known, `volume`;
    times are ISO 8601 (UTC unless they say otherwise) or seconds or milliseconds since 1970.
    The file becomes one more venue of the index; importing again replaces its own bars.
    """
    content, _ = await uploaded(request)
    report = await imports.import_candles(session, principal, content, options)
    if options.dry_run:
        response.status_code = 200
    return report
