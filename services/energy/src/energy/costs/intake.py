"""Takes telemetry's half-hours up as they come, and says which days are due to be rated."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.packing import Floats, energies_e6, pack
from energy.facts.models import Site

_LOCK_SHARED = text(
    "SELECT pg_advisory_xact_lock_shared(hashtextextended(id, 5305)) "
    "FROM (SELECT unnest(CAST(:ids AS text[])) AS id ORDER BY 1) AS sites"
)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 5305))")
_KNOWN_ROSTERS = text(
    "SELECT r.id, r.site_id, r.client_id, r.digest FROM energy.roster r "
    "JOIN unnest(CAST(:site_ids AS uuid[]), CAST(:client_ids AS uuid[]), "
    "CAST(:digests AS bytea[])) AS w (site_id, client_id, digest) ON r.site_id = w.site_id "
    "AND r.client_id IS NOT DISTINCT FROM w.client_id AND r.digest = w.digest"
)
_ADD_ROSTER = text(
    "INSERT INTO energy.roster (organisation_id, client_id, site_id, digest, miner_ids) VALUES "
    "(:organisation_id, :client_id, :site_id, :digest, CAST(:miner_ids AS uuid[])) "
    "ON CONFLICT DO NOTHING"
)
_ADD_PARTS = text(
    "INSERT INTO energy.half_hour_part (organisation_id, client_id, site_id, starts_at, revision, "
    "simulated, roster_id, kwh_e6, th_h) SELECT CAST(:organisation_id AS uuid), * FROM "
    "unnest(CAST(:client_ids AS uuid[]), CAST(:site_ids AS uuid[]), "
    "CAST(:starts_at AS timestamptz[]), CAST(:revisions AS int[]), CAST(:simulated AS bool[]), "
    "CAST(:roster_ids AS bigint[]), CAST(:kwh AS bytea[]), CAST(:th_h AS bytea[]))"
)
_MARK = text(
    "INSERT INTO energy.rating_due (organisation_id, site_id, day, reason) "
    "SELECT CAST(:organisation_id AS uuid), site_id, day, :reason "
    "FROM unnest(CAST(:site_ids AS uuid[]), CAST(:days AS date[])) AS d (site_id, day) "
    "ON CONFLICT (site_id, day) DO UPDATE SET due_at = now(), reason = excluded.reason"
)

SITE_UNKNOWN = "site unknown"
"""The reason of a day in UTC, as nobody has said yet in which zone the site lies."""
RosterKey = tuple[UUID, UUID | None, bytes]


@dataclass(frozen=True, slots=True)
class Told:
    """One client's machines in one half-hour of a site, as columns."""

    site_id: UUID
    client_id: UUID | None
    starts_at: datetime
    revision: int
    simulated: bool
    miner_ids: Sequence[str]
    kwh: Floats
    """NaN: not known."""
    th_h: Floats

    def roster_key(self) -> RosterKey:
        """Return what tells this list of machines from others."""
        return self.site_id, self.client_id, roster_digest(self.miner_ids)


def roster_digest(miner_ids: Iterable[str]) -> bytes:
    """Return the digest of a list of machines in its order."""
    return hashlib.sha256(",".join(miner_ids).encode()).digest()


async def lock_shared(session: AsyncSession, site_ids: Iterable[UUID]) -> None:
    """Keep the rating of some sites away until this transaction ends; writers do not mind."""
    await session.execute(_LOCK_SHARED, {"ids": sorted(str(one) for one in set(site_ids))})


async def lock(session: AsyncSession, site_id: UUID) -> None:
    """Be the only one to rate a site, with nobody writing its half-hours, until this ends."""
    await session.execute(_LOCK, {"id": str(site_id)})


async def take(session: AsyncSession, organisation_id: UUID, told: Sequence[Told]) -> None:
    """Keep half-hours, and mark their local days. Which revision counts is decided at rating."""
    if not told:
        return
    site_ids = {one.site_id for one in told}
    await lock_shared(session, site_ids)
    keys = [one.roster_key() for one in told]
    machines = {key: one.miner_ids for key, one in zip(keys, told, strict=True)}
    rosters = await rosters_of(session, organisation_id, machines)
    await session.execute(
        _ADD_PARTS,
        {
            "organisation_id": organisation_id,
            "client_ids": [one.client_id for one in told],
            "site_ids": [one.site_id for one in told],
            "starts_at": [one.starts_at for one in told],
            "revisions": [one.revision for one in told],
            "simulated": [one.simulated for one in told],
            "roster_ids": [rosters[key] for key in keys],
            "kwh": [pack(energies_e6(one.kwh), "<i4") for one in told],
            "th_h": [pack(one.th_h, "<f4") for one in told],
        },
    )
    zones = await zones_of(session, site_ids)
    for known, reason in ((True, "half-hours"), (False, SITE_UNKNOWN)):
        days = {
            (one.site_id, one.starts_at.astimezone(zones.get(one.site_id, UTC)).date())
            for one in told
            if (one.site_id in zones) is known
        }
        await mark(session, organisation_id, days, reason=reason)


async def rosters_of(
    session: AsyncSession, organisation_id: UUID, machines: dict[RosterKey, Sequence[str]]
) -> dict[RosterKey, int]:
    """Return the ids of some lists of machines, and keep those that are new."""
    found = await _known(session, machines)
    new = [key for key in machines if key not in found]
    if not new:
        return found
    await session.execute(
        _ADD_ROSTER,
        [
            {
                "organisation_id": organisation_id,
                "client_id": client_id,
                "site_id": site_id,
                "digest": digest,
                "miner_ids": [UUID(one) for one in machines[site_id, client_id, digest]],
            }
            for site_id, client_id, digest in sorted(new, key=str)
        ],
    )
    return found | await _known(session, new)


async def _known(session: AsyncSession, keys: Iterable[RosterKey]) -> dict[RosterKey, int]:
    wanted = list(keys)
    rows = await session.execute(
        _KNOWN_ROSTERS,
        {
            "site_ids": [key[0] for key in wanted],
            "client_ids": [key[1] for key in wanted],
            "digests": [key[2] for key in wanted],
        },
    )
    return {(row.site_id, row.client_id, bytes(row.digest)): row.id for row in rows}


async def zones_of(session: AsyncSession, site_ids: Iterable[UUID]) -> dict[UUID, ZoneInfo]:
    """Return the zones of the sites that are known."""
    rows = await session.execute(select(Site.id, Site.timezone).where(Site.id.in_(list(site_ids))))
    return {row.id: ZoneInfo(row.timezone) for row in rows}


async def mark(
    session: AsyncSession, organisation_id: UUID, days: Iterable[tuple[UUID, date]], *, reason: str
) -> None:
    """Say that some local days of sites must be rated (again)."""
    wanted = sorted(set(days))
    if wanted:
        await session.execute(
            _MARK,
            {
                "organisation_id": organisation_id,
                "site_ids": [site_id for site_id, _ in wanted],
                "days": [day for _, day in wanted],
                "reason": reason,
            },
        )
