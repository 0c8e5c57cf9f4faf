"""The life of a plan, as people order it. One transaction each; nothing here commits."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Forbidden, NotFound
from hosting.curtailment import recovery
from hosting.curtailment.models import CurtailmentPlan, CurtailmentPolicy, CurtailmentTarget
from hosting.curtailment.orders import order, publish_change, take
from hosting.curtailment.policies import policy_of
from hosting.curtailment.schemas import CurtailmentRequest, CurtailmentTrigger
from hosting.curtailment.selection import (
    Selection,
    Wish,
    require_within_reach,
    select_machines,
    survey,
)
from hosting.db import AuditEvent
from hosting.domain.curtailment import PlanAction, PlanStatus, UndeclaredTransition, acted, moved
from hosting.miners.models import Miner
from hosting.parties import Parties, on_behalf_of


class NoSuchPlan(NotFound):
    title: ClassVar[str] = "No such plan"


class PlanTransitionRefused(Conflict):
    title: ClassVar[str] = "The plan's status does not allow this"


class NothingIsDown(Conflict):
    title: ClassVar[str] = "No machine of the plan is down"


class ApproverIsCreator(Forbidden):
    title: ClassVar[str] = "A second person has to approve"


def wish_of(body: CurtailmentRequest) -> Wish:
    """Return what a request wants."""
    return Wish(
        site_id=body.site_id,
        target_mw=body.target_power_reduction_mw,
        strategy=body.strategy,
        objective=body.objective,
        hashprice_usd_per_ths_day=body.hashprice_usd_per_ths_day,
        usd_per_kwh=body.usd_per_kwh,
    )


async def trigger(
    session: AsyncSession, parties: Parties, principal: Principal, body: CurtailmentTrigger
) -> CurtailmentPlan:
    """Make a plan. Without four-eyes it approves itself, and starts unless it is for later."""
    wish = wish_of(body)
    caller = on_behalf_of(principal)
    screening = await survey(session, parties, caller, body.site_id)
    later = body.scheduled_time is not None and body.scheduled_time > now()
    selection: Selection | None = None
    if later:
        await require_within_reach(session, wish, screening, later=True)
    else:
        selection = await select_machines(session, parties, caller, wish, screening)
    policy = await policy_of(session, body.site_id, principal.organisation_id)
    plan = _drafted(principal, body, policy, later=later)
    plan.decision_snapshot = _snapshot(wish, selection)
    session.add(plan)
    await session.flush()  # the aggregate first, its targets and events after it
    if policy.four_eyes:
        await _wait_for_approval(session, plan, selection)
        await audited(session, principal, plan, "trigger")
        return plan
    plan.status = acted(plan.status, "approve")
    plan.approved_by = principal.subject
    if selection is not None:
        await start(session, plan, selection, at=now())
    else:
        publish_change(session, plan, now())
    await audited(session, principal, plan, "trigger")
    await audited(session, principal, plan, "approve")
    return plan


def _drafted(
    principal: Principal, body: CurtailmentTrigger, policy: CurtailmentPolicy, *, later: bool
) -> CurtailmentPlan:
    return CurtailmentPlan(
        organisation_id=principal.organisation_id,
        site_id=body.site_id,
        plan_type="scheduled" if later else "manual",
        strategy=body.strategy,
        objective=body.objective,
        status="pending",
        target_power_reduction_mw=body.target_power_reduction_mw,
        duration_minutes=body.duration_minutes,
        scheduled_time=body.scheduled_time if later else now(),
        restore_batch_size=policy.restore_batch_size,
        restore_interval_s=policy.restore_interval_s,
        created_by=principal.subject,
    )


async def _wait_for_approval(
    session: AsyncSession, plan: CurtailmentPlan, selection: Selection | None
) -> None:
    """Hold the chosen machines for the plan: what is approved is what was shown."""
    if selection is not None:
        await take(session, plan, selection.chosen, ordered_at=None)
        plan.miners_affected = len(selection.chosen)
    publish_change(session, plan, now())


async def approve(session: AsyncSession, principal: Principal, plan_id: UUID) -> CurtailmentPlan:
    """Approve a plan; the machines held for it are ordered off at once, unless it is for later.

    Raises:
        ApproverIsCreator: four-eyes is on, and these are the same two eyes.
    """
    plan = await locked(session, plan_id)
    policy = await policy_of(session, plan.site_id, plan.organisation_id)
    status = _acted(plan.status, "approve")
    if policy.four_eyes and principal.subject == plan.created_by:
        raise ApproverIsCreator("Whoever made the plan cannot approve it at this site.")
    plan.status = status
    plan.approved_by = principal.subject
    if plan.plan_type == "manual":
        await _start_reserved(session, plan, at=now())
    else:
        publish_change(session, plan, now())
    await audited(session, principal, plan, "approve")
    return plan


async def cancel(session: AsyncSession, principal: Principal, plan_id: UUID) -> CurtailmentPlan:
    """Call a plan off. While it executes that means: bring its machines back."""
    plan = await locked(session, plan_id)
    status = _acted(plan.status, "cancel")
    if status == "restoring":
        plan.cancelled_at = at = now()
        await recovery.begin(session, plan, at)
        await audited(session, principal, plan, "cancel")
    else:
        await call_off(session, principal, plan)
    return plan


async def call_off(session: AsyncSession, principal: Principal, plan: CurtailmentPlan) -> None:
    """Cancel a plan that has not begun."""
    plan.status = moved(plan.status, "cancelled")
    plan.cancelled_at = at = now()
    await _release_reserved(session, plan.id)
    publish_change(session, plan, at)
    await audited(session, principal, plan, "cancel")


async def restore(session: AsyncSession, principal: Principal, plan_id: UUID) -> CurtailmentPlan:
    """End a plan now: bring its machines back, staggered.

    Raises:
        NothingIsDown: no machine of the plan is down.
    """
    plan = await locked(session, plan_id)
    _acted(plan.status, "restore")
    if plan.status != "executing" and not await recovery.any_down(session, plan.id):
        raise NothingIsDown("All machines of the plan are running.")
    await recovery.begin(session, plan, now())
    await audited(session, principal, plan, "restore")
    return plan


async def start(
    session: AsyncSession, plan: CurtailmentPlan, selection: Selection, *, at: datetime
) -> None:
    """Order the chosen machines of an approved plan off."""
    _started(plan, len(selection.chosen), at)
    if selection.chosen:
        await take(session, plan, selection.chosen, ordered_at=at)
    else:
        plan.status = moved(plan.status, "failed")
    publish_change(session, plan, at)


async def locked(session: AsyncSession, plan_id: UUID) -> CurtailmentPlan:
    """Return a plan, held against all others until the transaction ends.

    Raises:
        NoSuchPlan: it is not the caller's.
    """
    plan = await session.get(CurtailmentPlan, plan_id, with_for_update=True)
    if plan is None:
        raise NoSuchPlan(f"There is no plan {plan_id}.")
    return plan


def _started(plan: CurtailmentPlan, machines: int, at: datetime) -> None:
    plan.status = moved(plan.status, "executing")
    plan.started_at = plan.watched_at = at
    plan.miners_affected = machines
    if plan.duration_minutes is not None:
        plan.ends_at = at + timedelta(minutes=plan.duration_minutes)


async def _start_reserved(session: AsyncSession, plan: CurtailmentPlan, *, at: datetime) -> None:
    """Order off what the plan reserved, less what has gone out of service since."""
    rows = await session.execute(
        select(CurtailmentTarget.miner_id, Miner.status)
        .join(Miner, Miner.id == CurtailmentTarget.miner_id, isouter=True)
        .where(CurtailmentTarget.plan_id == plan.id, CurtailmentTarget.state == "pending")
        .order_by(CurtailmentTarget.miner_id)
    )
    running: list[UUID] = []
    gone: list[UUID] = []
    for miner_id, status in rows:
        (running if status == "active" else gone).append(miner_id)
    await _drop(session, plan.id, gone)
    _started(plan, len(running), at)
    if running:
        await order(session, plan, "sleep", running, at=at)
    else:
        plan.status = moved(plan.status, "failed")
    publish_change(session, plan, at)


async def _drop(session: AsyncSession, plan_id: UUID, miner_ids: Sequence[UUID]) -> None:
    if miner_ids:
        await session.execute(
            update(CurtailmentTarget)
            .where(CurtailmentTarget.plan_id == plan_id, CurtailmentTarget.miner_id.in_(miner_ids))
            .values(state="unavailable", reason="not_running")
        )


async def _release_reserved(session: AsyncSession, plan_id: UUID) -> None:
    await session.execute(
        update(CurtailmentTarget)
        .where(CurtailmentTarget.plan_id == plan_id, CurtailmentTarget.state == "pending")
        .values(state="released", desired_state="active")
    )


def _acted(status: PlanStatus, action: PlanAction) -> PlanStatus:
    try:
        return acted(status, action)
    except UndeclaredTransition as error:
        raise PlanTransitionRefused(str(error), status_now=status) from error


def _snapshot(wish: Wish, selection: Selection | None) -> dict[str, Any]:
    prices: dict[str, Any] = {
        "hashprice_usd_per_ths_day": wish.hashprice_usd_per_ths_day,
        "usd_per_kwh": wish.usd_per_kwh,
    }
    return prices | (selection.snapshot(wish) if selection else {})


async def audited(
    session: AsyncSession, principal: Principal, plan: CurtailmentPlan, action: str
) -> None:
    """Write into the audit trail what was done with the plan, and by whom."""
    await audit(
        session,
        AuditEvent,
        principal,
        action=f"curtailment.{action}",
        object_type="curtailment_plan",
        object_id=plan.id,
        detail={
            "site_id": plan.site_id,
            "status": plan.status,
            "target_power_reduction_mw": plan.target_power_reduction_mw,
            "miners_affected": plan.miners_affected,
        },
    )
