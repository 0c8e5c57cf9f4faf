"""What machines hashed before they were stopped."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.models import HalfHourPart, Roster
from energy.costs.packing import floats
from energy.facts.models import Miner

_BEFORE = timedelta(hours=2)
_HALF_HOUR = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as it was before a stop."""

    client_id: UUID | None
    hashrate_ths: float | None
    """None: neither measured nor rated."""
    measured: bool
    nameplate_power_w: float | None


async def machines_before(
    session: AsyncSession, site_id: UUID, wanted: Collection[UUID], at: datetime
) -> dict[UUID, Machine]:
    """Return what machines did in the two hours of whole half-hours before an instant.

    A machine that hashed nothing measurable then counts by its nameplate.
    """
    measured = await _measured(session, site_id, set(wanted), at)
    rows = await session.execute(
        select(
            Miner.id, Miner.client_id, Miner.nameplate_hashrate_ths, Miner.nameplate_power_w
        ).where(Miner.id.in_(list(wanted)))
    )
    return {
        row.id: Machine(
            row.client_id,
            measured.get(row.id) or row.nameplate_hashrate_ths,
            bool(measured.get(row.id)),
            row.nameplate_power_w,
        )
        for row in rows
    }


async def _measured(
    session: AsyncSession, site_id: UUID, wanted: set[UUID], at: datetime
) -> dict[UUID, float]:
    part = HalfHourPart
    rows = await session.execute(
        select(part.starts_at, part.th_h, Roster.miner_ids)
        .join(Roster, Roster.id == part.roster_id)
        .where(
            part.site_id == site_id,
            part.starts_at >= at - _BEFORE - _HALF_HOUR,
            part.starts_at <= at - _HALF_HOUR,
        )
        .order_by(part.starts_at, part.revision, part.id)
    )
    told: dict[UUID, dict[datetime, float]] = {}
    for starts_at, packed, miner_ids in rows:
        for miner_id, hashes in zip(miner_ids, floats(packed, "<f4").tolist(), strict=True):
            if miner_id in wanted and not np.isnan(hashes):
                told.setdefault(miner_id, {})[starts_at] = hashes
    return {
        # TH h of a half-hour are half of its mean TH/s.
        miner_id: 2 * sum(by_time.values()) / len(by_time)
        for miner_id, by_time in told.items()
    }
