"""HTTP of the rules about high costs, and of their alerts."""

from typing import Literal
from uuid import UUID

from fastapi import APIRouter

from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery
from energy.alerts import rules
from energy.alerts.rules import AlertUnknown, OperatorsOnly, RuleUnknown, TooManyRules
from energy.alerts.schemas import CostAlertView, CostRuleChange, CostRuleView, NewCostRule
from energy.auth import CostsReader, CostsWriter
from energy.facts.reading import SiteUnknown
from energy.messages.post import UnknownRecipient

router = APIRouter(prefix="/api/electricity", tags=["alerts"])


@router.post(
    "/alert-rules",
    status_code=201,
    responses=problems(SiteUnknown, TooManyRules, OperatorsOnly, UnknownRecipient),
)
async def create_cost_rule(
    body: NewCostRule, session: Session, caller: CostsWriter
) -> CostRuleView:
    """Say when power is dear, and whom to tell: once when it begins, once when it is over."""
    return await rules.create(session, caller, body)


@router.get("/alert-rules", response_model=Page[CostRuleView])
async def list_cost_rules(
    session: Session, _: CostsReader, page: PageQuery, site_id: UUID | None = None
) -> object:
    """List the rules."""
    return await rules.list_rules(session, page, site_id)


@router.get("/alert-rules/{rule_id}", responses=problems(RuleUnknown))
async def get_cost_rule(rule_id: UUID, session: Session, _: CostsReader) -> CostRuleView:
    """Return a rule."""
    return rules.view_of(await rules.find(session, rule_id))


@router.patch("/alert-rules/{rule_id}", responses=problems(RuleUnknown, UnknownRecipient))
async def change_cost_rule(
    rule_id: UUID, body: CostRuleChange, session: Session, caller: CostsWriter
) -> CostRuleView:
    """Change a rule, or switch it off and on."""
    return await rules.change(session, caller, rule_id, body)


@router.delete("/alert-rules/{rule_id}", status_code=204, responses=problems(RuleUnknown))
async def delete_cost_rule(rule_id: UUID, session: Session, caller: CostsWriter) -> None:
    """Forget a rule; its alerts stay."""
    await rules.remove(session, caller, rule_id)


@router.get("/alerts", response_model=Page[CostAlertView])
async def list_cost_alerts(
    session: Session,
    _: CostsReader,
    page: PageQuery,
    state: Literal["firing", "cleared", "unacknowledged"] | None = None,
    site_id: UUID | None = None,
    rule_id: UUID | None = None,
) -> object:
    """List the times of high costs, newest first."""
    return await rules.list_alerts(session, page, state=state, site_id=site_id, rule_id=rule_id)


@router.post("/alerts/{alert_id}/acknowledge", responses=problems(AlertUnknown))
async def acknowledge_cost_alert(
    alert_id: UUID, session: Session, caller: CostsWriter
) -> CostAlertView:
    """Say that an alert has been seen; who said it first stays."""
    return await rules.acknowledge(session, caller, alert_id)
