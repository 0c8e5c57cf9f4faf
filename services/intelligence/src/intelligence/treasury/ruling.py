"""Rules, and what they would propose now."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, NotFound, Unavailable
from common.pages import PageRequest, page_of, paged
from intelligence.db import AuditEvent
from intelligence.domain.lots import ZERO, average_cost_usd, held_btc, worth
from intelligence.domain.proposals import OPEN
from intelligence.domain.rules import Advice, Rule, RuleKind, Situation, advise, margin_percent
from intelligence.treasury.holdings import lock_treasury, settings_of, wallet_of
from intelligence.treasury.models import Proposal, SellRule
from intelligence.treasury.outlook import Price, break_even, low_price, present_price
from intelligence.treasury.receipts import holdings
from intelligence.treasury.schemas import BreakEvenView, LowPriceView
from intelligence.treasury.selling_schemas import (
    Evaluation,
    NewRule,
    Parameters,
    RuleChange,
    RuleView,
)

_PARAMETERS: TypeAdapter[Parameters] = TypeAdapter(Parameters)


class RuleNotFound(NotFound):
    title: ClassVar[str] = "No such rule"


class RuleNameTaken(Conflict):
    title: ClassVar[str] = "The name of the rule is taken"


class NoPrice(Unavailable):
    title: ClassVar[str] = "No price of bitcoin is known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What a proposal is made on."""

    at: datetime
    price: Price
    break_even: BreakEvenView
    low_price: LowPriceView | None
    held_btc: Decimal
    free_btc: Decimal
    average_cost_usd: Decimal | None
    power_bill_usd_per_day: Decimal | None


async def add_rule(session: AsyncSession, caller: Principal, body: NewRule) -> RuleView:
    """Add a rule.

    Raises:
        RuleNameTaken: another has this name.
        WalletNotFound, WrongWallet: there is no such wallet.
    """
    await lock_treasury(session, caller.organisation_id)
    await _require_free_name(session, body.name)
    if body.wallet_id is not None:
        await wallet_of(session, body.wallet_id, cash=False)
    rule = SellRule(
        organisation_id=caller.organisation_id,
        name=body.name,
        kind=body.parameters.kind,
        parameters=body.parameters.model_dump(mode="json"),
        wallet_id=body.wallet_id,
        enabled=body.enabled,
        automatic=body.automatic,
        removed=False,
        steps_done=[],
        created_by=caller.subject,
        created_at=now(),
    )
    session.add(rule)
    await session.flush()
    await _note(session, caller, "rule.add", rule)
    return rule_view(rule)


async def change_rule(
    session: AsyncSession, caller: Principal, rule_id: UUID, body: RuleChange
) -> RuleView:
    """Change a rule. New parameters begin anew: no interval runs, no step is done.

    Raises:
        RuleNotFound: there is none with this id.
        RuleNameTaken: another has this name.
    """
    await lock_treasury(session, caller.organisation_id)
    rule = await rule_of(session, rule_id)
    if body.name is not None and body.name != rule.name:
        await _require_free_name(session, body.name)
        rule.name = body.name
    if body.parameters is not None:
        rule.kind = body.parameters.kind
        rule.parameters = body.parameters.model_dump(mode="json")
        rule.steps_done, rule.last_proposed_at = [], None
    if body.enabled is not None:
        rule.enabled = body.enabled
    if body.automatic is not None:
        rule.automatic = body.automatic
    await session.flush()
    await _note(session, caller, "rule.change", rule)
    return rule_view(rule)


async def remove_rule(session: AsyncSession, caller: Principal, rule_id: UUID) -> None:
    """Remove a rule; what it has proposed stays.

    Raises:
        RuleNotFound: there is none with this id.
    """
    rule = await rule_of(session, rule_id)
    rule.removed = True
    await session.flush()
    await _note(session, caller, "rule.remove", rule)


async def _require_free_name(session: AsyncSession, name: str) -> None:
    taken = select(SellRule.id).where(SellRule.name == name, ~SellRule.removed)
    if await session.scalar(taken):
        raise RuleNameTaken(f"{name} exists; choose another name.", field="name")


async def rule_of(session: AsyncSession, rule_id: UUID) -> SellRule:
    """Return a rule.

    Raises:
        RuleNotFound: there is none with this id.
    """
    rule = await session.get(SellRule, rule_id)
    if rule is None or rule.removed:
        raise RuleNotFound("There is no rule with this id.", field="rule_id")
    return rule


async def list_rules(session: AsyncSession, page: PageRequest) -> dict[str, Any]:
    """Return one page of rules, by name."""
    query = select(SellRule).where(~SellRule.removed).order_by(SellRule.name)
    rows, total = await paged(session, query, page)
    return page_of([rule_view(row) for row in rows], total, page)


