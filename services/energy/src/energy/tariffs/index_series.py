"""The store of index prices: series that somebody uploads, or that an import brings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.ids import new_id
from common.tabular import RowError, parse_rows, read_table
from energy.db import Outbox
from energy.tariffs.activation import one_at_a_time
from energy.tariffs.events import IndexPricesChanged
from energy.tariffs.index_schemas import NewSeries, PriceRow, PriceView, SeriesView
from energy.tariffs.models import IndexPrice, IndexSeries, RateVersion
from energy.tariffs.publishing import note
from energy.tariffs.schedules import instant

_CHUNK = 2000
_KIND = "index-series"


class SeriesNotFound(NotFound):
    title: ClassVar[str] = "No such index series"


class SeriesInUse(Conflict):
    title: ClassVar[str] = "A rate takes its prices from this series"


class PricesOverlap(Invalid):
    title: ClassVar[str] = "Two prices claim the same time"


class PricesRefused(Invalid):
    title: ClassVar[str] = "The file's rows are not prices"


@dataclass(frozen=True, slots=True)
class Price:
    """A price of a series."""

    starts_at: datetime
    ends_at: datetime | None
    per_mwh: Decimal


async def series_of(session: AsyncSession, series_id: UUID) -> IndexSeries:
    """Return a series of the caller's organisation.

    Raises:
        SeriesNotFound: there is none of this id.
    """
    series = await session.get(IndexSeries, series_id)
    if series is None:
        raise SeriesNotFound(f"There is no index series {series_id}.", field="series_id")
    return series


async def create_series(
    session: AsyncSession,
    principal: Principal,
    wish: NewSeries,
    *,
    source: str = "upload",
) -> SeriesView:
    """Store a series with its first prices."""
    series = await new_series(
        session, principal, name=wish.name, currency=wish.currency, source=source, text=wish.note
    )
    await add_prices(session, principal, series, prices_of(wish.prices, wish.timezone))
    return await view_of(session, series)


async def new_series(
    session: AsyncSession,
    principal: Principal,
    *,
    name: str,
    currency: str,
    source: str,
    text: str | None,
) -> IndexSeries:
    """Store a series without prices."""
    present = now()
    series = IndexSeries(
        id=new_id(),
        organisation_id=principal.organisation_id,
        name=name,
        currency=currency,
        source=source,
        note=text,
        created_at=present,
        updated_at=present,
    )
    session.add(series)
    await session.flush()  # its prices refer to it
    await note(session, principal, "index-series.create", series.id, object_type=_KIND, name=name)
    return series


def prices_of(rows: Iterable[PriceRow], zone: str) -> list[Price]:
    """Return prices in order; times without offset are in the zone.

    Raises:
        PricesOverlap: two of them claim the same time.
    """
    where = ZoneInfo(zone)
    found = [
        Price(
            instant(row.start, where),
            instant(row.end, where) if row.end is not None else None,
            row.price_per_mwh,
        )
        for row in rows
    ]
    return in_order(found)


def in_order(prices: Sequence[Price]) -> list[Price]:
    """Return prices by time.

    Raises:
        PricesOverlap: one starts before the one before it has ended.
    """
    ordered = sorted(prices, key=lambda price: price.starts_at)
    for one, following in pairwise(ordered):
        ends = one.ends_at or following.starts_at
        if following.starts_at < ends or following.starts_at == one.starts_at:
            raise PricesOverlap(
                f"A price starts at {following.starts_at.isoformat()}, before the one that starts "
                f"at {one.starts_at.isoformat()} has ended.",
                field="start",
            )
    return ordered


async def add_prices(
    session: AsyncSession, principal: Principal, series: IndexSeries, prices: Sequence[Price]
) -> int:
    """Write prices; one that starts when another does replaces it. Returns how many."""
    rows = [
        {
            "organisation_id": series.organisation_id,
            "series_id": series.id,
            "starts_at": price.starts_at,
            "ends_at": price.ends_at,
            "price_per_mwh": price.per_mwh,
        }
        for price in prices
    ]
    for chunk in _chunks(rows):
        statement = insert(IndexPrice).values(chunk)
        newer = {name: statement.excluded[name] for name in ("ends_at", "price_per_mwh")}
        await session.execute(
            statement.on_conflict_do_update(index_elements=["series_id", "starts_at"], set_=newer)
        )
    if rows:
        series.updated_at = now()
        session.add(Outbox.of(await _changed(session, series, prices)))
        await note(
            session, principal, "index-series.prices", series.id, object_type=_KIND, count=len(rows)
        )
    return len(rows)


async def _changed(
    session: AsyncSession, series: IndexSeries, prices: Sequence[Price]
) -> IndexPricesChanged:
    """Return since when and until when prices are other: each lasts at most to the next."""
    starts = [price.starts_at for price in prices]
    following = await session.scalar(
        select(func.min(IndexPrice.starts_at)).where(
            IndexPrice.series_id == series.id, IndexPrice.starts_at > max(starts)
        )
    )
    return IndexPricesChanged(
        organisation_id=series.organisation_id,
        series_id=series.id,
        starts_at=min(starts),
        ends_at=following,
        changed_at=series.updated_at,
    )


def _chunks(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


def prices_of_file(content: bytes, zone: str) -> list[Price]:
    """Return the prices of a file in order; times without offset are in the zone.

    Raises:
        PricesRefused: a row is no price.
        PricesOverlap: two of them claim the same time.
    """
    return prices_of(rows_of_file(content), zone)


def rows_of_file(content: bytes) -> list[PriceRow]:
    """Return the prices of a CSV or xlsx file: start, end (or none), price_per_mwh.

    Raises:
        PricesRefused: a row is none.
    """
    table = read_table(content, required=("start", "price_per_mwh"))
    good, bad = parse_rows(table, PriceRow)
    if bad:
        first = bad[0]
        raise PricesRefused(
            f"Row {first.row}: {first.detail}.",
            field=first.column or "file",
            errors=[_error(one) for one in bad[:50]],
        )
    if not good:
        raise PricesRefused("The file has no rows.", field="file")
    return [row for _, row in good]


def _error(one: RowError) -> dict[str, str]:
    pointer = f"/rows/{one.row}" + (f"/{one.column}" if one.column else "")
    return {"pointer": pointer, "detail": one.detail, "code": "row_invalid"}


async def remove_series(session: AsyncSession, principal: Principal, series_id: UUID) -> None:
    """Remove a series and its prices.

    Raises:
        SeriesInUse: a rate, or an earlier version of one that bills name, needs it.
    """
    await one_at_a_time(session, principal.organisation_id)
    series = await series_of(session, series_id)
    user = await session.scalar(
        select(RateVersion.name)
        .where(RateVersion.body["index_series_id"].astext == str(series_id))
        .limit(1)
    )
    if user is not None:
        raise SeriesInUse(f"A version of the rate {user} takes its prices from this series.")
    await session.delete(series)
    await note(
        session, principal, "index-series.remove", series_id, object_type=_KIND, name=series.name
    )


async def list_series(
    session: AsyncSession, *, limit: int, offset: int
) -> tuple[list[SeriesView], int]:
    """Return the organisation's series by name, and how many there are."""
    total = await session.scalar(select(func.count()).select_from(IndexSeries))
    order = (func.lower(IndexSeries.name), IndexSeries.id)
    rows = await session.scalars(select(IndexSeries).order_by(*order).limit(limit).offset(offset))
    found = list(rows)
    extents = await _extents(session, [series.id for series in found])
    return [_view(series, extents) for series in found], total or 0


