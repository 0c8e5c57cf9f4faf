"""Rates local days of a site: what its half-hours cost by the tariffs in force, for whom.

A day's cost is a function of the half-hours and tariffs that are known, and of nothing else: to
rate it again changes nothing, so it does not matter how often or in which order things come.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from energy.costs import intake, keeping
from energy.costs.charges import Span, day_charges, month_charges
from energy.costs.ledger import Owner, Part, assemble, owner_days, site_load
from energy.costs.models import ElectricityCost, Roster
from energy.costs.outcome import LocalDay, RatedDay, instant_of, local_day, local_month
from energy.costs.packing import UNRATED, Ints
from energy.costs.pricing import HALF_HOUR_S, Breakdowns, Reign, month_matters, price
from energy.domain.load import IndexPrices
from energy.domain.zone import YearMonth
from energy.facts.models import Site
from energy.tariffs.reading import index_prices, tariffs_between

_PARTS = text(
    "SELECT starts_at, client_id, roster_id, kwh_e6, th_h, simulated FROM energy.half_hour_part "
    "WHERE site_id = :site_id AND starts_at >= :start AND starts_at < :end "
    "ORDER BY starts_at, revision, id"
)


async def rate_days(session: AsyncSession, site: Site, days: Sequence[date]) -> int:
    """Rate some days of a site, whose lock the caller holds; return how many have changed.

    Where a price depends on the month's whole energy, the month's other days are marked too.
    """
    until = now()
    locals_ = [local_day(site.timezone, day, until) for day in sorted(days)]
    changed = 0
    held: dict[YearMonth, list[Reign]] = {}
    rated: list[RatedDay] = []
    for local in locals_:
        if (reigns := held.get(local.month())) is None:
            month = local_month(site.timezone, local.month(), until)
            last = month.end_s + HALF_HOUR_S
            reigns = await reigns_of(session, site.id, month.start_s, last)
            held[local.month()] = reigns
        one = await _rate(session, site, local, reigns)
        moved = await keeping.keep_half_hours(session, site, one)
        await keeping.keep_charges(session, site, ("day", local.day), local.span, one.charges)
        if moved and any(month_matters(reign.rated.tariff) for reign in reigns):
            await _mark_month(session, site, local)
        rated.append(one)
    sums = {month: await rate_month(session, site, month, until) for month in held}
    for one in rated:
        changed += await keeping.keep_owners(session, site, one, sums[one.local.month()])
    return changed


async def _rate(
    session: AsyncSession, site: Site, local: LocalDay, reigns: Sequence[Reign]
) -> RatedDay:
    first, last = instants(int(local.starts_s[0]), int(local.starts_s[-1]) + HALF_HOUR_S)
    rows = (await session.execute(_PARTS, {"site_id": site.id, "start": first, "end": last})).all()
    rosters = await _rosters(session, {row.roster_id for row in rows})
    around = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    if any(month_matters(reign.rated.tariff) for reign in reigns):
        month = local_month(site.timezone, local.month(), now())
        around = await half_hours_of(session, site.id, month.start_s, month.end_s)
        outside = (around[0] < local.starts_s[0]) | (around[0] > local.starts_s[-1])
        around = (around[0][outside], around[1][outside])
    return await asyncio.to_thread(_work_out, local, rows, rosters, reigns, around)


def _work_out(
    local: LocalDay,
    rows: Sequence[Any],
    rosters: dict[Any, Sequence[UUID]],
    reigns: Sequence[Reign],
    around: tuple[Ints, Ints],
) -> RatedDay:
    """Do the arithmetic of a day, beside the event loop."""
    first = int(local.starts_s[0])
    parts = [
        Part(
            row=(int(row.starts_at.timestamp()) - first) // HALF_HOUR_S,
            roster=row.roster_id,
            kwh_e6=np.frombuffer(row.kwh_e6, "<i4"),
            th_h=np.frombuffer(row.th_h, "<f4"),
        )
        for row in rows
    ]
    clients = {row.roster_id: row.client_id for row in rows}
    owners: dict[Any, Sequence[Owner]] = {
        key: [(client, miner) for miner in rosters[key]] for key, client in clients.items()
    }
    table = assemble(parts, owners, len(local.starts_s))
    load = site_load(table)
    told = load.told()
    cost = np.full(len(local.starts_s), UNRATED, np.int64)
    priced = price(reigns, local.starts_s[told], load.kwh_e6[told], around)
    currencies = [one.rated.tariff.currency if one else None for one in priced.reigns]
    currency = next((one for one in reversed(currencies) if one), None)
    split = np.zeros(len(local.starts_s), np.bool_)
    split[told] = priced.split
    cost[told] = np.where([one == currency for one in currencies], priced.cost_nano, UNRATED)
    return RatedDay(
        local=local,
        load=load,
        priced=priced,
        owners=owner_days(table, cost),
        charges=day_charges(reigns, local.span),
        split=split,
        currency=currency,
        simulated=any(row.simulated for row in rows),
    )


async def _rosters(session: AsyncSession, ids: set[int]) -> dict[int, Sequence[UUID]]:
    rows = await session.execute(select(Roster.id, Roster.miner_ids).where(Roster.id.in_(ids)))
    return {row.id: row.miner_ids for row in rows}


async def reigns_of(session: AsyncSession, site_id: UUID, start_s: int, end_s: int) -> list[Reign]:
    """Return which tariffs hold at a site, with the prices of their indices.

    The site's own days and months are billed, whichever zone a rate's hours are of.
    """
    start, end = instants(start_s, end_s)
    site = await session.get(Site, site_id)
    indices: dict[UUID, IndexPrices] = {}
    found: list[Reign] = []
    for since, before, rated in await tariffs_between(
        session, site_id=site_id, start=start, end=end
    ):
        series = rated.index_series_id
        if series is not None and series not in indices:
            # Of the whole span: a month's peak is one, whichever version held when.
            until = end + timedelta(seconds=HALF_HOUR_S)
            indices[series] = await index_prices(session, series, start, until)
        tariff = replace(rated.tariff, billing_timezone=site.timezone if site else None)
        # What begins or ends within a second counts from the next one.
        first, last = (math.ceil(one.timestamp()) for one in (since, before))
        index = None if series is None else indices[series]
        found.append(Reign(first, last, replace(rated, tariff=tariff), index))
    return found


async def half_hours_of(
    session: AsyncSession, site_id: UUID, start_s: int, end_s: int
) -> tuple[Ints, Ints]:
    """Return start and energy of a site's half-hours as they were last rated."""
    start, end = instants(start_s, end_s)
    table = ElectricityCost
    rows = (
        await session.execute(
            select(table.period_start, table.total_kwh)
            .where(
                table.site_id == site_id,
                table.source == "telemetry",
                table.period_start >= start,
                table.period_start < end,
            )
            .order_by(table.period_start)
        )
    ).all()
    starts = np.array([int(row.period_start.timestamp()) for row in rows], np.int64)
    return starts, np.array([int(row.total_kwh.scaleb(6)) for row in rows], np.int64)


