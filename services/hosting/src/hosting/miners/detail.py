"""Everything about one machine on one page."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.auth import Principal
from common.clock import now
from common.errors import Problem
from common.http import ServiceClient
from hosting.miners.models import Command, Maintenance
from hosting.miners.registry import miner_of
from hosting.miners.schemas import CommandView, MaintenanceView, MinerDetail, MinerView
from hosting.quotes.earnings import expected, latest_quote
from hosting.sites.models import Rack, Site
from hosting.tariffs.prices import Load, site_price

log = get_logger()
_RECENT = 20
_PATIENCE_S = 3
"""A person waits for the page; without the reading it is still worth having."""


async def detail(
    session: AsyncSession, principal: Principal, telemetry: ServiceClient, miner_id: UUID
) -> MinerDetail:
    """Return a machine, its surroundings and its latest reading, if there is one to be had."""
    miner = await miner_of(session, miner_id)
    site = await session.get_one(Site, miner.site_id)
    rack = await session.get(Rack, miner.rack_id) if miner.rack_id else None
    commands = await session.scalars(
        select(Command)
        .where(Command.miner_id == miner_id)
        .order_by(Command.id.desc())
        .limit(_RECENT)
    )
    stays = await session.scalars(
        select(Maintenance)
        .where(Maintenance.miner_id == miner_id)
        .order_by(Maintenance.id.desc())
        .limit(_RECENT)
    )
    quote = await latest_quote(session)
    price, moment = await site_price(session, site), now()
    reading, reason = await _latest(telemetry, principal, miner_id)
    return MinerDetail(
        **MinerView.model_validate(miner).model_dump(),
        site_name=site.name,
        site_timezone=site.timezone,
        rack_name=rack.name if rack else None,
        reachable=miner.reachable,
        telemetry=reading,
        telemetry_reason=reason,
        expected=expected(
            miner.nameplate_hashrate_ths,
            [Load(miner.nameplate_power_w, price)],
            quote,
            moment,
            tariff=price.view(moment) if principal.client_id is None else None,
        ),
        commands=[CommandView.model_validate(one) for one in commands],
        maintenance=[MaintenanceView.model_validate(one) for one in stays],
    )


async def _latest(
    telemetry: ServiceClient, principal: Principal, miner_id: UUID
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the latest reading, or the reason why there is none. It never fails the page."""
    if "telemetry:read" not in principal.scopes:
        return None, "Reading telemetry needs the permission telemetry:read."
    try:
        path = f"/api/telemetry/miners/{miner_id}"
        return await telemetry.get(principal, path, timeout=_PATIENCE_S), None
    except Problem as problem:
        return None, problem.detail or "The telemetry service has no reading."
    except ValueError as error:  # an answer that is no JSON
        log.warning("telemetry.unreadable", error=repr(error)[:200])
        return None, "The telemetry service gave an answer that cannot be read."
