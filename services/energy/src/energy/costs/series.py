"""Half-hours of what a question is about, by site."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs import machines
from energy.costs.asking import Question
from energy.costs.counting import placed
from energy.costs.days import days_between
from energy.costs.models import ElectricityCost
from energy.costs.packing import UNRATED
from energy.costs.periods import Series
from energy.costs.reading import site_half_hours, sites_of


async def series_of(session: AsyncSession, asked: Question) -> dict[UUID, Series]:
    """Return the half-hours that telemetry has told of, of sites as a whole or of their part."""
    if asked.scope.miner_id is not None:
        return await _of_machine(session, asked, asked.scope.miner_id)
    if asked.scope.one_machine():
        return {}
    if asked.scope.client_id is not None:
        return await _of_client(session, asked)
    table = ElectricityCost
    sites = await session.scalars(
        select(table.site_id)
        .where(
            table.source == "telemetry",
            table.period_start >= asked.start,
            table.period_start < asked.end,
            *placed(asked.scope),
        )
        .distinct()
    )
    found: dict[UUID, Series] = {}
    for site_id in sites:
        if site_id is not None:
            halves = await site_half_hours(session, site_id, asked.start, asked.end)
            found[site_id] = Series(halves.starts_s, halves.kwh_e6, halves.cost_nano, halves.th_h)
    return found


async def _of_client(session: AsyncSession, asked: Question) -> dict[UUID, Series]:
    days = await days_between(
        session, client_id=asked.scope.client_id, sites=await sites_of(session, asked.scope),
        start=asked.start, end=asked.end,
    )  # fmt: skip
    rows: dict[UUID, list[tuple[int, int, int, float]]] = {}
    for day in days:
        inside = day.between(asked.start, asked.end)
        columns = (day.starts_s, day.kwh_e6, day.cost_nano, day.th_h, day.machines)
        for second, kwh, cost, th_h, told in zip(
            *(column[inside].tolist() for column in columns), strict=True
        ):
            if told:
                rows.setdefault(day.site_id, []).append((second, kwh, cost, th_h))
    return {site_id: _series(found) for site_id, found in rows.items()}


async def _of_machine(session: AsyncSession, asked: Question, miner_id: UUID) -> dict[UUID, Series]:
    sites = await sites_of(session, asked.scope)
    rows: dict[UUID, list[tuple[int, int, int, float]]] = {}
    for one in await machines.half_hours_of(session, miner_id, start=asked.start, end=asked.end):
        day = one.day
        own = asked.scope.client_id is None or day.client_id == asked.scope.client_id
        if own and one.kwh is not None and (sites is None or day.site_id in sites):
            cost = UNRATED if one.energy_cost is None else int(one.energy_cost.scaleb(9))
            row = (int(one.starts_at.timestamp()), int(one.kwh.scaleb(6)), cost, one.th_h or 0.0)
            rows.setdefault(day.site_id, []).append(row)
    return {site_id: _series(found) for site_id, found in rows.items()}


def _series(rows: Sequence[tuple[int, int, int, float]]) -> Series:
    columns: list[Any] = [list(column) for column in zip(*sorted(rows), strict=True)]
    starts, kwh, cost = (np.array(column, np.int64) for column in columns[:3])
    return Series(starts, kwh, cost, np.array(columns[3], np.float64))