def rule_view(rule: SellRule) -> RuleView:
    """Return a rule for an answer."""
    return RuleView(
        id=rule.id,
        name=rule.name,
        kind=RuleKind(rule.kind),
        parameters=rule.parameters,
        wallet_id=rule.wallet_id,
        enabled=rule.enabled,
        automatic=rule.automatic,
        last_proposed_at=rule.last_proposed_at,
        created_at=rule.created_at,
    )


def domain_rule(rule: SellRule) -> Rule:
    """Return what the rule says, for the domain."""
    return _PARAMETERS.validate_python(rule.parameters).rule()


async def grounds(
    session: AsyncSession,
    organisation_id: UUID,
    *,
    wallet_id: UUID | None,
    days: int = 30,
    given_usd: Decimal | None = None,
) -> Grounds:
    """Gather what a proposal is made on. A price that was given counts only in place of a quote.

    Raises:
        NoPrice: there is no quote, and none was given.
    """
    moment = now()
    settled = await settings_of(session, organisation_id)
    held = await holdings(session, wallet_id)
    total = held_btc(held)
    return Grounds(
        at=moment,
        price=_price(await present_price(session, moment), given_usd, moment),
        break_even=await break_even(session, settled),
        low_price=await low_price(session, days),
        held_btc=total,
        free_btc=max(ZERO, total - await _promised_btc(session, wallet_id, moment)),
        average_cost_usd=average_cost_usd(held),
        power_bill_usd_per_day=settled.power_bill_usd_per_day if settled else None,
    )


def _price(quote: Price | None, given_usd: Decimal | None, moment: datetime) -> Price:
    if given_usd is not None and (quote is None or quote.stale):
        return Price(usd=given_usd, source=GIVEN, at=moment, stale=False, simulated=False)
    if quote is None:
        raise NoPrice("The calculator has published no quote yet.", retry_after_s=30)
    return quote


GIVEN = "given"
"""Source of a price that the caller brought."""


async def _promised_btc(session: AsyncSession, wallet_id: UUID | None, at: datetime) -> Decimal:
    """Return what open proposals have left to sell from here."""
    query = select(func.sum(Proposal.btc - Proposal.filled_btc)).where(
        Proposal.status.in_(sorted(OPEN)), Proposal.expires_at > at
    )
    if wallet_id is not None:
        query = query.where(or_(Proposal.wallet_id == wallet_id, Proposal.wallet_id.is_(None)))
    return await session.scalar(query) or ZERO


async def evaluate(session: AsyncSession, rule: SellRule) -> tuple[Advice, Grounds]:
    """Return what a rule would propose now, and on what grounds.

    Raises:
        NoPrice: there is no quote.
    """
    said = domain_rule(rule)
    seen = await grounds(session, rule.organisation_id, wallet_id=rule.wallet_id, days=said.days)
    situation = Situation(
        at=seen.at,
        price_usd=seen.price.usd,
        held_btc=seen.free_btc,
        average_cost_usd=seen.average_cost_usd,
        break_even_usd=seen.break_even.usd_per_btc,
        power_bill_usd_per_day=seen.power_bill_usd_per_day,
        low_price_usd=seen.low_price.price_usd if seen.low_price else None,
        last_sale_at=rule.last_proposed_at,
        steps_done=frozenset(rule.steps_done),
    )
    return advise(said, situation), seen


async def evaluation(session: AsyncSession, rule_id: UUID) -> Evaluation:
    """Return what a rule would propose now; nothing is written.

    Raises:
        RuleNotFound: there is none with this id.
        NoPrice: there is no quote.
    """
    rule = await rule_of(session, rule_id)
    advice, seen = await evaluate(session, rule)
    return Evaluation(
        sell_btc=advice.sell_btc,
        value_usd=worth(advice.sell_btc, seen.price.usd),
        reason=advice.reason,
        missing=[*advice.missing, *(m for m in seen.break_even.missing if m not in advice.missing)],
        held_btc=seen.held_btc,
        free_btc=seen.free_btc,
        price=seen.price.view(seen.at),
        sizing_price_usd=advice.sizing_price_usd,
        low_price=seen.low_price,
        break_even=seen.break_even,
        margin_percent=margin_percent(seen.price.usd, seen.break_even.usd_per_btc),
        min_price_usd=advice.min_price_usd,
    )


async def _note(session: AsyncSession, caller: Principal, action: str, rule: SellRule) -> None:
    detail = {"name": rule.name, "parameters": rule.parameters, "enabled": rule.enabled}
    await audit(
        session, AuditEvent, caller, action=f"treasury.{action}", object_type="treasury-rule",
        object_id=rule.id, detail=detail,
    )  # fmt: skip
