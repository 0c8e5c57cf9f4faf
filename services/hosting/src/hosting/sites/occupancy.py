"""What a site must know of its machines. The machine feature builds on sites, not the reverse."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Integer, Text, Uuid, cast, column, func, select, table
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.ext.asyncio import AsyncSession

_MINER = table(
    "miner",
    column("site_id", Uuid),
    column("rack_id", Uuid),
    column("position", Integer),
    column("serial_number", Text),
    column("cgminer_ip", Text),
    column("removed_at"),
    schema="hosting",
)
_PRESENT = _MINER.c.removed_at.is_(None)


async def machines_by_site(session: AsyncSession, site_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many machines each site holds; a site without any is left out."""
    rows = await session.execute(
        select(_MINER.c.site_id, func.count())
        .where(_MINER.c.site_id.in_(site_ids), _PRESENT)
        .group_by(_MINER.c.site_id)
    )
    return dict(rows.all())


async def machines_outside(
    session: AsyncSession, site_id: UUID, cidrs: Sequence[str], *, at_most: int
) -> list[str]:
    """Return serial numbers of machines of the site whose address is in none of the ranges."""
    address = cast(_MINER.c.cgminer_ip, INET)
    outside = [~address.op("<<=", is_comparison=True)(cast(cidr, INET)) for cidr in cidrs]
    return list(
        await session.scalars(
            select(_MINER.c.serial_number)
            .where(_MINER.c.site_id == site_id, _PRESENT, *outside)
            .order_by(_MINER.c.serial_number)
            .limit(at_most)
        )
    )


async def rack_occupancy(session: AsyncSession, rack_id: UUID) -> tuple[int, int]:
    """Return how many machines stand in a rack, and the highest position among them."""
    row = (
        await session.execute(
            select(func.count(), func.coalesce(func.max(_MINER.c.position), 0)).where(
                _MINER.c.rack_id == rack_id, _PRESENT
            )
        )
    ).one()
    return row[0], row[1]
