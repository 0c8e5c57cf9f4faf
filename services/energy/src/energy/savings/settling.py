"""Reckons what plans have saved, again and again until nothing can change it any more."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.clock import now
from common.runtime import Runtime
from energy.costs.keeping import peaks_before
from energy.costs.pricing import Reign
from energy.costs.rating import reigns_of
from energy.costs.reading import SiteHalfHours, site_half_hours
from energy.domain.zone import YearMonth
from energy.facts.models import Site
from energy.savings.avoided import Avoided, CostAvoided, Stop, avoided, by_bill, by_price
from energy.savings.hashrates import Machine, machines_before
from energy.savings.ledger import (
    LATE,
    in_dollars,
    keep,
    month_after,
    months_long,
    tariffs_view,
)
from energy.savings.market import Market, market_at
from energy.savings.models import CurtailedMachine, CurtailmentPlan, Saving
from energy.savings.worth import instants, worth

log = get_logger()
_AGAIN = timedelta(minutes=10)
_AT_ONCE = 200
_LONGEST = timedelta(days=92)
"""Of a plan that nobody ends, so much is reckoned."""
_RULE = (
    "Each machine's power before the order, less what it drew asleep, from the proof of its sleep "
    "to the order to wake; its hashrate of the two hours before, else its rating."
)


async def settle_due(runtime: Runtime) -> int:
    """Reckon all plans whose figures may have changed; returns how many there were."""
    newest = (
        select(Saving.settled_at)
        .where(Saving.source_id == CurtailmentPlan.id, Saving.scope == "site")
        .scalar_subquery()
    )
    due = select(CurtailmentPlan.organisation_id, CurtailmentPlan.id).where(
        CurtailmentPlan.due,
        or_(newest.is_(None), newest < CurtailmentPlan.at, newest < now() - _AGAIN),
    )
    async with runtime.worker_session() as session:
        plans = (await session.execute(due.limit(_AT_ONCE))).all()
    for organisation_id, plan_id in plans:
        try:
            async with runtime.tenant_session(organisation_id) as session:
                await settle(session, plan_id)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            # One plan that cannot be reckoned keeps no other from it.
            log.exception("savings.failed", plan_id=str(plan_id))
    return len(plans)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A plan, what it stopped, and what is needed to value it."""

    plan: CurtailmentPlan
    stops: Sequence[Stop]
    baseline: dict[str, Any]
    starts_at: datetime
    ends_at: datetime | None
    estimated: bool


async def settle(session: AsyncSession, plan_id: UUID) -> None:
    """Reckon one plan: the site as a whole, and each client's part."""
    plan = await session.get(CurtailmentPlan, plan_id, with_for_update=True)
    site = None if plan is None else await session.get(Site, plan.site_id)
    if plan is None or site is None:
        return
    gathered = await _gather(session, plan)
    if gathered is None:
        # Nothing was stopped. A plan that is over will not stop anything any more.
        plan.due = plan.over_at is None or now() - plan.over_at < LATE
        return
    more = avoided(gathered.stops)
    reigns, actual, peaks = await _tariffs(session, site, more)
    market = await market_at(session, instants(more.starts_s))
    known = (actual.starts_s, actual.kwh_e6)
    cost = await asyncio.to_thread(by_bill, reigns, more, known, peaks)
    state = _state(gathered, reigns, site)
    common = _common(gathered, reigns, actual, more, market) | {"state": state}
    rows = [await _row(session, common, gathered.stops, more, cost, market=market)]
    for client_id in sorted({stop.client_id for stop in gathered.stops if stop.client_id}, key=str):
        mine = [stop for stop in gathered.stops if stop.client_id == client_id]
        part = _aligned(avoided(mine), more)
        theirs = await asyncio.to_thread(by_price, reigns, part)
        theirs = replace(theirs, reasons=(*theirs.reasons, "other_charges_are_the_sites"))
        rows.append(
            await _row(session, common, mine, part, theirs, market=market, client_id=client_id)
        )
    await keep(session, rows)
    plan.due = state != "final"


def _aligned(part: Avoided, whole: Avoided) -> Avoided:
    """Return a part with the half-hours of the whole, so that one market serves both."""
    kwh, hashes = np.zeros_like(whole.kwh_e6), np.zeros_like(whole.th_h)
    places = np.searchsorted(whole.starts_s, part.starts_s)
    kwh[places], hashes[places] = part.kwh_e6, part.th_h
    return Avoided(whole.starts_s, kwh, hashes)


async def _gather(session: AsyncSession, plan: CurtailmentPlan) -> _Plan | None:
    rows = list(
        await session.scalars(
            select(CurtailedMachine)
            .where(CurtailedMachine.plan_id == plan.id)
            .order_by(CurtailedMachine.stopped_at, CurtailedMachine.miner_id)
        )
    )
    if not rows:
        return None
    starts_at = rows[0].stopped_at
    known = await machines_before(session, plan.site_id, {row.miner_id for row in rows}, starts_at)
    is_over = plan.over_at is not None
    until = min(plan.over_at or now(), starts_at + _LONGEST)
    stops = [_stop(row, known.get(row.miner_id), until) for row in rows]
    ends_at = max(starts_at, *(row.ended_at or until for row in rows))
    all_woken = all(row.ended_at is not None for row in rows)
    failed = plan.status == "failed" and all_woken
    estimated = sum(1 for row in rows if row.estimated or row.power_before_w is None)
    return _Plan(
        plan=plan,
        stops=stops,
        baseline=_baseline(stops, known, estimated),
        starts_at=starts_at,
        ends_at=ends_at if is_over or failed else None,
        estimated=estimated > 0,
    )


