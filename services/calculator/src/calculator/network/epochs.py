"""Keeps the block epochs: the shipped ones at start, later ones as a provider tells them."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import ClassVar

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from calculator.db import Outbox
from calculator.domain.assembly import Unknown
from calculator.domain.epochs import Epoch, epoch_from, in_force, objection
from calculator.domain.market import Market
from calculator.domain.network import (
    BLOCK_S,
    DAY_S,
    HALVING_BLOCKS,
    RETARGET_BLOCKS,
    epoch_after,
    next_halving,
)
from calculator.domain.snapshot import SHIPPED, shipped_epochs
from calculator.network.events import NetworkEpochChanged
from calculator.network.models import NetworkEpoch
from calculator.quotes.current import known_market
from calculator.quotes.schemas import places
from calculator.sources import mempool
from calculator.sources.parties import parties_of
from common.auth import PLATFORM_ORGANISATION
from common.errors import NotFound
from common.party import NoAnswer, Party
from common.runtime import Runtime

log = get_logger()
_LOOK_S = 60
_IN_VAIN_S = 900
"""A provider that had nothing new is not asked again so soon."""
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7201319)")
_INTERVALS = ((30, "1m"), (90, "3m"), (180, "6m"), (365, "1y"), (1095, "3y"))
_LONGEST = "3y"


class EpochUnknown(NotFound):
    title: ClassVar[str] = "No difficulty is known for this moment"


async def seed_epochs(runtime: Runtime) -> None:
    """Store and publish the shipped epochs where they are not stored yet; once at every start."""
    async with runtime.worker_session() as session:
        await keep(session, shipped_epochs())


async def keep_epochs(runtime: Runtime) -> None:
    """Ask for new epochs when the chain has come to one, for as long as the process runs."""
    while True:
        in_vain = await bring_up_to_date(runtime) == 0
        await asyncio.sleep(_IN_VAIN_S if in_vain else _LOOK_S)


async def bring_up_to_date(runtime: Runtime) -> int | None:
    """Store and publish the epochs that began since the last known one; return how many.

    None: nobody was asked, as nothing is missing or nobody is there to ask.
    """
    market = await known_market(runtime)
    party = parties_of(runtime).by_name.get("mempool")
    if isinstance(market, Unknown) or party is None:
        return None
    tip = market.height or 0
    async with runtime.worker_session() as session:
        last = await _last_without_gap(session, simulated=market.subsidy_btc.simulated)
    if last is not None and epoch_after(last) > tip:
        return None
    try:
        found = await party.attempt(lambda asked: _told(asked, _interval(last, tip), tip))
    except NoAnswer:
        return 0
    async with runtime.worker_session() as session:
        return await keep(session, found)


async def _last_without_gap(session: AsyncSession, *, simulated: bool) -> int | None:
    """Return the last epoch until which all are known that a provider has told of."""
    shipped = {one.height for one in shipped_epochs()}
    rows = await session.scalars(
        select(NetworkEpoch.height).where(
            (NetworkEpoch.source == SHIPPED) | (NetworkEpoch.simulated == simulated)
        )
    )
    known = set(rows)
    last = min(known - shipped, default=None)
    while last is not None and epoch_after(last) in known:
        last = epoch_after(last)
    return last


def _interval(last: int | None, tip: int) -> str:
    """Return the shortest of the provider's intervals that reaches back to the last known epoch."""
    if last is None:
        return _LONGEST
    days = (tip - last + RETARGET_BLOCKS) * BLOCK_S / DAY_S
    return next((name for reach, name in _INTERVALS if days < reach), _LONGEST)


async def _told(party: Party, interval: str, tip: int) -> list[Epoch]:
    """Return what the provider tells of the epochs in an interval.

    Raises:
        NoAnswer: it cannot be this network's history.
    """
    rows = list(dict.fromkeys(await mempool.adjustments(party, interval)))  # some say it twice
    if why := objection([(row.height, row.at, row.difficulty) for row in rows], tip):
        raise NoAnswer(f"{party.name}: {why}")
    epochs = [
        epoch_from(row.height, row.at, row.difficulty, party.name, simulated=row.simulated)
        for row in rows
    ]
    return [*epochs, *await _halvings(party, epochs, tip)]


