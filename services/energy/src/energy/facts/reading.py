"""Questions about what other services have said, which several features ask."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.errors import NotFound
from energy.facts.models import MinerModel, NetworkEpoch, Quote, Site

BTC_USD = "BTC/USD"
_SHORTEST_EPOCH = timedelta(days=3.5)
"""A retarget at most quadruples the pace of 2,016 blocks in two weeks."""


class SiteUnknown(NotFound):
    title: ClassVar[str] = "No such site"


async def site_of(session: AsyncSession, site_id: UUID) -> Site:
    """Return a site of the caller's organisation.

    Raises:
        SiteUnknown: there is none of this id.
    """
    site = await session.get(Site, site_id)
    if site is None or site.removed:
        raise SiteUnknown("There is no site of this id; a new one is known here a moment later.")
    return site


async def latest_quote(session: AsyncSession, *, before: datetime | None = None) -> Quote | None:
    """Return the last quote of bitcoin (true before an instant), or None where there is none."""
    query = select(Quote).where(Quote.pair == BTC_USD)
    if before is not None:
        query = query.where(Quote.at <= before)
    return await session.scalar(query.order_by(Quote.at.desc(), Quote.version.desc()).limit(1))


async def epoch_at(session: AsyncSession, instant: datetime) -> NetworkEpoch | None:
    """Return the epoch whose difficulty and subsidy held at an instant, or None: never a guess."""
    return in_force(
        await epochs_between(session, instant, instant + timedelta(days=30)),
        instant,
        seen_until=await _difficulty_seen_until(session),
    )


async def epochs_between(
    session: AsyncSession, first: datetime, last: datetime
) -> list[NetworkEpoch]:
    """Return the epoch that runs at `first` and those that start until `last`, in order."""
    running = (
        select(func.max(NetworkEpoch.height))
        .where(NetworkEpoch.started_at <= first)
        .scalar_subquery()
    )
    rows = await session.scalars(
        select(NetworkEpoch)
        .where(
            NetworkEpoch.started_at <= last,
            NetworkEpoch.height >= func.coalesce(running, 0),
        )
        .order_by(NetworkEpoch.height)
    )
    return list(rows)


def in_force(
    epochs: Sequence[NetworkEpoch], instant: datetime, *, seen_until: datetime | None
) -> NetworkEpoch | None:
    """Return which of some epochs, in order, held at an instant; None in a gap.

    The last known one counts while it cannot be over yet, or until a quote last named its
    difficulty (`seen_until`).
    """
    before = [one for one in epochs if one.started_at <= instant]
    if not before:
        return None
    running = before[-1]
    if len(before) < len(epochs):
        return running if epochs[len(before)].height == running.next_height else None
    still = instant - running.started_at < _SHORTEST_EPOCH
    return running if still or (seen_until is not None and instant <= seen_until) else None


async def _difficulty_seen_until(session: AsyncSession) -> datetime | None:
    """Return when a quote last named the difficulty of the last known epoch."""
    last = select(NetworkEpoch.difficulty).order_by(NetworkEpoch.height.desc()).limit(1)
    since = select(func.max(NetworkEpoch.started_at)).scalar_subquery()
    return await session.scalar(
        select(func.max(Quote.at)).where(
            Quote.difficulty == last.scalar_subquery(), Quote.at >= since
        )
    )


async def model_named(session: AsyncSession, name: str) -> MinerModel | None:
    """Return the miner model of this name or alias: the organisation's own before the shared."""
    wanted = _folded(name)
    models = await session.scalars(select(MinerModel).where(MinerModel.removed.is_(False)))
    fitting = [
        model
        for model in models
        if wanted in {_folded(known) for known in (model.name, *model.aliases)}
    ]
    shared = PLATFORM_ORGANISATION
    return min(fitting, key=lambda one: (one.organisation_id == shared, one.id), default=None)


def _folded(name: str) -> str:
    """Return a name without regard to case and spacing, as the calculator compares names."""
    return " ".join(name.casefold().split())
