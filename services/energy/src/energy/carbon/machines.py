"""What each machine of a site emitted in a local day."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.carbon import reading
from energy.carbon.footprint import Grams
from energy.costs.ledger import Owner, Part, Table, assemble
from energy.costs.models import HalfHourPart, Roster
from energy.facts.reading import site_of
from energy.usage.half_hours import HALF_HOUR_S, HalfHours, day_starts, span_of_days

_PLACES = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class MachineDay:
    """A machine's day; CO2 is None where no intensity of any half-hour it ran in is known."""

    miner_id: UUID
    client_id: UUID | None
    kwh: Decimal
    kwh_without_intensity: Decimal
    kg_co2: Decimal | None


async def machine_days(
    session: AsyncSession, site_id: UUID, day: date, client_id: UUID | None
) -> list[MachineDay]:
    """Return the machines of a site that used energy on a local day, by client and id.

    Raises:
        SiteUnknown: there is no such site.
        NoCarbonSetting: nobody has said where its electricity comes from.
    """
    site = await site_of(session, site_id)
    setting = await reading.setting_of(session, site_id)
    start, end = span_of_days(day, day, site.timezone)
    parts = HalfHourPart
    query = (
        select(parts.starts_at, parts.roster_id, parts.kwh_e6, parts.th_h, Roster.client_id)
        .join(Roster, Roster.id == parts.roster_id)
        .where(parts.site_id == site_id, parts.starts_at >= start, parts.starts_at < end)
        .order_by(parts.starts_at, parts.revision, parts.id)
    )
    if client_id is not None:
        query = query.where(Roster.client_id == client_id)
    rows = (await session.execute(query)).all()
    owners = await _owners(session, {row.roster_id for row in rows})
    first = int(day_starts(day, site.timezone).timestamp())
    starts = first + HALF_HOUR_S * np.arange(
        int((end - start).total_seconds()) // HALF_HOUR_S, dtype=np.int64
    )
    grams = await reading.grams_at(session, setting, _only(starts), start, end)
    return await asyncio.to_thread(_work_out, rows, owners, starts, grams)


async def _owners(session: AsyncSession, ids: set[int]) -> dict[int, Sequence[Owner]]:
    rows = await session.execute(
        select(Roster.id, Roster.client_id, Roster.miner_ids).where(Roster.id.in_(ids))
    )
    return {key: [(client, miner) for miner in miners] for key, client, miners in rows}


def _only(starts_s: npt.NDArray[np.int64]) -> HalfHours:
    """Return half-hours of which only the times are asked."""
    none = np.zeros(len(starts_s), np.int64)
    return HalfHours(starts_s, none, none, none.astype(np.float64), none, none, simulated=False)


def _work_out(
    rows: Sequence[Any],
    owners: dict[int, Sequence[Owner]],
    starts_s: npt.NDArray[np.int64],
    grams: dict[int, Grams],
) -> list[MachineDay]:
    parts = [
        Part(
            row=(int(row.starts_at.timestamp()) - int(starts_s[0])) // HALF_HOUR_S,
            roster=row.roster_id,
            kwh_e6=np.frombuffer(row.kwh_e6, "<i4"),
            th_h=np.frombuffer(row.th_h, "<f4"),
        )
        for row in rows
    ]
    table: Table = assemble(parts, dict(owners), len(starts_s))
    energy = table.energy_e6()
    known = np.array([start in grams for start in starts_s.tolist()])
    # Thousandths of a gram per kWh are whole numbers: no float comes near the sum.
    per_kwh = np.array(
        [int(grams[s].per_kwh * 1000) if s in grams else 0 for s in starts_s.tolist()], np.int64
    )
    emitted, unknown = per_kwh @ energy, (~known).astype(np.int64) @ energy
    told = set(np.flatnonzero(np.max(table.told(), axis=0, initial=False)).tolist())
    return [
        _day(owner, energy[:, column], int(emitted[column]), int(unknown[column]))
        for column, owner in enumerate(table.owners)
        if column in told
    ]


def _day(owner: Owner, energy: npt.NDArray[np.int64], emitted: int, unknown: int) -> MachineDay:
    client_id, miner_id = owner
    used = int(energy.sum())
    kilograms = Decimal(emitted).scaleb(-12).quantize(_PLACES, ROUND_HALF_UP)
    return MachineDay(
        miner_id=miner_id,
        client_id=client_id,
        kwh=Decimal(used).scaleb(-6),
        kwh_without_intensity=Decimal(unknown).scaleb(-6),
        kg_co2=None if used and unknown == used else kilograms,
    )