async def _halvings(party: Party, epochs: Sequence[Epoch], tip: int) -> list[Epoch]:
    """Return the epochs that begin inside another because the subsidy was halved there."""
    shipped = {one.height for one in shipped_epochs()}
    found: list[Epoch] = []
    for epoch in epochs:
        height = next_halving(epoch.height)
        is_inside = height < epoch.height + RETARGET_BLOCKS and height <= tip
        if is_inside and height % HALVING_BLOCKS == 0 and height not in shipped:
            at, simulated = await mempool.block_time(party, height)
            found.append(epoch_from(height, at, epoch.difficulty, party.name, simulated=simulated))
    return found


async def keep(session: AsyncSession, epochs: Sequence[Epoch]) -> int:
    """Store and publish what is new among the epochs; return how many that were.

    What stands in the chain does not change: a stored epoch gives way only if it was simulated.
    """
    await session.execute(_ONE_AT_A_TIME)
    rows = await session.scalars(
        select(NetworkEpoch).where(NetworkEpoch.height.in_([one.height for one in epochs]))
    )
    known = {row.height: row for row in rows}
    changed = 0
    for epoch in sorted(epochs, key=lambda one: one.height):
        changed += await _keep_one(session, known.get(epoch.height), epoch)
    if changed:
        log.info("network_epochs.kept", changed=changed)
    return changed


async def _keep_one(session: AsyncSession, row: NetworkEpoch | None, epoch: Epoch) -> bool:
    if row is None:
        row = NetworkEpoch(organisation_id=PLATFORM_ORGANISATION, **asdict(epoch))
        session.add(row)
    elif row.simulated and not epoch.simulated:
        for name, value in asdict(epoch).items():
            setattr(row, name, value)
        row.version += 1
    else:
        return False
    await session.flush()
    await session.refresh(row)
    session.add(Outbox.of(event_of(row)))
    return True


def event_of(row: NetworkEpoch) -> NetworkEpochChanged:
    """Return the event of an epoch."""
    return NetworkEpochChanged(
        organisation_id=row.organisation_id,
        version=row.version,
        height=row.height,
        next_height=epoch_after(row.height),
        started_at=row.started_at,
        difficulty=places(row.difficulty, 6),
        bits=row.bits,
        subsidy_btc=places(row.subsidy_btc, 8),
        source=row.source,
        simulated=row.simulated,
    )


async def epoch_at(session: AsyncSession, at: datetime, now: datetime) -> Epoch:
    """Return the epoch of the blocks made at a moment.

    Raises:
        EpochUnknown: it lies ahead, or in a gap of what is known.
    """
    first = shipped_epochs()[0].started_at
    if not first <= at <= now:  # also what no database can hold
        raise EpochUnknown("No block was made then: give a moment between the first one and now.")
    before = await session.scalar(
        select(func.max(NetworkEpoch.height)).where(NetworkEpoch.started_at <= at)
    )
    rows = await session.scalars(
        select(NetworkEpoch)
        .where(NetworkEpoch.height >= (before or 0))
        .order_by(NetworkEpoch.height)
        .limit(2)
    )
    found = in_force([_epoch(row) for row in rows], at, now)
    if found is None:
        raise EpochUnknown(
            "The epochs known have a gap there, or the moment lies ahead: nothing is guessed."
        )
    return found


async def latest_epoch(session: AsyncSession, height: int, market: Market) -> Epoch | None:
    """Return the epoch that begins with a block, if it is of the same world as the market."""
    row = await session.scalar(select(NetworkEpoch).where(NetworkEpoch.height == height))
    if row is None or row.simulated != market.subsidy_btc.simulated:
        return None
    return _epoch(row)


def _epoch(row: NetworkEpoch) -> Epoch:
    return Epoch(
        height=row.height,
        started_at=row.started_at,
        difficulty=row.difficulty,
        bits=row.bits,
        subsidy_btc=row.subsidy_btc,
        source=row.source,
        simulated=row.simulated,
    )
