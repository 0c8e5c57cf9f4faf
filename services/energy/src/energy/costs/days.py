"""Local days of clients' machines, unpacked."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.models import CostDay
from energy.costs.packing import Floats, Ints, floats, ints

_HALF_HOUR_S = 1800


@dataclass(frozen=True, slots=True)
class Day:
    """A client's day at a site, by half-hour."""

    site_id: UUID
    client_id: UUID | None
    day: date
    timezone: str
    currency: str | None
    rate_id: UUID | None
    rate_version: int | None
    rate_name: str | None
    simulated: bool
    starts_s: Ints
    kwh_e6: Ints
    cost_nano: Ints
    """`packing.UNRATED` where no tariff was in force."""
    th_h: Floats
    machines: Ints
    unknown: Ints
    split: Ints
    """1 where the price changes inside the half-hour."""
    rated_at: datetime

    def between(self, start: datetime, end: datetime) -> slice:
        """Return which half-hours start in a span."""
        first, last = np.searchsorted(self.starts_s, [start.timestamp(), end.timestamp()])
        return slice(int(first), int(last))


async def days_between(
    session: AsyncSession,
    *,
    client_id: UUID | None,
    sites: Collection[UUID] | None,
    start: datetime,
    end: datetime,
    own: bool = False,
) -> list[Day]:
    """Return the days that touch a span: a client's, or everybody's (`own`: the operator's).

    Sites None: all of them.
    """
    table = CostDay
    query = select(
        table.site_id, table.client_id, table.day, table.timezone, table.starts_at,
        table.currency, table.rate_id, table.rate_version, table.rate_name, table.simulated,
        table.half_hour_kwh_e6, table.half_hour_cost_nano, table.half_hour_th_h,
        table.half_hour_machines, table.half_hour_unknown, table.half_hour_split,
        table.updated_at,
    ).where(table.starts_at < end, table.ends_at > start)  # fmt: skip
    if client_id is not None or own:
        query = query.where(table.client_id.is_not_distinct_from(client_id))
    if sites is not None:
        query = query.where(table.site_id.in_(sites))
    rows = await session.execute(query.order_by(table.starts_at, table.site_id, table.id))
    return [
        Day(
            row.site_id,
            row.client_id,
            row.day,
            row.timezone,
            row.currency,
            row.rate_id,
            row.rate_version,
            row.rate_name,
            row.simulated,
            starts_of(row.starts_at, len(row.half_hour_kwh_e6) // 8),
            ints(row.half_hour_kwh_e6),
            ints(row.half_hour_cost_nano),
            floats(row.half_hour_th_h),
            ints(row.half_hour_machines, "<i4"),
            ints(row.half_hour_unknown, "<i4"),
            ints(row.half_hour_split, "|u1"),
            row.updated_at,
        )
        for row in rows
    ]


def starts_of(first: datetime, half_hours: int) -> Ints:
    """Return when a day's half-hours start."""
    return int(first.timestamp()) + _HALF_HOUR_S * np.arange(half_hours, dtype=np.int64)
