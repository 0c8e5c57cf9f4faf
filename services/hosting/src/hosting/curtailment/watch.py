"""Watching a plan that holds machines down: who drifted back, who was never heard of again."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.auth import Principal
from common.errors import Problem
from hosting.curtailment import progress
from hosting.curtailment.models import CurtailmentPlan, CurtailmentTarget
from hosting.curtailment.orders import order, stop_patience
from hosting.curtailment.settings import curtailment_settings
from hosting.parties import Parties
from hosting.telemetry import fleet

log = get_logger()


async def hashing(parties: Parties, principal: Principal, site_id: UUID) -> Mapping[UUID, datetime]:
    """Return which machines of the site hash, with the time of the reading that says so.

    Without telemetry nobody is seen to drift; the plan goes on as it is.
    """
    try:
        latest = await fleet(parties.telemetry, principal, site_id)
    except Problem as problem:
        log.info("curtailment.unwatched", site_id=str(site_id), reason=problem.detail)
        return {}
    return {
        miner_id: reading.sampled_at
        for miner_id, reading in latest.items()
        if reading.hashes and reading.sampled_at is not None
    }


async def look_over(
    session: AsyncSession, plan: CurtailmentPlan, hashing: Mapping[UUID, datetime], at: datetime
) -> None:
    """Stop again what hashes though it was proven down, and give up orders nobody answered."""
    plan.watched_at = at
    drifted = await _drifted(session, plan.id, hashing)
    if drifted:
        await session.execute(
            update(CurtailmentTarget)
            .where(CurtailmentTarget.plan_id == plan.id, CurtailmentTarget.miner_id.in_(drifted))
            .values(state="drifted")
        )
        log.warning("curtailment.drifted", plan_id=str(plan.id), machines=len(drifted))
        await order(session, plan, "sleep", drifted, at=at)
    given_up = await _give_up_unanswered(session, plan.id, at)
    if drifted or given_up:
        await progress.judge(session, plan, at)


async def _drifted(
    session: AsyncSession, plan_id: UUID, hashing: Mapping[UUID, datetime]
) -> list[UUID]:
    rows = await session.execute(
        select(CurtailmentTarget.miner_id, CurtailmentTarget.confirmed_at)
        .where(CurtailmentTarget.plan_id == plan_id, CurtailmentTarget.state == "confirmed")
        .order_by(CurtailmentTarget.miner_id)
    )
    return [
        miner_id
        for miner_id, confirmed_at in rows
        if miner_id in hashing and confirmed_at is not None and hashing[miner_id] > confirmed_at
    ]


async def _give_up_unanswered(session: AsyncSession, plan_id: UUID, at: datetime) -> int:
    """A machine nobody reported on may be down all the same: it is unavailable, and woken later."""
    late = at - stop_patience() - timedelta(seconds=curtailment_settings().answer_grace_s)
    given_up = await session.scalars(
        update(CurtailmentTarget)
        .where(
            CurtailmentTarget.plan_id == plan_id,
            CurtailmentTarget.state.in_(["dispatching", "dispatched"]),
            CurtailmentTarget.ordered_at < late,
        )
        .values(state="unavailable", reason="unanswered")
        .returning(CurtailmentTarget.miner_id)
    )
    return len(given_up.all())
