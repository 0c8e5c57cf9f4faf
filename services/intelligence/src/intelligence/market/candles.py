"""The stored candles. Everybody reads them through `stored` and `daily_closes`."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Double, extract, func, select, text
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from intelligence.domain.candles import INDEX, Bar, Interval, Series, consolidate
from intelligence.market.models import Candle

_ROWS_AT_ONCE = 2000
_COLUMNS = ("open", "high", "low", "close", "volume")
_ONE_CONSOLIDATION = text("SELECT pg_advisory_xact_lock(7201601, hashtext(:interval))")


async def stored(
    session: AsyncSession,
    *,
    interval: Interval,
    limit: int,
    until: datetime | None = None,
    venue: str = INDEX,
) -> Series:
    """Return the last `limit` closed bars in the order of time; fewer where there are no more.

    By default of the index, the median of the venues. With `until`, only bars that had closed by
    then: what anybody could have known at that moment.
    """
    query = select(
        extract("epoch", Candle.opened_at).cast(Double),
        *(sql_cast(getattr(Candle, name), Double) for name in _COLUMNS),
        Candle.simulated,
    ).where(Candle.venue == venue, Candle.interval == interval)
    if until is not None:
        query = query.where(Candle.opened_at <= until - interval.length)
    rows = (await session.execute(query.order_by(Candle.opened_at.desc()).limit(limit))).all()
    table = np.array([tuple(row)[:6] for row in reversed(rows)], dtype=np.float64).reshape(-1, 6)
    columns: list[NDArray[np.float64]] = [np.ascontiguousarray(table[:, at]) for at in range(6)]
    return Series(interval, *columns, simulated=any(cast("bool", row[6]) for row in rows))


async def daily_closes(session: AsyncSession, days: int) -> Series:
    """Return the last `days` daily bars of the index; the closes are its column `close`."""
    return await stored(session, interval=Interval.DAY, limit=days)


async def bars(
    session: AsyncSession,
    *,
    venue: str,
    interval: Interval,
    limit: int,
    until: datetime | None = None,
) -> list[Bar]:
    """Return the last `limit` closed bars of a venue in the order of time, exactly."""
    query = select(Candle).where(Candle.venue == venue, Candle.interval == interval)
    if until is not None:
        query = query.where(Candle.opened_at <= until - interval.length)
    rows = await session.scalars(query.order_by(Candle.opened_at.desc()).limit(limit))
    return [_bar(row) for row in reversed(list(rows))]


def _bar(row: Candle) -> Bar:
    return Bar(
        opened_at=row.opened_at.astimezone(UTC),
        open=row.open,
        high=row.high,
        low=row.low,
        close=row.close,
        volume=row.volume,
        simulated=row.simulated,
        venues=row.venues,
        disputed=row.disputed,
    )


async def store(
    session: AsyncSession, *, venue: str, interval: Interval, cleaned: Sequence[Bar]
) -> None:
    """Keep a venue's bars (see `domain.candles.clean`) and bring the index up to date with them.

    What a venue says later replaces what it said before, but nothing simulated replaces what is
    real.
    """
    if not cleaned:
        return
    await _write(session, venue, interval, cleaned)
    # Two venues that store the same bar at once must not both leave the other out of the median.
    await session.execute(_ONE_CONSOLIDATION, {"interval": interval.value})
    first, last = cleaned[0].opened_at, cleaned[-1].opened_at
    query = select(Candle).where(
        Candle.interval == interval,
        Candle.opened_at.between(first, last),
        Candle.venue != INDEX,
    )
    by_venue: dict[str, list[Bar]] = {}
    for row in await session.scalars(query.execution_options(populate_existing=True)):
        by_venue.setdefault(row.venue, []).append(_bar(row))
    index = await asyncio.to_thread(consolidate, by_venue)
    await _write(session, INDEX, interval, index)


async def _write(
    session: AsyncSession, venue: str, interval: Interval, written: Sequence[Bar]
) -> None:
    for start in range(0, len(written), _ROWS_AT_ONCE):
        rows = [_row(venue, interval, bar) for bar in written[start : start + _ROWS_AT_ONCE]]
        await session.execute(_upsert(venue), rows)


def _upsert(venue: str) -> Any:
    statement = insert(Candle)
    new = statement.excluded
    changed = {name: new[name] for name in (*_COLUMNS, "venues", "disputed", "simulated")}
    return statement.on_conflict_do_update(
        index_elements=["venue", "interval", "opened_at"],
        set_=changed | {"stored_at": func.now()},
        where=None if venue == INDEX else Candle.simulated | ~new.simulated,
    )


def _row(venue: str, interval: Interval, bar: Bar) -> dict[str, Any]:
    return {
        "organisation_id": PLATFORM_ORGANISATION,
        "venue": venue,
        "interval": interval.value,
        "opened_at": bar.opened_at,
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "venues": bar.venues,
        "disputed": bar.disputed,
        "simulated": bar.simulated,
    }


_VENUES = text(
    """
    WITH RECURSIVE named(venue) AS (
        (SELECT venue FROM intelligence.candle ORDER BY venue LIMIT 1)
        UNION ALL
        SELECT (
            SELECT venue FROM intelligence.candle
            WHERE venue > named.venue ORDER BY venue LIMIT 1
        )
        FROM named WHERE named.venue IS NOT NULL
    )
    SELECT venue FROM named
    WHERE venue IS NOT NULL AND EXISTS (
        SELECT FROM intelligence.candle
        WHERE candle.venue = named.venue AND candle.interval = :interval
    )
    """
)
"""Steps from venue to venue along the index: DISTINCT would read every bar there is."""


async def venues_with(session: AsyncSession, interval: Interval) -> list[str]:
    """Return the venues that have bars of this length, the index first."""
    found = list(await session.scalars(_VENUES, {"interval": interval.value}))
    return sorted(found, key=lambda venue: (venue != INDEX, venue))