def _stop(row: CurtailedMachine, machine: Machine | None, until: datetime) -> Stop:
    before = row.power_before_w
    if before is None and machine is not None and machine.nameplate_power_w is not None:
        before = Decimal(repr(machine.nameplate_power_w))
    saved = None if before is None else max(before - (row.power_after_w or 0), Decimal(0))
    return Stop(
        miner_id=row.miner_id,
        client_id=None if machine is None else machine.client_id,
        start_s=int(row.stopped_at.timestamp()),
        end_s=int((row.ended_at or until).timestamp()),
        saved_mw=None if saved is None else int(saved * 1000),
        hashrate_ths=None if machine is None else machine.hashrate_ths,
    )


def _baseline(stops: Sequence[Stop], known: dict[UUID, Machine], estimated: int) -> dict[str, Any]:
    measured = sum(1 for machine in known.values() if machine.measured)
    rated = sum(1 for machine in known.values() if not machine.measured and machine.hashrate_ths)
    return {
        "rule": _RULE,
        "stops": len(stops),
        "power_measured": len(stops) - estimated,
        "power_estimated": estimated,
        "power_unknown": sum(1 for stop in stops if stop.saved_mw is None),
        "hashrate_measured": measured,
        "hashrate_rated": rated,
        "hashrate_unknown": len({stop.miner_id for stop in stops}) - measured - rated,
    }


async def _tariffs(
    session: AsyncSession, site: Site, more: Avoided
) -> tuple[list[Reign], SiteHalfHours, dict[YearMonth, Decimal]]:
    """Return the tariffs and the half-hours of the months that a plan touches."""
    first = datetime.fromtimestamp(int(more.starts_s[0]), UTC)
    last = datetime.fromtimestamp(int(more.starts_s[-1]), UTC) + timedelta(minutes=30)
    local = first.astimezone(ZoneInfo(site.timezone))
    # With the half-hour before: a month may begin inside it.
    start = local.replace(day=1, hour=0, minute=0).astimezone(UTC) - timedelta(minutes=30)
    end = max(min(month_after(last, site.timezone), now() + timedelta(hours=1)), last)
    reigns = await reigns_of(session, site.id, int(start.timestamp()), int(end.timestamp()))
    actual = await site_half_hours(session, site.id, start, end)
    month = last.astimezone(ZoneInfo(site.timezone))
    following = YearMonth(month.year, month.month).after(1)
    return reigns, actual, await peaks_before(session, site.id, following)


def _state(gathered: _Plan, reigns: Sequence[Reign], site: Site) -> str:
    """Return whether figures are those of a running plan, may still change, or are final."""
    ends_at = gathered.ends_at
    if ends_at is None:
        return "running"
    final_at = ends_at
    if any(months_long(reign) for reign in reigns):
        final_at = month_after(ends_at, site.timezone)
    return "final" if now() - final_at >= LATE else "provisional"


def _common(
    gathered: _Plan,
    reigns: Sequence[Reign],
    actual: SiteHalfHours,
    more: Avoided,
    market: Market,
) -> dict[str, Any]:
    """Return what all rows of a plan have in common."""
    used = more.starts_s[more.kwh_e6 > 0]
    held = [reign for reign in reigns if ((used >= reign.start_s) & (used < reign.end_s)).any()]
    provenance = {
        "plan_type": gathered.plan.plan_type,
        "plan_status": gathered.plan.status,
        "tariffs": tariffs_view(held),
        **market.provenance(),
        "half_hours": {
            "wanted": len(used),
            "told": int(np.isin(used, actual.starts_s).sum()),
        },
    }
    return {
        "organisation_id": gathered.plan.organisation_id,
        "kind": "curtailment",
        "source_id": gathered.plan.id,
        "site_id": gathered.plan.site_id,
        "starts_at": gathered.starts_at,
        "ends_at": gathered.ends_at,
        "baseline": gathered.baseline,
        "provenance": provenance,
        "simulated": market.simulated() or any(actual.simulated),
        "settled_at": now(),
    }


async def _row(
    session: AsyncSession,
    common: dict[str, Any],
    stops: Sequence[Stop],
    more: Avoided,
    cost: CostAvoided,
    *,
    market: Market,
    client_id: UUID | None = None,
) -> dict[str, Any]:
    """Return one line of the ledger."""
    reasons = list(cost.reasons)
    power_known = all(stop.saved_mw is not None for stop in stops)
    hashes_known = all(stop.hashrate_ths is not None for stop in stops)
    brought = worth(more.th_h, market.epochs, market.quotes)
    if not power_known:
        reasons.append("power_unknown")
        cost = CostAvoided(cost.currency, None, None)
    if not hashes_known:
        reasons.append("hashrate_unknown")
    reasons.extend(brought.reasons if hashes_known else ())
    # A client's part has no charges beside its energy.
    whole = cost.whole if client_id is None else cost.energy
    lost = brought.usd if hashes_known else None
    ends_at = common["ends_at"] or now()
    in_usd, conversion_view, why = await in_dollars(session, cost.currency, whole, ends_at)
    reasons.extend(why)
    return common | {
        "scope": "site" if client_id is None else "client",
        "client_id": client_id,
        "machines": len({stop.miner_id for stop in stops}),
        "avoided_kwh": more.kwh() if power_known else None,
        "currency": cost.currency,
        "energy_cost_avoided": cost.energy,
        "other_cost_avoided": cost.other,
        "cost_avoided": whole,
        "btc_not_mined": brought.btc if hashes_known else None,
        "revenue_lost_usd": lost,
        "cost_avoided_usd": in_usd,
        "net_usd": None if in_usd is None or lost is None else in_usd - lost,
        "reasons": reasons,
        "provenance": common["provenance"] | {"conversion": conversion_view},
    }
