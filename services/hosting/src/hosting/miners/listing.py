"""Finding machines: pages for people, cursors for programs, tiles for the wall."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import BadRequest
from common.pages import PageRequest, decode_cursor, encode_cursor, page_of, paged
from hosting.domain.miner_status import MinerStatus
from hosting.domain.serial import like_pattern
from hosting.miners.models import Miner
from hosting.miners.schemas import Kpi, MinerView, SiteKpi, SiteTiles
from hosting.settings import Settings
from hosting.sites.models import Site


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


async def tiles(session: AsyncSession, client_id: UUID | None) -> Kpi:
    """Count the machines that the caller may see, by status and site."""
    rows = await session.execute(
        select(Miner.site_id, Miner.status, func.count())
        .where(Miner.removed_at.is_(None))
        .group_by(Miner.site_id, Miner.status)
    )
    by_site: dict[UUID, dict[str, int]] = {}
    for site_id, status, count in rows:
        by_site.setdefault(site_id, {})[status] = count
    query = select(Site.id, Site.name).where(Site.removed_at.is_(None)).order_by(Site.name)
    if client_id is not None:  # a client sees no more of the operator than where its machines are
        query = query.where(Site.id.in_(by_site))
    sites = await session.execute(query)
    named = [
        SiteKpi(site_id=site_id, site_name=name, **_tiles([by_site.get(site_id, {})]).model_dump())
        for site_id, name in sites
    ]
    return Kpi(by_site=named, **_tiles(list(by_site.values())).model_dump())


def _tiles(counts: Sequence[dict[str, int]]) -> SiteTiles:
    def of(status: MinerStatus) -> int:
        return sum(one.get(status, 0) for one in counts)

    return SiteTiles(
        total=sum(sum(one.values()) for one in counts),
        active=of("active"),
        offline=of("offline"),
        maintenance=of("maintenance"),
        curtailed=of("curtailed"),
        pending=of("pending_approval"),
        starting=of("starting"),
        stopping=of("stopping"),
    )


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
