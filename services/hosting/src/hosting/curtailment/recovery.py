"""Recovery: machines come back in batches, each proven, none forgotten across a restart."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from hosting.curtailment.machines import show
from hosting.curtailment.models import CurtailmentPlan, CurtailmentTarget
from hosting.curtailment.orders import order, publish_change, wake_patience
from hosting.curtailment.settings import curtailment_settings
from hosting.domain.curtailment import RestorePace, moved
from hosting.domain.curtailment_target import OUTSTANDING, SETTLED

# The best earners per watt come back first.
_EFFICIENCY = CurtailmentTarget.baseline_hashrate_ths / func.nullif(
    CurtailmentTarget.baseline_power_w, 0
)


async def begin(session: AsyncSession, plan: CurtailmentPlan, at: datetime) -> None:
    """Turn a plan round: every machine that may be down shall wake, the others are let go."""
    plan.status = moved(plan.status, "restoring")
    await session.execute(
        update(CurtailmentTarget)
        .where(CurtailmentTarget.plan_id == plan.id, _unsettled())
        .values(desired_state="active")
    )
    await let_go(session, plan.id)
    await step(session, plan, at)
    if plan.status == "restoring":
        publish_change(session, plan, at)


async def step(session: AsyncSession, plan: CurtailmentPlan, at: datetime) -> None:
    """Wake the next batch of a restoring plan, or complete it when nothing is left to wake."""
    await _give_up_unanswered(session, plan.id, at)
    pace = RestorePace(plan.restore_batch_size, timedelta(seconds=plan.restore_interval_s))
    waiting = (
        await session.scalars(
            select(CurtailmentTarget.miner_id)
            .where(
                CurtailmentTarget.plan_id == plan.id,
                CurtailmentTarget.may_be_down,
                CurtailmentTarget.restore_command_id.is_(None),
                _unsettled(),
            )
            .order_by(_EFFICIENCY.desc().nulls_last(), CurtailmentTarget.miner_id)
            .limit(pace.batch_size)
        )
    ).all()
    plan.next_restore_at = pace.next_at(at)
    if waiting:
        await order(session, plan, "wake", sorted(waiting), at=at)
    else:
        await complete_if_done(session, plan, at)


async def complete_if_done(session: AsyncSession, plan: CurtailmentPlan, at: datetime) -> None:
    """Complete a restoring plan once no machine of it is on its way any more."""
    left, failed = (
        await session.execute(
            select(
                func.count().filter(_unsettled()),
                func.count().filter(CurtailmentTarget.state == "restore_failed"),
            ).where(CurtailmentTarget.plan_id == plan.id)
        )
    ).one()
    plan.restore_failed_count = failed
    if left:
        return
    plan.status = moved(plan.status, "completed")
    plan.completed_at = at
    plan.next_restore_at = None
    publish_change(session, plan, at)


async def let_go(session: AsyncSession, plan_id: UUID) -> None:
    """Release the machines that never went down."""
    await session.execute(
        update(CurtailmentTarget)
        .where(
            CurtailmentTarget.plan_id == plan_id,
            CurtailmentTarget.state.in_(["pending", "unavailable"]),
            ~CurtailmentTarget.may_be_down,
        )
        .values(state="released", desired_state="active")
    )


async def any_down(session: AsyncSession, plan_id: UUID) -> bool:
    """Tell whether a machine of the plan may be down."""
    found = await session.scalar(
        select(CurtailmentTarget.miner_id)
        .where(CurtailmentTarget.plan_id == plan_id, CurtailmentTarget.may_be_down, _unsettled())
        .limit(1)
    )
    return found is not None


async def _give_up_unanswered(session: AsyncSession, plan_id: UUID, at: datetime) -> None:
    """Order again, or give up, what nobody has answered for though its time is long over."""
    settings = curtailment_settings()
    late = at - wake_patience() - timedelta(seconds=settings.answer_grace_s)
    overdue = (
        CurtailmentTarget.plan_id == plan_id,
        CurtailmentTarget.restore_command_id.is_not(None),
        CurtailmentTarget.restore_ordered_at < late,
        CurtailmentTarget.state.in_(OUTSTANDING),
    )
    given_up = await session.scalars(
        update(CurtailmentTarget)
        .where(*overdue, CurtailmentTarget.restore_attempts >= settings.wake_tries)
        .values(state="restore_failed", reason="unanswered")
        .returning(CurtailmentTarget.miner_id)
    )
    await show(session, dict.fromkeys(given_up, "curtailed"))
    await session.execute(update(CurtailmentTarget).where(*overdue).values(restore_command_id=None))


def _unsettled() -> ColumnElement[bool]:
    return CurtailmentTarget.state.not_in(SETTLED)
