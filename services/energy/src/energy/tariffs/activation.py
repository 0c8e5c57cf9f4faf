"""Which rate of a place is in force: exactly one, switched in one transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from energy.tariffs.models import ElectricityRate, RateActivation
from energy.tariffs.publishing import announce

_LOCK = 7_201_350


async def one_at_a_time(session: AsyncSession, organisation_id: UUID) -> None:
    """Let nobody else change this organisation's rates until the transaction ends."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:place, :lock))"),
        {"place": f"energy.tariffs:{organisation_id}", "lock": _LOCK},
    )


async def is_vacant(session: AsyncSession, organisation_id: UUID, place: str) -> bool:
    """Return whether no rate is active at a place."""
    found = await session.scalar(
        select(ElectricityRate.id).where(
            ElectricityRate.organisation_id == organisation_id,
            ElectricityRate.place == place,
            ElectricityRate.active,
        )
    )
    return found is None


async def put_in_force(session: AsyncSession, rate: ElectricityRate, since: datetime) -> bool:
    """Make a rate the active one of its place since an instant; the others there end then.

    Returns whether that changed anything. Hold the lock (`one_at_a_time`).
    """
    reign = await _open_reign(session, rate)
    if reign is not None and reign.active_from <= since:
        return False
    await _put_others_out(session, rate)
    here = (
        RateActivation.organisation_id == rate.organisation_id,
        RateActivation.place == rate.place,
    )
    await session.execute(delete(RateActivation).where(*here, RateActivation.active_from >= since))
    await session.execute(
        update(RateActivation)
        .where(
            *here,
            or_(RateActivation.active_until.is_(None), RateActivation.active_until > since),
        )
        .values(active_until=since)
    )
    session.add(
        RateActivation(
            organisation_id=rate.organisation_id,
            rate_id=rate.id,
            place=rate.place,
            active_from=since,
            active_until=None,
        )
    )
    _touch(rate, active=True)
    await session.flush()  # its event comes after it
    return True


async def put_out_of_force(session: AsyncSession, rate: ElectricityRate) -> bool:
    """End a rate's being active, now. Returns whether that changed anything."""
    if not rate.active:
        return False
    reign = await _open_reign(session, rate)
    present = now()
    if reign is not None and reign.active_from < present:
        reign.active_until = present
    elif reign is not None:
        await session.delete(reign)
    _touch(rate, active=False)
    await session.flush()  # another rate may take the place now
    return True


async def _put_others_out(session: AsyncSession, rate: ElectricityRate) -> None:
    others = await session.scalars(
        select(ElectricityRate).where(
            ElectricityRate.organisation_id == rate.organisation_id,
            ElectricityRate.place == rate.place,
            ElectricityRate.active,
            ElectricityRate.id != rate.id,
        )
    )
    for other in others:
        _touch(other, active=False)
        await session.flush()  # the place is unique among active rates: first it must be free
        announce(session, other)


async def _open_reign(session: AsyncSession, rate: ElectricityRate) -> RateActivation | None:
    return await session.scalar(
        select(RateActivation).where(
            RateActivation.organisation_id == rate.organisation_id,
            RateActivation.place == rate.place,
            RateActivation.rate_id == rate.id,
            RateActivation.active_until.is_(None),
        )
    )


def _touch(rate: ElectricityRate, *, active: bool) -> None:
    rate.active = active
    rate.revision += 1
    rate.updated_at = now()
