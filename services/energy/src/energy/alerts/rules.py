"""Rules about high costs, and alerts, as people keep them."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Forbidden, NotFound
from common.ids import new_id
from common.pages import PageRequest, page_of, paged
from energy.alerts.models import CostAlert, CostRule
from energy.alerts.schemas import CostAlertView, CostRuleChange, CostRuleView, NewCostRule
from energy.db import AuditEvent
from energy.facts.reading import site_of
from energy.messages.post import check_recipients

MOST = 200


class RuleUnknown(NotFound):
    title: ClassVar[str] = "No such rule"


class AlertUnknown(NotFound):
    title: ClassVar[str] = "No such alert"


class TooManyRules(Conflict):
    title: ClassVar[str] = "There are too many rules"


class OperatorsOnly(Forbidden):
    title: ClassVar[str] = "Only the operator of a site keeps rules about it"


async def create(session: AsyncSession, caller: Principal, body: NewCostRule) -> CostRuleView:
    """Keep a new rule.

    Raises:
        OperatorsOnly: a client's figures are not those of a site.
        TooManyRules: there are 200.
        SiteUnknown, UnknownRecipient: it names what is not there.
    """
    if caller.client_id is not None:
        raise OperatorsOnly("Ask the operator of the site.")
    if (await session.scalar(select(func.count()).select_from(CostRule)) or 0) >= MOST:
        raise TooManyRules(f"At most {MOST} are kept; delete one first.")
    if body.site_id is not None:
        await site_of(session, body.site_id)
    await check_recipients(session, body.recipients, None)
    rule = CostRule(
        id=new_id(),
        organisation_id=caller.organisation_id,
        client_id=None,
        created_by=caller.subject,
        created_at=now(),
        version=1,
        **body.model_dump(exclude={"recipients"}),
        recipients=[str(one) for one in body.recipients],
    )
    session.add(rule)
    await session.flush()
    await _audit(session, caller, "cost_rule.create", rule)
    return view_of(rule)


async def list_rules(
    session: AsyncSession, page: PageRequest, site_id: UUID | None
) -> dict[str, Any]:
    """Return the rules, oldest first."""
    query = select(CostRule).order_by(CostRule.id)
    if site_id is not None:
        query = query.where(CostRule.site_id == site_id)
    rows, total = await paged(session, query, page)
    return page_of([view_of(row) for row in rows], total, page)


async def find(session: AsyncSession, rule_id: UUID, *, lock: bool = False) -> CostRule:
    """Return a rule.

    Raises:
        RuleUnknown: there is none.
    """
    rule = await session.get(CostRule, rule_id, with_for_update=lock or None)
    if rule is None:
        raise RuleUnknown("There is no rule of this id.")
    return rule


async def change(
    session: AsyncSession, caller: Principal, rule_id: UUID, body: CostRuleChange
) -> CostRuleView:
    """Change a rule. What fires under it is looked at anew; switched off, it is over."""
    rule = await find(session, rule_id, lock=True)
    fields = body.model_dump(exclude_none=True, exclude={"recipients"})
    if body.recipients is not None:
        await check_recipients(session, body.recipients, None)
        fields["recipients"] = [str(one) for one in body.recipients]
    for name, value in fields.items():
        setattr(rule, name, value)
    rule.version += 1
    await session.flush()
    if not rule.active:
        await _end(session, rule_id)
    await _audit(session, caller, "cost_rule.change", rule)
    return view_of(rule)


async def remove(session: AsyncSession, caller: Principal, rule_id: UUID) -> None:
    """Forget a rule; its alerts stay, and are over."""
    rule = await find(session, rule_id, lock=True)
    await _end(session, rule_id)
    await session.execute(delete(CostRule).where(CostRule.id == rule_id))
    await _audit(session, caller, "cost_rule.delete", rule)


async def _end(session: AsyncSession, rule_id: UUID) -> None:
    open_ones = select(CostAlert).where(
        CostAlert.rule_id == rule_id, CostAlert.cleared_at.is_(None)
    )
    for alert in await session.scalars(open_ones.with_for_update()):
        alert.cleared_at = now()
        alert.details = alert.details | {"ended": "the rule was switched off"}
    await session.flush()


async def list_alerts(
    session: AsyncSession,
    page: PageRequest,
    *,
    state: str | None,
    site_id: UUID | None,
    rule_id: UUID | None,
) -> dict[str, Any]:
    """Return alerts, newest first."""
    query = select(CostAlert).order_by(CostAlert.id.desc())
    if state == "firing":
        query = query.where(CostAlert.cleared_at.is_(None))
    elif state == "cleared":
        query = query.where(CostAlert.cleared_at.is_not(None))
    elif state == "unacknowledged":
        query = query.where(CostAlert.acknowledged_at.is_(None))
    if site_id is not None:
        query = query.where(CostAlert.site_id == site_id)
    if rule_id is not None:
        query = query.where(CostAlert.rule_id == rule_id)
    rows, total = await paged(session, query, page)
    return page_of([alert_of(row) for row in rows], total, page)


async def acknowledge(session: AsyncSession, caller: Principal, alert_id: UUID) -> CostAlertView:
    """Say that somebody has seen an alert: whoever says it first.

    Raises:
        AlertUnknown: there is none.
    """
    alert = await session.get(CostAlert, alert_id, with_for_update=True)
    if alert is None:
        raise AlertUnknown("There is no alert of this id.")
    if alert.acknowledged_at is None:
        alert.acknowledged_at, alert.acknowledged_by = now(), caller.subject
        await session.flush()
        await audit(
            session,
            AuditEvent,
            caller,
            action="cost_alert.acknowledge",
            object_type="cost_alert",
            object_id=alert.id,
        )
    return alert_of(alert)


def view_of(rule: CostRule) -> CostRuleView:
    """Return a rule as it is shown."""
    return CostRuleView.model_validate(rule, from_attributes=True)


def alert_of(alert: CostAlert) -> CostAlertView:
    """Return an alert as it is shown."""
    names = CostAlertView.model_fields.keys() - {"state"}
    shown: dict[str, Any] = {name: getattr(alert, name) for name in names}
    return CostAlertView(state="cleared" if alert.cleared_at else "firing", **shown)


async def _audit(session: AsyncSession, caller: Principal, action: str, rule: CostRule) -> None:
    await audit(
        session,
        AuditEvent,
        caller,
        action=action,
        object_type="cost_rule",
        object_id=rule.id,
        detail={"name": rule.name, "metric": rule.metric, "threshold": f"{rule.threshold:f}"},
    )
