"""What single machines used and cost: whole days from their sums, half-hours from the parts."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.days import Day, days_between
from energy.costs.packing import UNKNOWN, UNRATED
from energy.costs.sums import CostSum

_NANO: Final = Decimal("1e-9")
_WHOLE_DAYS = text(
    "SELECT d.site_id, d.client_id, d.day, d.currency, d.simulated, "
    "substring(d.machine_kwh_e6 FROM 8 * i - 7 FOR 8) AS kwh, "
    "substring(d.machine_unrated_e6 FROM 8 * i - 7 FOR 8) AS unrated, "
    "substring(d.machine_cost_nano FROM 8 * i - 7 FOR 8) AS cost, "
    "substring(d.machine_th_h FROM 8 * i - 7 FOR 8) AS th_h, "
    "substring(d.machine_told FROM 2 * i - 1 FOR 2) AS told, "
    "substring(d.machine_unknown FROM 2 * i - 1 FOR 2) AS unknown, d.half_hour_split AS split "
    "FROM energy.cost_day d JOIN unnest(CAST(:roster_ids AS bigint[]), CAST(:places AS int[])) "
    "AS r (id, i) ON r.id = d.roster_id WHERE d.site_id = ANY(CAST(:site_ids AS uuid[])) "
    "AND d.starts_at >= :start AND d.ends_at <= :end ORDER BY d.starts_at, d.id"
)
_PLACES = text(
    # Where a machine stands is worked out once a list, not once a row that refers to the list.
    "SELECT id, site_id, client_id, array_position(miner_ids, CAST(:miner_id AS uuid)) AS place "
    "FROM energy.roster WHERE miner_ids @> ARRAY[CAST(:miner_id AS uuid)]"
)
_HALF_HOURS = text(
    "SELECT DISTINCT ON (p.starts_at) p.site_id, p.client_id, p.starts_at, p.simulated, "
    "substring(p.kwh_e6 FROM 4 * i - 3 FOR 4) AS kwh, "
    "substring(p.th_h FROM 4 * i - 3 FOR 4) AS th_h "
    "FROM energy.half_hour_part p JOIN unnest(CAST(:roster_ids AS bigint[]), "
    "CAST(:places AS int[])) AS r (id, i) ON r.id = p.roster_id "
    "WHERE p.site_id = ANY(CAST(:site_ids AS uuid[])) "
    "AND p.starts_at >= :start AND p.starts_at < :end "
    "ORDER BY p.starts_at, p.revision DESC, p.id DESC"
)


@dataclass(frozen=True, slots=True)
class MachineSum:
    """A machine's day, or a part of one."""

    site_id: UUID
    client_id: UUID | None
    day: date
    currency: str | None
    """None: nothing of it is rated."""
    kwh: Decimal
    unrated_kwh: Decimal
    energy_cost: Decimal
    th_h: float
    told: int
    unknown: int
    split: int
    """Half-hours in which the price changed."""
    simulated: bool

    def cost_sum(self) -> CostSum:
        """Return it as a sum."""
        return CostSum(
            currency=self.currency,
            kwh=self.kwh,
            unrated_kwh=self.unrated_kwh,
            th_h=self.th_h,
            energy_cost=self.energy_cost,
            records=self.told,
            machine_half_hours=self.told,
            unknown_half_hours=self.unknown,
            split_records=self.split,
            simulated=self.simulated,
        )


@dataclass(frozen=True, slots=True)
class MachineHalfHour:
    """A machine's half-hour and what it cost."""

    starts_at: datetime
    kwh: Decimal | None
    """None: not known."""
    th_h: float | None
    energy_cost: Decimal | None
    """None: its energy is not known, or no tariff was in force."""
    split: bool
    """The price changes inside it."""
    day: Day


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """In which lists of machines a machine stands, at which places."""

    site_ids: list[UUID]
    client_ids: list[UUID | None]
    roster_ids: list[int]
    places: list[int]

    def parameters(self) -> dict[str, Any]:
        """Return what the statements here take."""
        return {
            "site_ids": self.site_ids, "roster_ids": self.roster_ids, "places": self.places,
        }  # fmt: skip


async def days_of(
    session: AsyncSession, miner_id: UUID, *, start: datetime, end: datetime
) -> list[MachineSum]:
    """Return a machine's days in a span; those at its edges as far as they lie in it."""
    where = await _whereabouts(session, miner_id)
    span = {"start": start, "end": end}
    whole = [_sum(row) for row in await session.execute(_WHOLE_DAYS, where.parameters() | span)]
    edges: list[MachineSum] = []
    for day in await _edge_days(session, where, start, end):
        edges.extend(await _part_of(session, where, day, start, end))
    return [one for one in (*whole, *edges) if one.told]


async def _edge_days(
    session: AsyncSession, where: Whereabouts, start: datetime, end: datetime
) -> list[Day]:
    """Return the days that lie only partly in a span."""
    days = await _days(session, where, start, start) + await _days(session, where, end, end)
    return list({(one.site_id, one.client_id, one.day): one for one in days}.values())


