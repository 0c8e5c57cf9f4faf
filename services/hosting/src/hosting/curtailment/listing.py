"""Reading plans back."""

from collections import Counter
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.pages import Page, PageRequest, page_of, paged
from hosting.curtailment.models import CurtailmentPlan, CurtailmentTarget
from hosting.curtailment.plans import NoSuchPlan
from hosting.curtailment.schemas import Plan, PlanSummary, Target
from hosting.domain.curtailment import PlanStatus

_TARGET_COLUMNS = [getattr(CurtailmentTarget, name) for name in Target.model_fields]


async def list_plans(
    session: AsyncSession, wanted: PageRequest, site_id: UUID | None, status: PlanStatus | None
) -> Page[PlanSummary]:
    """Return the caller's plans, the newest first."""
    query = select(CurtailmentPlan).order_by(CurtailmentPlan.id.desc())
    if site_id is not None:
        query = query.where(CurtailmentPlan.site_id == site_id)
    if status is not None:
        query = query.where(CurtailmentPlan.status == status)
    plans, total = await paged(session, query, wanted)
    summaries = [PlanSummary.model_validate(plan) for plan in plans]
    return Page[PlanSummary](**page_of(summaries, total, wanted))


async def read_plan(session: AsyncSession, plan_id: UUID) -> Plan:
    """Return a plan with its machines.

    Raises:
        NoSuchPlan: it is not the caller's.
    """
    plan = await session.get(CurtailmentPlan, plan_id)
    if plan is None:
        raise NoSuchPlan(f"There is no plan {plan_id}.")
    return await whole(session, plan)


async def whole(session: AsyncSession, plan: CurtailmentPlan) -> Plan:
    """Return this plan with its machines as they stand in this transaction."""
    await session.flush()
    rows = await session.execute(
        select(*_TARGET_COLUMNS)
        .where(CurtailmentTarget.plan_id == plan.id)
        .order_by(CurtailmentTarget.miner_id)
    )
    targets = [Target.model_validate(row) for row in rows]
    return Plan(
        **PlanSummary.model_validate(plan).model_dump(),
        targets=targets,
        targets_by_state=dict(Counter(target.state for target in targets)),
        decision=plan.decision_snapshot,
    )
