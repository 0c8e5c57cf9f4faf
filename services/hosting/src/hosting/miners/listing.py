"""Finding machines: pages for people, cursors for programs."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import BadRequest
from common.pages import PageRequest, decode_cursor, encode_cursor, page_of, paged
from hosting.domain.miner_status import MinerStatus
from hosting.domain.serial import like_pattern
from hosting.miners.models import Miner
from hosting.miners.schemas import MinerView
from hosting.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a caller looks for; None looks for anything."""

    search: str | None = None
    status: MinerStatus | None = None
    site_id: UUID | None = None
    client_id: UUID | None = None


async def list_page(session: AsyncSession, wanted: Filter, page: PageRequest) -> dict[str, Any]:
    """Return one page of machines, by serial number."""
    query = _query(wanted).order_by(Miner.serial_key, Miner.id)
    miners, total = await paged(session, query, page)
    return page_of([MinerView.model_validate(miner) for miner in miners], total, page)


async def list_after(
    session: AsyncSession, wanted: Filter, cursor: str, limit: int, settings: Settings
) -> dict[str, Any]:
    """Return the machines after a cursor (an empty one begins), in order of registration."""
    key = settings.internal_key.get_secret_value()
    query = _query(wanted).order_by(Miner.id).limit(limit + 1)
    if cursor:
        query = query.where(Miner.id > _position(cursor, key))
    found = list(await session.scalars(query))
    items = found[:limit]
    more = encode_cursor([items[-1].id], key) if len(found) > limit else None
    return {"items": [MinerView.model_validate(miner) for miner in items], "next_cursor": more}


def _position(cursor: str, key: str) -> UUID:
    try:
        return UUID(decode_cursor(cursor, key)[0])
    except (ValueError, IndexError, TypeError) as error:  # signed by us, but for another list
        raise BadRequest("The cursor is not valid; start again without it.") from error


def _query(wanted: Filter) -> Select[Miner]:
    query = select(Miner)
    if wanted.status is not None:
        query = query.where(Miner.status == wanted.status)
    if wanted.status != "retired":
        query = query.where(Miner.removed_at.is_(None))
    if wanted.site_id is not None:
        query = query.where(Miner.site_id == wanted.site_id)
    if wanted.client_id is not None:
        query = query.where(Miner.client_id == wanted.client_id)
    if wanted.search:
        query = query.where(Miner.serial_key.like(like_pattern(wanted.search), escape="\\"))
    return query
