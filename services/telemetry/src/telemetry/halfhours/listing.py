"""Reads the ledger, behind the tenant wall."""

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import BadRequest, Invalid
from common.pages import CursorPage, decode_cursor, encode_cursor
from telemetry.halfhours.closing import HALF_HOUR
from telemetry.halfhours.schemas import HalfHour

# Only the conditions that are asked for: an OR over a parameter would hide the indexes.
_ROWS = (
    "SELECT miner_id, site_id, client_id, starts_at, revision, kwh, th_h, state, cause, coverage, "
    "simulated FROM telemetry.visible_half_hour WHERE {conditions} "
    "ORDER BY starts_at, miner_id LIMIT :size"
)
_CONDITIONS = {
    "site_id": "site_id = :site_id",
    "miner_id": "miner_id = :miner_id",
    "after": "(starts_at > :start OR miner_id > :after)",
}


class NothingNamed(Invalid):
    title: ClassVar[str] = "Neither a site nor a machine is named"


async def half_hours(
    session: AsyncSession,
    *,
    site_id: UUID | None,
    miner_id: UUID | None,
    start: datetime,
    end: datetime,
    cursor: str | None,
    size: int,
    key: str,
) -> CursorPage[HalfHour]:
    """Return rows of the ledger from a position, in order of time and machine."""
    if site_id is None and miner_id is None:
        raise NothingNamed("Name a `site_id` or a `miner_id`.", field="site_id")
    if start >= end:
        raise Invalid("`from` must be before `to`.", field="from")
    after: UUID | None = None
    if cursor:
        start, after = _position(cursor, key)
    wanted = {"site_id": site_id, "miner_id": miner_id, "after": after}
    named = {key: value for key, value in wanted.items() if value is not None}
    # A machine has one row in a half-hour, a site hundreds.
    span = HALF_HOUR * (2 if miner_id is None else size + 1)
    found = await _rows(session, named, start=start, end=end, size=size + 1, span=span)
    return CursorPage[HalfHour](
        items=[HalfHour.model_validate(dict(row)) for row in found[:size]],
        next_cursor=_cursor(found[size - 1], key) if len(found) > size else None,
    )


async def _rows(
    session: AsyncSession,
    named: dict[str, UUID],
    *,
    start: datetime,
    end: datetime,
    size: int,
    span: timedelta,
) -> list[RowMapping]:
    """Return the first rows, looking ever further ahead until they are found.

    A security-barrier view gives no order away: each question sorts all that lies in its span.
    """
    conditions = ["starts_at >= :start", "starts_at < :end", *(_CONDITIONS[key] for key in named)]
    query = text(_ROWS.format(conditions=" AND ".join(conditions)))
    while True:
        until = start + span if span < end - start else end
        bounds = {"start": start, "end": until, "size": size}
        found = list((await session.execute(query, named | bounds)).mappings())
        if len(found) == size or until == end:
            return found
        span *= 4


def _cursor(row: RowMapping, key: str) -> str:
    return encode_cursor([row["starts_at"].isoformat(), row["miner_id"]], key)


def _position(cursor: str, key: str) -> tuple[datetime, UUID]:
    try:
        at, miner_id = decode_cursor(cursor, key)
        return datetime.fromisoformat(at), UUID(miner_id)
    except (ValueError, TypeError) as error:  # signed by us, but for another list
        raise BadRequest("The cursor is not valid; start again without it.") from error