async def _days(
    session: AsyncSession, where: Whereabouts, start: datetime, end: datetime
) -> list[Day]:
    found: list[Day] = []
    for client_id in where.client_ids:
        found += await days_between(
            session, client_id=client_id, own=client_id is None, sites=where.site_ids,
            start=start, end=end,
        )  # fmt: skip
    return found


async def _part_of(
    session: AsyncSession, where: Whereabouts, day: Day, start: datetime, end: datetime
) -> list[MachineSum]:
    first, last = _bounds(day)
    found = await _half_hours(session, where, max(start, first), min(end, last))
    owner = (day.site_id, day.client_id)
    halves = [one for one in found if (one.day.site_id, one.day.client_id) == owner]
    known = [one for one in halves if one.kwh is not None]
    rated = [one for one in known if one.energy_cost is not None]
    kwh = sum((one.kwh for one in known if one.kwh is not None), Decimal(0))
    priced = sum((one.kwh for one in rated if one.kwh is not None), Decimal(0))
    return [
        MachineSum(
            site_id=day.site_id,
            client_id=day.client_id,
            day=day.day,
            currency=day.currency if rated else None,
            kwh=kwh,
            unrated_kwh=kwh - priced,
            energy_cost=sum((one.energy_cost or Decimal(0) for one in rated), Decimal(0)),
            th_h=sum(one.th_h or 0.0 for one in halves),
            told=len(halves),
            unknown=len(halves) - len(known),
            split=sum(one.split for one in halves),
            simulated=day.simulated,
        )
    ]


def _bounds(day: Day) -> tuple[datetime, datetime]:
    """Return from when to when the day's half-hours start."""
    first, last = int(day.starts_s[0]), int(day.starts_s[-1]) + 1
    return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)


async def half_hours_of(
    session: AsyncSession, miner_id: UUID, *, start: datetime, end: datetime
) -> list[MachineHalfHour]:
    """Return a machine's half-hours that start in a span, in order."""
    return await _half_hours(session, await _whereabouts(session, miner_id), start, end)


async def _half_hours(
    session: AsyncSession, where: Whereabouts, start: datetime, end: datetime
) -> list[MachineHalfHour]:
    days: dict[tuple[UUID, UUID | None, int], tuple[Day, int]] = {}
    for day in await _days(session, where, start, end):
        for row, second in enumerate(day.starts_s.tolist()):
            days[day.site_id, day.client_id, second] = (day, row)
    rows = await session.execute(_HALF_HOURS, where.parameters() | {"start": start, "end": end})
    found: list[MachineHalfHour] = []
    for row in rows:
        # A half-hour that came a moment ago is shown once its day is rated.
        place = days.get((row.site_id, row.client_id, int(row.starts_at.timestamp())))
        if place is not None:
            found.append(_half_hour(row, *place))
    return found


def _half_hour(row: Any, day: Day, index: int) -> MachineHalfHour:
    energy, hashes = _int(row.kwh, "<i4"), float(np.frombuffer(row.th_h, "<f4")[0])
    known = energy != UNKNOWN
    kwh = Decimal(energy).scaleb(-6) if known else None
    cost, whole = int(day.cost_nano[index]), int(day.kwh_e6[index])
    rated = known and cost != UNRATED
    share = (Decimal(energy) * cost / whole if whole else Decimal(0)).scaleb(-9)
    return MachineHalfHour(
        starts_at=row.starts_at,
        kwh=kwh,
        th_h=None if np.isnan(hashes) else hashes,
        energy_cost=share.quantize(_NANO) if rated else None,
        split=bool(day.split[index]),
        day=day,
    )


async def _whereabouts(session: AsyncSession, miner_id: UUID) -> Whereabouts:
    rows = (await session.execute(_PLACES, {"miner_id": miner_id})).all()
    return Whereabouts(
        site_ids=sorted({row.site_id for row in rows}),
        client_ids=sorted({row.client_id for row in rows}, key=str),
        roster_ids=[row.id for row in rows],
        places=[row.place for row in rows],
    )


def _int(packed: bytes, kind: str = "<i8") -> int:
    return int(np.frombuffer(packed, kind)[0])


def _sum(row: Any) -> MachineSum:
    kwh, unrated = (Decimal(_int(one)).scaleb(-6) for one in (row.kwh, row.unrated))
    return MachineSum(
        site_id=row.site_id,
        client_id=row.client_id,
        day=row.day,
        currency=row.currency if kwh > unrated else None,
        kwh=kwh,
        unrated_kwh=unrated,
        energy_cost=Decimal(_int(row.cost)).scaleb(-9),
        th_h=float(np.frombuffer(row.th_h, "<f8")[0]),
        told=_int(row.told, "<i2"),
        unknown=_int(row.unknown, "<i2"),
        split=bytes(row.split).count(1),
        simulated=row.simulated,
    )
