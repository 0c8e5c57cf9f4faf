"""Lists records of costs: of sites as they are kept, of machines and clients as they follow."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final
from uuid import UUID

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs import machines
from energy.costs.asking import Question
from energy.costs.counting import counted, placed
from energy.costs.days import Day, days_between
from energy.costs.keeping import money
from energy.costs.models import ElectricityCost
from energy.costs.outcome import instant_of
from energy.costs.packing import UNRATED
from energy.costs.pricing import HALF_HOUR_S, period_parts, reign_of
from energy.costs.rating import breakdowns_between, instants, reigns_of
from energy.costs.reading import sites_of
from energy.costs.schemas import CostList, CostRecord
from energy.facts.models import Miner

_HALF_HOUR: Final = timedelta(minutes=30)
_HALF: Final = Decimal("0.5")
_MOST: Final = 100_000
_NANO: Final = Decimal("1e-9")


async def list_costs(
    session: AsyncSession, asked: Question, *, period: str | None, limit: int, page: int
) -> CostList:
    """Return a page of the records that a question is about, newest first."""
    first = (page - 1) * limit
    if asked.scope.whole_sites():
        records, total = await _stored(session, asked, period, limit=limit, offset=first)
    else:
        by_hand, _ = await _stored(session, asked, period, limit=_MOST, offset=0)
        derived = await _worked_out(session, asked)
        if period is not None:
            await _name_tariffs(session, derived)
            derived = [one for one in derived if period in (one.tou_breakdown_usd or {})]
        every = sorted([*by_hand, *derived], key=_age, reverse=True)
        records, total = every[first : first + limit], len(every)
        if period is None:
            await _name_tariffs(session, [one for one in records if one.id is None])
    return CostList(
        ok=True, costs=records, count=len(records), total=total, page=page,
        pages=-(-total // limit), limit=limit, period_start=asked.start, period_end=asked.end,
    )  # fmt: skip


def _age(one: CostRecord) -> tuple[datetime, str]:
    return one.period_start, str(one.site_id)


async def _stored(
    session: AsyncSession, asked: Question, period: str | None, *, limit: int, offset: int
) -> tuple[list[CostRecord], int]:
    table = ElectricityCost
    query = select(table).where(
        counted(asked.scope),
        *placed(asked.scope),
        table.period_start >= asked.start,
        table.period_start < asked.end,
    )
    if period is not None:
        query = query.where(func.jsonb_exists(table.tou_breakdown_usd, period))
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    newest = query.order_by(table.period_start.desc(), table.id.desc())
    rows = await session.scalars(newest.limit(limit).offset(offset))
    return [record_of(row) for row in rows], total or 0


async def _name_tariffs(session: AsyncSession, records: Sequence[CostRecord]) -> None:
    """Say of worked-out records by which version of which tariff, and in which periods."""
    by_site: dict[UUID, list[CostRecord]] = {}
    for one in records:
        if one.site_id is not None and one.energy_cost_usd is not None:
            by_site.setdefault(one.site_id, []).append(one)
    for site_id, found in by_site.items():
        starts = np.array([int(one.period_start.timestamp()) for one in found], np.int64)
        costs = [int((one.energy_cost_usd or Decimal(0)).scaleb(9)) for one in found]
        first, last = int(starts.min()), int(starts.max()) + HALF_HOUR_S
        reigns = await reigns_of(session, site_id, first, last)
        split = await breakdowns_between(session, site_id, *instants(first, last))
        parts = period_parts(reigns, starts, np.array(costs, np.int64), split)
        for one, second, mine in zip(found, starts.tolist(), parts, strict=True):
            reign = reign_of(reigns, second)
            if reign is not None:
                one.rate_id, one.rate_version = reign.rated.rate_id, reign.rated.version
                one.rate_name = reign.rated.name
                one.tou_breakdown_usd = {part.name: money(part.amount) for part in mine}


def record_of(row: ElectricityCost) -> CostRecord:
    """Return a stored record as it is shown."""
    return CostRecord(
        **{
            name: getattr(row, name)
            for name in (
                "id", "timestamp", "source", "site_id", "client_id", "miner_id", "miner_ip",
                "location", "period_start", "period_end", "duration_hours", "total_kwh",
                "avg_power_kw", "peak_power_kw", "rate_id", "rate_version", "rate_name",
                "currency", "avg_rate_usd_per_kwh", "energy_cost_usd", "demand_charge_usd",
                "service_charge_usd", "total_cost_usd", "tou_breakdown_usd", "machines", "th_h",
                "simulated",
            )
        },
        energy_taken_as_uniform=row.split,
        unknown_machines=row.unknown,
    )  # fmt: skip


async def _worked_out(session: AsyncSession, asked: Question) -> list[CostRecord]:
    if asked.scope.miner_id is not None:
        return await _of_machine(session, asked, asked.scope.miner_id)
    return [] if asked.scope.one_machine() else await _of_client(session, asked)


async def _of_client(session: AsyncSession, asked: Question) -> list[CostRecord]:
    days = await days_between(
        session, client_id=asked.scope.client_id, sites=await sites_of(session, asked.scope),
        start=asked.start, end=asked.end,
    )  # fmt: skip
    found: list[CostRecord] = []
    for day in days:
        inside = day.between(asked.start, asked.end)
        for row in range(*inside.indices(len(day.starts_s))):
            if day.machines[row]:
                cost = int(day.cost_nano[row])
                found.append(
                    _record(
                        day, instant_of(int(day.starts_s[row])),
                        kwh=Decimal(int(day.kwh_e6[row])).scaleb(-6),
                        cost=None if cost == UNRATED else Decimal(cost).scaleb(-9),
                        machines=int(day.machines[row]), unknown=int(day.unknown[row]),
                        th_h=float(day.th_h[row]), split=bool(day.split[row]),
                    )
                )  # fmt: skip
    return found


async def _of_machine(session: AsyncSession, asked: Question, miner_id: UUID) -> list[CostRecord]:
    sites = await sites_of(session, asked.scope)
    miner = await session.get(Miner, miner_id)
    halves = await machines.half_hours_of(session, miner_id, start=asked.start, end=asked.end)
    return [
        _record(
            one.day, one.starts_at, kwh=one.kwh, cost=one.energy_cost, machines=1,
            unknown=int(one.kwh is None), th_h=one.th_h, split=one.split,
            miner=(miner_id, miner and miner.ip),
        )
        for one in halves
        if (sites is None or one.day.site_id in sites)
        and (asked.scope.client_id is None or one.day.client_id == asked.scope.client_id)
    ]  # fmt: skip


def _record(
    day: Day,
    starts_at: datetime,
    *,
    kwh: Decimal | None,
    cost: Decimal | None,
    machines: int,
    unknown: int,
    th_h: float | None,
    split: bool,
    miner: tuple[UUID, str | None] | None = None,
) -> CostRecord:
    rated = cost is not None
    rate = (cost / kwh).quantize(_NANO, ROUND_HALF_UP) if cost is not None and kwh else None
    power = kwh * 2 if kwh is not None else None
    return CostRecord(
        id=None,
        timestamp=day.rated_at,
        source="telemetry",
        site_id=day.site_id,
        client_id=day.client_id,
        miner_id=miner[0] if miner else None,
        miner_ip=miner[1] if miner else None,
        location=None,
        period_start=starts_at,
        period_end=starts_at + _HALF_HOUR,
        duration_hours=_HALF,
        total_kwh=kwh,
        avg_power_kw=power,
        peak_power_kw=power,
        rate_id=day.rate_id if rated else None,
        rate_version=day.rate_version if rated else None,
        rate_name=day.rate_name if rated else None,
        currency=day.currency if rated else None,
        avg_rate_usd_per_kwh=rate,
        energy_cost_usd=cost,
        demand_charge_usd=Decimal(0) if rated else None,
        service_charge_usd=Decimal(0) if rated else None,
        total_cost_usd=cost,
        tou_breakdown_usd=None,
        energy_taken_as_uniform=split,
        machines=machines,
        unknown_machines=unknown,
        th_h=th_h,
        simulated=day.simulated,
    )
