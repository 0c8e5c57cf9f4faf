"""Keeps half-hours per site from telemetry's ledger, and reads them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now

PARTS_KEPT: Final = timedelta(days=3)
"""How long a revision is still understood; telemetry itself looks back one day."""
HALF_HOUR: Final = timedelta(minutes=30)
HALF_HOURS_KEPT: Final = timedelta(days=100)

_ADD_PART = text(
    "INSERT INTO intelligence.half_hour_part (organisation_id, site_id, starts_at, revision, "
    "simulated, miner_ids, client_ids, kwh, th_h) VALUES (:organisation_id, :site_id, :starts_at, "
    ":revision, :simulated, CAST(:miner_ids AS uuid[]), CAST(:client_ids AS uuid[]), "
    "CAST(:kwh AS float8[]), CAST(:th_h AS float8[]))"
)
_FORGET = text(
    "DELETE FROM intelligence.site_half_hour WHERE site_id = :site_id AND starts_at = :starts_at"
)
_SUMS = (
    "count(*), count(*) FILTER (WHERE kwh IS NULL), coalesce(sum(kwh), 0), "
    "coalesce(sum(kwh) FILTER (WHERE th_h IS NOT NULL), 0), "
    "coalesce(sum(th_h) FILTER (WHERE kwh IS NOT NULL), 0), bool_or(simulated)"
)
_COLUMNS = (
    "organisation_id, client_id, site_id, starts_at, machines, unknown, kwh, matched_kwh, "
    "matched_th_h, simulated"
)
_PLACE = (
    "CAST(:organisation_id AS uuid), client_id, CAST(:site_id AS uuid), "
    "CAST(:starts_at AS timestamptz)"
)
_SUM_PARTS = text(
    f"INSERT INTO intelligence.site_half_hour ({_COLUMNS}) "  # noqa: S608  (constants)
    f"SELECT {_PLACE}, {_SUMS} FROM ("
    "SELECT DISTINCT ON (r.miner_id) r.client_id, r.kwh, r.th_h, p.simulated "
    "FROM intelligence.half_hour_part p, "
    "unnest(p.miner_ids, p.client_ids, p.kwh, p.th_h) AS r (miner_id, client_id, kwh, th_h) "
    "WHERE p.site_id = :site_id AND p.starts_at = :starts_at "
    "ORDER BY r.miner_id, p.revision DESC, p.id DESC) AS newest GROUP BY client_id"
)
_ADD_SUMS = text(
    f"INSERT INTO intelligence.site_half_hour AS h ({_COLUMNS}) "  # noqa: S608  (constants)
    f"SELECT {_PLACE}, {_SUMS} "
    "FROM (SELECT client_id, kwh, th_h, CAST(:simulated AS boolean) AS simulated "
    "FROM unnest(CAST(:client_ids AS uuid[]), CAST(:kwh AS float8[]), CAST(:th_h AS float8[])) "
    "AS r (client_id, kwh, th_h)) AS rows GROUP BY client_id "
    "ON CONFLICT (site_id, starts_at, client_id) DO UPDATE SET "
    "machines = h.machines + excluded.machines, unknown = h.unknown + excluded.unknown, "
    "kwh = h.kwh + excluded.kwh, matched_kwh = h.matched_kwh + excluded.matched_kwh, "
    "matched_th_h = h.matched_th_h + excluded.matched_th_h, "
    "simulated = h.simulated OR excluded.simulated, updated_at = now()"
)
_LOAD = text(
    "SELECT starts_at, sum(kwh), sum(machines), sum(unknown), bool_or(simulated) "
    "FROM intelligence.site_half_hour WHERE site_id = :site_id AND starts_at >= :since "
    "AND starts_at < :before GROUP BY starts_at ORDER BY starts_at"
)
_DAYS = text(
    "SELECT site_id, (starts_at AT TIME ZONE s.timezone)::date AS day, "
    "count(DISTINCT starts_at), sum(kwh), sum(matched_kwh), sum(matched_th_h), sum(machines), "
    "sum(unknown), bool_or(simulated) FROM intelligence.site_half_hour h "
    "JOIN intelligence.site s ON s.id = h.site_id WHERE NOT s.removed AND starts_at >= :since "
    "GROUP BY site_id, day ORDER BY site_id, day"
)
_PRUNE_PARTS = text("DELETE FROM intelligence.half_hour_part WHERE starts_at < :before")
_PRUNE_SUMS = text("DELETE FROM intelligence.site_half_hour WHERE starts_at < :before")


@dataclass(frozen=True, slots=True)
class Part:
    """Up to 500 machines' half-hour, as columns."""

    organisation_id: UUID
    site_id: UUID
    starts_at: datetime
    revision: int
    simulated: bool
    miner_ids: Sequence[UUID]
    client_ids: Sequence[UUID | None]
    kwh: Sequence[float | None]
    th_h: Sequence[float | None]

    def parameters(self) -> dict[str, Any]:
        """Return what the statements here take."""
        return {name: getattr(self, name) for name in self.__slots__}


async def take(session: AsyncSession, parts: Sequence[Part]) -> None:
    """Take parts of half-hours up.

    A recent half-hour is summed anew from its parts, the newest revision of each machine counting;
    so it does not matter in which order they come. An older one (a told past) is added to once,
    and its later revisions are not followed.
    """
    recent = now() - PARTS_KEPT
    again: dict[tuple[UUID, datetime], dict[str, Any]] = {}
    for part in parts:
        if part.starts_at >= recent:
            await session.execute(_ADD_PART, part.parameters())
            again[part.site_id, part.starts_at] = part.parameters()
        elif part.revision == 1:
            await session.execute(_ADD_SUMS, part.parameters())
    for place in again.values():
        await session.execute(_FORGET, place)
        await session.execute(_SUM_PARTS, place)


@dataclass(frozen=True, slots=True)
class HalfHourLoad:
    """What a whole site used in a half-hour."""

    starts_at: datetime
    kwh: float
    machines: int
    unknown: int
    simulated: bool


async def load_of(
    session: AsyncSession, site_id: UUID, *, since: datetime, before: datetime
) -> list[HalfHourLoad]:
    """Return a site's half-hours in order; those that nobody has told of are absent."""
    rows = await session.execute(_LOAD, {"site_id": site_id, "since": since, "before": before})
    return [HalfHourLoad(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class SiteDay:
    """A site's local day."""

    site_id: UUID
    day: date
    half_hours: int
    kwh: float
    matched_kwh: float
    matched_th_h: float
    machine_half_hours: int
    unknown: int
    simulated: bool


async def days_of(session: AsyncSession, since: datetime) -> list[SiteDay]:
    """Return the local days of every site that this session sees, its last one unfinished."""
    return [SiteDay(*row) for row in await session.execute(_DAYS, {"since": since})]


async def prune(session: AsyncSession) -> None:
    """Forget what is no longer revised, and what is too old to compare with."""
    # A day longer than a revision may need them: the sum is made of all parts or of none.
    parts = now() - PARTS_KEPT - timedelta(days=1)
    await session.execute(_PRUNE_PARTS, {"before": parts})
    await session.execute(_PRUNE_SUMS, {"before": now() - HALF_HOURS_KEPT})
