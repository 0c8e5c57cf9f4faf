"""HTTP of curtailment."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from common.db import Session
from common.errors import Invalid, Unavailable, problems
from common.idempotency import IdempotencyKey, KeyReused, StillRunning, once
from common.pages import Page, PageQuery
from hosting import db
from hosting.auth import (
    CurtailmentApprover,
    CurtailmentCommander,
    CurtailmentReader,
    SitesWriter,
)
from hosting.curtailment import listing, plans, policies, previews
from hosting.curtailment.machines import NoSuchSite
from hosting.curtailment.plans import (
    ApproverIsCreator,
    NoSuchPlan,
    NothingIsDown,
    PlanTransitionRefused,
)
from hosting.curtailment.schemas import (
    CurtailmentPreview,
    CurtailmentRequest,
    CurtailmentTrigger,
    Plan,
    PlanSummary,
    Policy,
)
from hosting.curtailment.selection import MinersInAnotherPlan, TargetOutOfReach
from hosting.domain.curtailment import PlanStatus
from hosting.intelligence import RecommendationUnusable
from hosting.parties import PartiesDep
from hosting.telemetry import FleetUnknown

router = APIRouter(prefix="/api/hosting/curtailment", tags=["curtailment"])

_CHOOSING = (
    NoSuchSite,
    MinersInAnotherPlan,
    TargetOutOfReach,
    Invalid,
    Unavailable,
    FleetUnknown,
    RecommendationUnusable,
)


@router.post("/preview", responses=problems(*_CHOOSING))
async def preview_curtailment(
    body: CurtailmentRequest, session: Session, parties: PartiesDep, principal: CurtailmentReader
) -> CurtailmentPreview:
    """Show which machines a reduction would stop, what that sheds and costs, and why not others."""
    return await previews.preview(session, parties, principal, body)


@router.post(
    "/trigger",
    status_code=201,
    response_model=Plan,
    responses=problems(*_CHOOSING, KeyReused, StillRunning),
)
async def trigger_curtailment(
    body: CurtailmentTrigger,
    session: Session,
    parties: PartiesDep,
    principal: CurtailmentCommander,
    key: IdempotencyKey = None,
) -> Plan | Response:
    """Order a reduction. Without four-eyes at the site the machines are ordered off at once."""

    async def ordered() -> Plan:
        return await listing.whole(session, await plans.trigger(session, parties, principal, body))

    return await once(
        session,
        db.IdempotencyKey,
        principal,
        route="curtailment.trigger",
        key=key,
        body=body,
        status=201,
        run=ordered,
    )


@router.get("", responses=problems(Invalid))
async def list_curtailments(
    session: Session,
    _: CurtailmentReader,
    page: PageQuery,
    site_id: UUID | None = None,
    status: Annotated[PlanStatus | None, Query(description="Only plans in this status")] = None,
) -> Page[PlanSummary]:
    """List plans, the newest first."""
    return await listing.list_plans(session, page, site_id, status)


@router.get("/policies/{site_id}", responses=problems(NoSuchSite))
async def read_curtailment_policy(
    site_id: UUID, session: Session, principal: CurtailmentReader
) -> Policy:
    """Show how a site curtails: who approves, how fast machines come back."""
    return await policies.read_policy(session, principal, site_id)


@router.put("/policies/{site_id}", responses=problems(NoSuchSite, Invalid))
async def set_curtailment_policy(
    site_id: UUID, body: Policy, session: Session, principal: SitesWriter
) -> Policy:
    """Set how a site curtails. Plans already made keep the pace they were made with."""
    return await policies.set_policy(session, principal, site_id, body)


@router.get("/{plan_id}", responses=problems(NoSuchPlan))
async def read_curtailment(plan_id: UUID, session: Session, _: CurtailmentReader) -> Plan:
    """Show a plan with the state of each of its machines."""
    return await listing.read_plan(session, plan_id)


@router.post(
    "/{plan_id}/approve", responses=problems(NoSuchPlan, PlanTransitionRefused, ApproverIsCreator)
)
async def approve_curtailment(
    plan_id: UUID, session: Session, principal: CurtailmentApprover
) -> Plan:
    """Approve a pending plan; it starts at once, or at its scheduled time."""
    return await listing.whole(session, await plans.approve(session, principal, plan_id))


@router.post("/{plan_id}/cancel", responses=problems(NoSuchPlan, PlanTransitionRefused))
async def cancel_curtailment(
    plan_id: UUID, session: Session, principal: CurtailmentCommander
) -> Plan:
    """Call a plan off. While it executes, its machines are brought back."""
    return await listing.whole(session, await plans.cancel(session, principal, plan_id))


@router.post(
    "/{plan_id}/restore", responses=problems(NoSuchPlan, PlanTransitionRefused, NothingIsDown)
)
async def restore_curtailment(
    plan_id: UUID, session: Session, principal: CurtailmentCommander
) -> Plan:
    """End a plan now: its machines come back in batches, each proven by telemetry."""
    return await listing.whole(session, await plans.restore(session, principal, plan_id))