async def breakdowns_between(
    session: AsyncSession, site_id: UUID, start: datetime, end: datetime
) -> Breakdowns:
    """Return what a site's half-hours cost by period, of those that lie in several."""
    table = ElectricityCost
    names = select(func.count()).select_from(func.jsonb_object_keys(table.tou_breakdown_usd))
    rows = await session.execute(
        select(table.period_start, table.tou_breakdown_usd).where(
            table.site_id == site_id,
            table.source == "telemetry",
            table.period_start >= start,
            table.period_start < end,
            names.scalar_subquery() > 1,
        )
    )
    return {
        int(at.timestamp()): {name: Decimal(amount) for name, amount in (parts or {}).items()}
        for at, parts in rows
    }


async def rate_month(
    session: AsyncSession, site: Site, month: YearMonth, until: datetime
) -> keeping.MonthSum:
    """Work out what a site's month adds to energy and daily charges, so far."""
    span = local_month(site.timezone, month, until)
    # A half-hour that begins before the month may reach into it: not all zones are of whole hours.
    before = span.start_s - HALF_HOUR_S
    starts, kwh = await half_hours_of(session, site.id, before, span.end_s)
    if len(starts):
        known = int(starts[-1]) + HALF_HOUR_S
        span = Span(span.start_s, span.end_s, min(span.end_s, max(span.until_s, known)))
    reigns = await reigns_of(session, site.id, before, max(span.until_s, span.start_s + 1))
    peaks = await keeping.peaks_before(session, site.id, month)
    charges = await asyncio.to_thread(month_charges, reigns, span, starts, kwh, peaks)
    peak = int(kwh[starts >= span.start_s].max(initial=0)) * 2
    first = date(month.year, month.month, 1)
    await keeping.keep_charges(session, site, ("month", first), span, charges, peak_mw_e6=peak)
    return keeping.MonthSum(month, charges, peak)


async def _mark_month(session: AsyncSession, site: Site, local: LocalDay) -> None:
    """Mark the month's other days: their price depends on this day's energy."""
    month = local_month(site.timezone, local.month(), now())
    starts, _ = await half_hours_of(session, site.id, month.start_s, month.end_s)
    zone = (await intake.zones_of(session, [site.id]))[site.id]
    days = {datetime.fromtimestamp(second, zone).date() for second in starts.tolist()}
    others = {(site.id, day) for day in days if day != local.day}
    await intake.mark(session, site.organisation_id, others, reason="month's energy")


def instants(*seconds: int) -> list[datetime]:
    """Return UTC seconds as instants."""
    return [instant_of(second) for second in seconds]
