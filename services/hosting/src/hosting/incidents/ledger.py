"""Folding what happens to single machines into incidents: one per site and cause.

A first machine opens an incident and publishes it. Machines that follow only join; a background
task publishes the grown incident, so that 2,000 machines make a handful of events, not 2,000.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, text, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.runtime import Runtime
from hosting.db import Outbox
from hosting.incidents.events import IncidentClosed, IncidentOpened
from hosting.incidents.models import Cause, Incident, IncidentMiner

MAX_MEMBERS = 5000
"""Beyond this a further incident is opened, so that its event stays below Kafka's limit."""
_ANNOUNCE_EVERY_S = 2.0
_LOCK = 7_201_401


async def join(
    session: AsyncSession,
    organisation_id: UUID,
    *,
    site_id: UUID,
    cause: Cause,
    miner_ids: Sequence[UUID],
    at: datetime,
) -> None:
    """Put machines into the site's incident of this cause; open one if there is none."""
    await lock_site(session, site_id)
    opened = _opened(session).get((site_id, cause))
    if opened is None or not opened.has_room(len(miner_ids)):
        opened = await _find(session, site_id, cause, len(miner_ids))
        opened = opened or await _open(session, organisation_id, site_id, cause, at)
        _opened(session)[site_id, cause] = opened
    incident = opened.incident
    statement = insert(IncidentMiner)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["incident_id", "miner_id"], set_={"left_at": None}
        ),
        [
            {
                "organisation_id": organisation_id,
                "incident_id": incident.id,
                "miner_id": miner_id,
                "joined_at": at,
            }
            for miner_id in miner_ids
        ],
    )
    opened.members += len(miner_ids)
    incident.announced = False
    if incident.version == 0:
        await announce(session, incident)
    await session.flush()


async def leave(
    session: AsyncSession,
    miner_ids: Sequence[UUID],
    at: datetime,
    *,
    cause: Cause | None = None,
) -> None:
    """Take machines out of their incidents (of this cause, if given); close the empty ones."""
    of_cause = true() if cause is None else Incident.cause == cause
    touched = await session.scalars(
        update(IncidentMiner)
        .where(
            IncidentMiner.left_at.is_(None),
            IncidentMiner.miner_id.in_(miner_ids),
            IncidentMiner.incident_id == Incident.id,
            of_cause,
            Incident.ends_at.is_(None),
        )
        .values(left_at=at)
        .returning(IncidentMiner.incident_id)
        .execution_options(synchronize_session=False)
    )
    for incident_id in sorted(set(touched)):
        await _close_if_empty(session, incident_id, at)


async def announce(session: AsyncSession, incident: Incident) -> None:
    """Publish an incident with all machines that it has held so far."""
    miner_ids = await session.scalars(
        select(IncidentMiner.miner_id)
        .where(IncidentMiner.incident_id == incident.id)
        .order_by(IncidentMiner.joined_at, IncidentMiner.miner_id)
    )
    kind = IncidentOpened if incident.ends_at is None else IncidentClosed
    incident.version += 1
    incident.announced = True
    await session.flush()
    session.add(
        Outbox.of(
            kind(
                organisation_id=incident.organisation_id,
                version=incident.version,
                incident_id=incident.id,
                site_id=incident.site_id,
                cause=incident.cause,
                starts_at=incident.starts_at,
                ends_at=incident.ends_at,
                miner_ids=list(miner_ids),
            )
        )
    )


async def announce_grown(session: AsyncSession) -> int:
    """Publish the incidents that have grown since they were last published; return how many."""
    grown = await session.scalars(
        select(Incident)
        .where(~Incident.announced)
        .order_by(Incident.id)
        .limit(50)
        .with_for_update(skip_locked=True)
    )
    incidents = list(grown)
    for incident in incidents:
        await announce(session, incident)
    return len(incidents)


async def announce_incidents(runtime: Runtime) -> None:
    """Publish grown incidents, for ever (a background task)."""
    while not runtime.stopping.is_set():
        async with runtime.worker_session() as session:
            found = await announce_grown(session)
        if not found:
            await asyncio.sleep(_ANNOUNCE_EVERY_S)


async def _close_if_empty(session: AsyncSession, incident_id: UUID, at: datetime) -> None:
    remaining = await session.scalar(
        select(IncidentMiner.miner_id)
        .where(IncidentMiner.incident_id == incident_id, IncidentMiner.left_at.is_(None))
        .limit(1)
    )
    if remaining is None:
        incident = await session.get_one(
            Incident, incident_id, with_for_update=True, populate_existing=True
        )
        incident.ends_at = max(at, incident.starts_at)
        await announce(session, incident)


@dataclass(slots=True)
class _Opened:
    """An open incident that this transaction holds locked, and how many it has in it."""

    incident: Incident
    members: int

    def has_room(self, count: int) -> bool:
        return self.incident.ends_at is None and self.members + count <= MAX_MEMBERS


def _opened(session: AsyncSession) -> dict[tuple[UUID, Cause], _Opened]:
    """Return what this transaction has found: a blackout joins thousands, one event at a time."""
    found: dict[tuple[UUID, Cause], _Opened] = session.info.setdefault("open_incidents", {})
    return found


async def _find(session: AsyncSession, site_id: UUID, cause: Cause, count: int) -> _Opened | None:
    incident = await session.scalar(
        select(Incident)
        .where(Incident.site_id == site_id, Incident.cause == cause, Incident.ends_at.is_(None))
        .order_by(Incident.id.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if incident is None:
        return None
    members = await session.scalar(
        select(func.count())
        .select_from(IncidentMiner)
        .where(IncidentMiner.incident_id == incident.id)
    )
    opened = _Opened(incident, members or 0)
    return opened if opened.has_room(count) else None


async def _open(
    session: AsyncSession, organisation_id: UUID, site_id: UUID, cause: Cause, at: datetime
) -> _Opened:
    incident = Incident(
        organisation_id=organisation_id,
        site_id=site_id,
        cause=cause,
        starts_at=at,
        announced=False,
        version=0,
    )
    session.add(incident)
    await session.flush()
    return _Opened(incident, 0)


async def lock_site(session: AsyncSession, site_id: UUID) -> None:
    """Let one transaction at a time fold a site's incidents, until its end.

    Whoever also locks machines of the site takes this lock first: then none waits in a circle.
    """
    held: set[UUID] = session.info.setdefault("locked_sites", set())
    if site_id in held:
        return
    held.add(site_id)
    await session.execute(
        text("SELECT pg_advisory_xact_lock(:lock, hashtext(:site))"),
        {"lock": _LOCK, "site": str(site_id)},
    )
