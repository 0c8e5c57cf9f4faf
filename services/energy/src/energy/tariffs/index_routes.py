"""HTTP of the index series: prices that change by the interval."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from common.db import Session
from common.errors import BadRequest, problems
from common.tabular import TooManyRows, Unreadable
from common.uploads import BadUpload, FileTooLarge, UnknownUpload, uploaded
from energy.auth import TariffsReader, TariffsWriter
from energy.tariffs import index_series
from energy.tariffs.amounts import AwareMoment, Zone
from energy.tariffs.index_schemas import (
    MorePrices,
    NewSeries,
    PriceList,
    SeriesAnswer,
    SeriesList,
    SeriesRemoved,
)
from energy.tariffs.index_series import PricesOverlap, PricesRefused, SeriesInUse, SeriesNotFound

router = APIRouter(prefix="/api/electricity/index-series", tags=["electricity index"])


@router.get("")
async def list_index_series(
    session: Session,
    _: TariffsReader,
    *,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many")] = 200,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="After so many")] = 0,
) -> SeriesList:
    """List the series of prices, by name."""
    found, total = await index_series.list_series(session, limit=limit, offset=offset)
    return SeriesList(series=found, count=len(found), total=total)


@router.post("", status_code=201, responses=problems(PricesOverlap))
async def create_index_series(
    body: NewSeries, session: Session, principal: TariffsWriter
) -> SeriesAnswer:
    """Store a series of prices, from which rates of type `index` may take theirs."""
    return SeriesAnswer(series=await index_series.create_series(session, principal, body))


@router.get("/{series_id}", responses=problems(SeriesNotFound))
async def get_index_series(series_id: UUID, session: Session, _: TariffsReader) -> SeriesAnswer:
    """Show a series, without its prices."""
    found = await index_series.series_of(session, series_id)
    return SeriesAnswer(series=await index_series.view_of(session, found))


@router.get("/{series_id}/prices", responses=problems(SeriesNotFound))
async def list_index_prices(
    series_id: UUID,
    session: Session,
    _: TariffsReader,
    *,
    start: Annotated[AwareMoment | None, Query(description="That start from here on")] = None,
    end: Annotated[AwareMoment | None, Query(description="That start before")] = None,
    limit: Annotated[int, Query(ge=1, le=5000, description="At most so many")] = 500,
) -> PriceList:
    """List the prices of a series in order; `next_start` says where to go on."""
    found, following = await index_series.list_prices(
        session, series_id, start=start, end=end, limit=limit
    )
    return PriceList(prices=found, count=len(found), next_start=following)


@router.post("/{series_id}/prices", responses=problems(SeriesNotFound, PricesOverlap))
async def add_index_prices(
    series_id: UUID, body: MorePrices, session: Session, principal: TariffsWriter
) -> SeriesAnswer:
    """Add prices to a series; one that starts when another does replaces it."""
    series = await index_series.series_of(session, series_id)
    prices = index_series.prices_of(body.prices, body.timezone)
    await index_series.add_prices(session, principal, series, prices)
    return SeriesAnswer(series=await index_series.view_of(session, series))


@router.post(
    "/{series_id}/upload",
    responses=problems(
        BadRequest, SeriesNotFound, PricesOverlap, PricesRefused, BadUpload, FileTooLarge,
        UnknownUpload, Unreadable, TooManyRows,
    ),
    openapi_extra={
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
    },
)  # fmt: skip
async def upload_index_prices(
    series_id: UUID,
    request: Request,
    session: Session,
    principal: TariffsWriter,
    *,
    timezone: Annotated[Zone, Query(description="Of times without offset")] = "UTC",
) -> SeriesAnswer:
    """Add the prices of a CSV or xlsx file with the columns `start, end, price_per_mwh`."""
    series = await index_series.series_of(session, series_id)
    content, _ = await uploaded(request)
    prices = await asyncio.to_thread(index_series.prices_of_file, content, timezone)
    await index_series.add_prices(session, principal, series, prices)
    return SeriesAnswer(series=await index_series.view_of(session, series))


@router.delete("/{series_id}", responses=problems(SeriesNotFound, SeriesInUse))
async def remove_index_series(
    series_id: UUID, session: Session, principal: TariffsWriter
) -> SeriesRemoved:
    """Remove a series that no rate needs."""
    await index_series.remove_series(session, principal, series_id)
    return SeriesRemoved(id=series_id)
