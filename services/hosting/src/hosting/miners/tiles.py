"""The tiles of the wall: counted once for all who look, and counted anew after every change.

Every screen asks for them every few seconds, and each time they count the whole fleet. Whatever
writes a machine or a site (a request, a reaction, a job, the scheduler) drops the organisation's
tiles once it has committed and before it answers, so that nobody reads less than what they wrote.

What the machines are expected to earn and cost is not kept: hashrates and watts are, and each look
multiplies them by the quote and the tariffs of that moment, so that a kept tile never shows an old
price as a young one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, UOWTransaction
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.util import await_

from common.auth import Principal
from common.cache import Cache
from common.clock import now
from common.db import TenantSession, WorkerSession
from common.runtime import Runtime
from hosting.domain.miner_status import MinerStatus
from hosting.miners.models import Miner
from hosting.miners.schemas import FleetCount, Kpi, SiteCount, SiteKpi, SiteTiles
from hosting.quotes.earnings import expected, latest_quote
from hosting.quotes.models import Quote
from hosting.sites.models import Site
from hosting.tariffs.prices import UNPRICED, Load, SitePrice, site_prices
from hosting.tariffs.schemas import TariffView

_FRESH_S = 10
_STALE_S = 20
"""Together the longest that a change goes unseen which another process could not tell Redis of."""
_PLACES = 6
"""Where a sum of floats stops being noise."""
_CHANGED = "tiles_changed"


@dataclass(frozen=True, slots=True)
class _Machines:
    """How many machines are in a status, and what they are rated for together."""

    count: int
    hashrate_ths: float
    power_w: float


_ByStatus = dict[str, _Machines]
_caches: WeakKeyDictionary[object, Cache] = WeakKeyDictionary()
"""By runtime for those who read, by engine for those who write."""


async def watch(runtime: Runtime) -> None:
    """Let this process's tiles be kept, and dropped by its own changes."""
    cache = Cache(runtime.redis, "hosting-tiles", fresh_s=_FRESH_S, stale_s=_STALE_S)
    for place in (runtime, runtime.app_engine.sync_engine, runtime.worker_engine.sync_engine):
        _caches[place] = cache


async def tiles(runtime: Runtime, principal: Principal) -> Kpi:
    """Return the tiles of the machines that the caller may see, and what they should earn."""
    organisation_id, client_id = principal.organisation_id, principal.client_id

    async def counted() -> dict[str, Any]:
        # A session of its own: the count may go on for others when this caller has left.
        async with runtime.tenant_session(organisation_id, client_id) as session:
            return (await count(session, client_id)).model_dump(mode="json")

    cache = _caches[runtime]
    kept = await cache.get(organisation_id, f"counts and watts of client {client_id}", counted)
    async with runtime.tenant_session(organisation_id, client_id) as session:
        quote, prices = await latest_quote(session), await site_prices(session)
    return _valued(FleetCount.model_validate(kept), quote, prices, tariffs=client_id is None)


def _valued(
    fleet: FleetCount, quote: Quote | None, prices: Mapping[UUID, SitePrice], *, tariffs: bool
) -> Kpi:
    """Return the tiles with what is expected; `tariffs`: whether the caller may see them."""
    moment = now()

    def price_at(site: SiteCount) -> SitePrice:
        return prices.get(site.site_id, UNPRICED)

    def load_at(site: SiteCount) -> Load:
        return Load(site.active_power_w, price_at(site))

    def with_expected(
        tiles: SiteTiles, loads: Sequence[Load], tariff: TariffView | None = None
    ) -> dict[str, Any]:
        worth = expected(tiles.active_hashrate_ths, loads, quote, moment, tariff=tariff)
        return tiles.model_dump() | {"expected": worth}

    by_site = [
        SiteKpi.model_validate(
            with_expected(site, [load_at(site)], price_at(site).view(moment) if tariffs else None)
        )
        for site in fleet.by_site
    ]
    whole = with_expected(fleet, [load_at(site) for site in fleet.by_site])
    return Kpi.model_validate(whole | {"by_site": by_site})


async def count(session: AsyncSession, client_id: UUID | None) -> FleetCount:
    """Count the machines that the session may see, by status and site."""
    rows = await session.execute(
        select(
            Miner.site_id,
            Miner.status,
            func.count(),
            func.sum(Miner.nameplate_hashrate_ths),
            func.sum(Miner.nameplate_power_w),
        )
        .where(Miner.removed_at.is_(None))
        .group_by(Miner.site_id, Miner.status)
    )
    by_site: dict[UUID, _ByStatus] = {}
    for site_id, status, machines, hashrate_ths, power_w in rows:
        by_site.setdefault(site_id, {})[status] = _Machines(machines, hashrate_ths, power_w)
    query = select(Site.id, Site.name).where(Site.removed_at.is_(None)).order_by(Site.name)
    if client_id is not None:  # a client sees no more of the operator than where its machines are
        query = query.where(Site.id.in_(by_site))
    sites = await session.execute(query)
    named = [
        SiteCount(
            site_id=site_id, site_name=name, **_tiles([by_site.get(site_id, {})]).model_dump()
        )
        for site_id, name in sites
    ]
    return FleetCount(by_site=named, **_tiles(list(by_site.values())).model_dump())


def _tiles(counts: Sequence[_ByStatus]) -> SiteTiles:
    def of(status: MinerStatus) -> int:
        return sum(one[status].count for one in counts if status in one)

    active = [one["active"] for one in counts if "active" in one]
    return SiteTiles(
        total=sum(machines.count for one in counts for machines in one.values()),
        active=of("active"),
        offline=of("offline"),
        maintenance=of("maintenance"),
        curtailed=of("curtailed"),
        pending=of("pending_approval"),
        starting=of("starting"),
        stopping=of("stopping"),
        active_hashrate_ths=round(sum(one.hashrate_ths for one in active), _PLACES),
        active_power_w=round(sum(one.power_w for one in active), _PLACES),
    )


def _note(session: SyncSession, _: UOWTransaction) -> None:
    """Note whose machines or sites a flush has written."""
    changed: set[UUID] = session.info.setdefault(_CHANGED, set())
    for written in (session.new, session.dirty, session.deleted):
        changed.update(one.organisation_id for one in written if isinstance(one, Miner | Site))


def _note_statement(executed: ORMExecuteState) -> None:
    """Note the organisation of a statement that writes machines or sites in bulk."""
    mapper = executed.bind_mapper
    if executed.is_select or mapper is None or mapper.class_ not in (Miner, Site):
        return
    info = executed.session.info
    # A worker's session has no organisation: there such rows are written one by one.
    info.setdefault(_CHANGED, set()).add(info["organisation_id"])


def _drop(session: SyncSession) -> None:
    """Drop the tiles of those whose machines or sites have been committed."""
    if session.in_nested_transaction():
        return  # a savepoint: nobody else sees it yet
    changed: set[UUID] = session.info.pop(_CHANGED, set[UUID]())
    cache = _caches.get(session.bind) if changed else None
    if cache is not None:
        for organisation_id in changed:
            await_(cache.drop(organisation_id))


for kind in (TenantSession, WorkerSession):
    event.listen(kind, "after_flush", _note)
    event.listen(kind, "do_orm_execute", _note_statement)
    event.listen(kind, "after_commit", _drop)