async def view_of(session: AsyncSession, series: IndexSeries) -> SeriesView:
    """Return a series as it is shown."""
    return _view(series, await _extents(session, [series.id]))


Extent = tuple[int, datetime, datetime]


async def _extents(session: AsyncSession, ids: list[UUID]) -> dict[UUID, Extent]:
    rows = await session.execute(
        select(
            IndexPrice.series_id,
            func.count(),
            func.min(IndexPrice.starts_at),
            func.max(IndexPrice.starts_at),
        )
        .where(IndexPrice.series_id.in_(ids))
        .group_by(IndexPrice.series_id)
    )
    return {series_id: (count, first, last) for series_id, count, first, last in rows}


def _view(series: IndexSeries, extents: dict[UUID, Extent]) -> SeriesView:
    count, first, last = extents.get(series.id, (0, None, None))
    return SeriesView(
        id=series.id,
        name=series.name,
        currency=series.currency,
        source=series.source,
        note=series.note,
        prices=count,
        first_start=first,
        last_start=last,
        created_at=series.created_at,
        updated_at=series.updated_at,
    )


async def list_prices(
    session: AsyncSession,
    series_id: UUID,
    *,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> tuple[list[PriceView], datetime | None]:
    """Return prices that start in a span, in order, and where the next one starts."""
    await series_of(session, series_id)
    query = select(IndexPrice).where(IndexPrice.series_id == series_id)
    if start is not None:
        query = query.where(IndexPrice.starts_at >= start)
    if end is not None:
        query = query.where(IndexPrice.starts_at < end)
    rows = list(await session.scalars(query.order_by(IndexPrice.starts_at).limit(limit + 1)))
    found = [
        PriceView(start=row.starts_at, end=row.ends_at, price_per_mwh=row.price_per_mwh.normalize())
        for row in rows[:limit]
    ]
    return found, rows[limit].starts_at if len(rows) > limit else None
