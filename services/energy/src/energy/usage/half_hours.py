"""What a site, a client or a machine used by half-hours, as several features read it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.models import CostDay
from energy.costs.packing import UNKNOWN, UNRATED, Floats, Ints, floats, ints

HALF_HOUR_S = 1800
_ONE_MACHINE = text(
    "SELECT DISTINCT ON (p.starts_at) p.starts_at, p.simulated, "
    "substr(p.kwh_e6, (r.place - 1) * 4 + 1, 4), substr(p.th_h, (r.place - 1) * 4 + 1, 4) "
    "FROM energy.half_hour_part p JOIN (SELECT id, array_position(miner_ids, :miner_id) AS place "
    "FROM energy.roster WHERE miner_ids @> ARRAY[CAST(:miner_id AS uuid)]) r ON r.id = p.roster_id "
    "WHERE p.site_id = :site_id AND p.starts_at >= :start AND p.starts_at < :end "
    "ORDER BY p.starts_at, p.revision DESC, p.id DESC"
)
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class HalfHours:
    """Half-hours in order, as columns; those of which nobody has told are absent."""

    starts_s: Ints
    kwh_e6: Ints
    """Millionths of a kWh, of the machines whose energy is known."""
    cost_nano: Ints
    """Energy at its price, in billionths; `UNRATED` where no tariff was in force."""
    th_h: Floats
    machines: Ints
    unknown: Ints
    """Of the machines, those without a known energy."""
    simulated: bool

    @classmethod
    def none(cls) -> Self:
        """Return no half-hours."""
        whole = np.zeros(0, np.int64)
        return cls(whole, whole, whole, np.zeros(0), whole, whole, simulated=False)

    def __len__(self) -> int:
        return len(self.starts_s)

    def within(self, start: datetime, end: datetime) -> Self:
        """Return the half-hours that start in a span."""
        inside = (self.starts_s >= start.timestamp()) & (self.starts_s < end.timestamp())
        return self.only(inside)

    def only(self, chosen: Flags) -> Self:
        """Return some of the half-hours."""
        return type(self)(
            self.starts_s[chosen],
            self.kwh_e6[chosen],
            self.cost_nano[chosen],
            self.th_h[chosen],
            self.machines[chosen],
            self.unknown[chosen],
            simulated=self.simulated,
        )


def day_starts(day: date, zone: str) -> datetime:
    """Return the instant at which a local day begins."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


async def half_hours(
    session: AsyncSession,
    site_id: UUID,
    start: datetime,
    end: datetime,
    *,
    client_id: UUID | None = None,
) -> HalfHours:
    """Return the half-hours of a whole site, or of one client's machines there.

    The session's wall holds: what a client's session asks of a site is its own part.
    """
    query = (
        select(
            CostDay.starts_at,
            CostDay.half_hour_kwh_e6,
            CostDay.half_hour_cost_nano,
            CostDay.half_hour_th_h,
            CostDay.half_hour_machines,
            CostDay.half_hour_unknown,
            CostDay.simulated,
        )
        .where(CostDay.site_id == site_id, CostDay.starts_at < end, CostDay.ends_at > start)
        .order_by(CostDay.starts_at, CostDay.id)
    )
    if client_id is not None:
        query = query.where(CostDay.client_id == client_id)
    days: dict[datetime, list[Any]] = {}
    for row in await session.execute(query):
        days.setdefault(row.starts_at, []).append(row)
    return _joined(_day(starts_at, parts) for starts_at, parts in days.items()).within(start, end)


async def machine_half_hours(
    session: AsyncSession, site_id: UUID, miner_id: UUID, start: datetime, end: datetime
) -> HalfHours:
    """Return one machine's half-hours; its cost is not told by half-hours, so none is rated."""
    place = {"site_id": site_id, "miner_id": miner_id, "start": start, "end": end}
    rows = (await session.execute(_ONE_MACHINE, place)).all()
    if not rows:
        return HalfHours.none()
    energy = np.array([ints(row[2], "<i4")[0] for row in rows], np.int64)
    hashes = np.array([floats(row[3], "<f4")[0] for row in rows])
    ones = np.ones(len(rows), np.int64)
    return HalfHours(
        starts_s=np.array([int(row[0].timestamp()) for row in rows], np.int64),
        kwh_e6=np.maximum(energy, 0),
        cost_nano=np.full(len(rows), UNRATED, np.int64),
        th_h=np.nan_to_num(hashes),
        machines=ones,
        unknown=(energy == UNKNOWN).astype(np.int64),
        simulated=any(row[1] for row in rows),
    )


def _day(starts_at: datetime, parts: list[Any]) -> HalfHours:
    """Return a local day, its clients' parts added up."""
    machines = sum(ints(part.half_hour_machines, "<i4") for part in parts)
    unknown = sum(ints(part.half_hour_unknown, "<i4") for part in parts)
    costs = np.array([ints(part.half_hour_cost_nano) for part in parts])
    rated = np.all(costs != UNRATED, axis=0)
    found = HalfHours(
        starts_s=np.arange(costs.shape[1], dtype=np.int64) * HALF_HOUR_S
        + int(starts_at.timestamp()),
        kwh_e6=np.sum([ints(part.half_hour_kwh_e6) for part in parts], axis=0),
        cost_nano=np.where(rated, np.where(rated, costs, 0).sum(axis=0), UNRATED),
        th_h=np.sum([floats(part.half_hour_th_h) for part in parts], axis=0),
        machines=np.asarray(machines, np.int64),
        unknown=np.asarray(unknown, np.int64),
        simulated=any(part.simulated for part in parts),
    )
    return found.only(found.machines > 0)


def _joined(days: Iterable[HalfHours]) -> HalfHours:
    found = list(days)
    if not found:
        return HalfHours.none()
    columns = ("starts_s", "kwh_e6", "cost_nano", "th_h", "machines", "unknown")
    joined = {name: np.concatenate([getattr(day, name) for day in found]) for name in columns}
    return HalfHours(**joined, simulated=any(day.simulated for day in found))


def span_of_days(first: date, last: date, zone: str) -> tuple[datetime, datetime]:
    """Return the instants between which local days from `first` to `last` (inclusive) lie."""
    return day_starts(first, zone), day_starts(last + timedelta(days=1), zone)
