"""Proposals: made by a rule or a person, decided by people. Nothing here sells anything."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Forbidden, Invalid, NotFound
from common.pages import PageRequest, page_of, paged
from common.runtime import Runtime
from intelligence.db import AuditEvent, Outbox
from intelligence.domain.lots import worth
from intelligence.domain.proposals import (
    OPEN,
    ProposalStatus,
    UndeclaredTransition,
    approvals_needed,
    moved,
    status_at,
)
from intelligence.domain.rules import Advice, margin_percent
from intelligence.settings import Settings
from intelligence.treasury.events import TreasuryDecided, TreasuryProposed
from intelligence.treasury.holdings import lock_treasury, settings_of, wallet_of
from intelligence.treasury.models import Decision, Proposal, SellRule
from intelligence.treasury.outlook import Price
from intelligence.treasury.ruling import GIVEN, Grounds, evaluate, grounds, rule_of
from intelligence.treasury.schemas import BreakEvenView
from intelligence.treasury.selling_schemas import DecisionView, NewProposal, ProposalView, Verdict

_AT_ONCE = 200


class ProposalNotFound(NotFound):
    title: ClassVar[str] = "No such proposal"


class NothingToPropose(Conflict):
    title: ClassVar[str] = "The rule proposes nothing now"


class RuleDisabled(Conflict):
    title: ClassVar[str] = "The rule is switched off"


class NotEnoughHeld(Invalid):
    title: ClassVar[str] = "More is to be sold than is held"


class WrongState(Conflict):
    title: ClassVar[str] = "The proposal has moved on"


class AlreadyDecided(Conflict):
    title: ClassVar[str] = "This person has decided already"


class PersonsOnly(Forbidden):
    title: ClassVar[str] = "Only a person may decide"


async def propose(session: AsyncSession, caller: Principal, body: NewProposal) -> ProposalView:
    """Make a proposal.

    Raises:
        RuleNotFound, RuleDisabled, NothingToPropose: the rule does not, or not now.
        NotEnoughHeld: more than is held, less what open proposals have left to sell.
        WalletNotFound, WrongWallet: there is no such wallet.
        NoPrice: there is no quote, and no price was given.
    """
    await lock_treasury(session, caller.organisation_id)
    if body.rule_id is not None:
        return await _propose_rule(session, caller, body, await rule_of(session, body.rule_id))
    return await _propose_amount(session, caller, body)


async def _propose_rule(
    session: AsyncSession, caller: Principal, body: NewProposal, rule: SellRule
) -> ProposalView:
    if not rule.enabled:
        raise RuleDisabled("Switch the rule on, or propose an amount yourself.", field="rule_id")
    advice, seen = await evaluate(session, rule)
    if advice.sell_btc <= 0:
        raise NothingToPropose(advice.reason, missing=list(advice.missing))
    rule.last_proposed_at = seen.at
    rule.steps_done = sorted({*rule.steps_done, *advice.steps})
    lifetime = timedelta(hours=body.expires_in_hours)
    made = await _make(session, caller, advice, seen, rule=rule, lifetime=lifetime)
    return await _announce(session, caller, made)


async def _propose_amount(
    session: AsyncSession, caller: Principal, body: NewProposal
) -> ProposalView:
    assert body.btc is not None
    if body.wallet_id is not None:
        await wallet_of(session, body.wallet_id, cash=False)
    seen = await grounds(
        session, caller.organisation_id, wallet_id=body.wallet_id, given_usd=body.price_usd
    )
    if body.btc > seen.free_btc:
        raise NotEnoughHeld(
            f"{seen.held_btc} BTC are held here, {seen.free_btc} BTC of them are free to be sold.",
            field="btc",
            held_btc=f"{seen.held_btc:.8f}",
            free_btc=f"{seen.free_btc:.8f}",
        )
    advice = Advice(
        sell_btc=body.btc,
        reason=body.reason or "Proposed by a person.",
        min_price_usd=body.min_price_usd,
    )
    lifetime = timedelta(hours=body.expires_in_hours)
    made = await _make(session, caller, advice, seen, wallet_id=body.wallet_id, lifetime=lifetime)
    return await _announce(session, caller, made)


async def _make(
    session: AsyncSession,
    caller: Principal,
    advice: Advice,
    seen: Grounds,
    *,
    lifetime: timedelta,
    rule: SellRule | None = None,
    wallet_id: UUID | None = None,
) -> Proposal:
    settled = await settings_of(session, caller.organisation_id)
    value = worth(advice.sell_btc, seen.price.usd)
    limit = settled.approval_limit_usd if settled else None
    made = Proposal(
        organisation_id=caller.organisation_id,
        rule_id=rule.id if rule else None,
        wallet_id=rule.wallet_id if rule else wallet_id,
        kind=rule.kind if rule else "manual",
        status="proposed",
        btc=advice.sell_btc,
        filled_btc=Decimal(0),
        price_usd=seen.price.usd,
        price_source=seen.price.source,
        price_at=seen.price.at,
        price_stale=seen.price.stale,
        price_simulated=seen.price.simulated,
        sizing_price_usd=advice.sizing_price_usd,
        break_even_usd=seen.break_even.usd_per_btc,
        break_even_source=seen.break_even.source,
        margin_percent=margin_percent(seen.price.usd, seen.break_even.usd_per_btc),
        min_price_usd=advice.min_price_usd,
        value_usd=value,
        reason=advice.reason,
        missing=list(seen.break_even.missing),
        steps=list(advice.steps),
        approvals_needed=approvals_needed(
            value, limit, price_is_callers=seen.price.source == GIVEN
        ),
        created_by=caller.subject,
        created_at=seen.at,
        expires_at=seen.at + lifetime,
        version=1,
    )
    session.add(made)
    await session.flush()  # the aggregate first, its event after it
    return made


async def _announce(session: AsyncSession, caller: Principal, made: Proposal) -> ProposalView:
    session.add(
        Outbox.of(
            TreasuryProposed(
                organisation_id=made.organisation_id,
                version=made.version,
                proposal_id=made.id,
                rule_id=made.rule_id,
                kind=made.kind,
                btc=made.btc,
                price_usd=made.price_usd,
                price_source=made.price_source,
                price_stale=made.price_stale,
                simulated=made.price_simulated,
                break_even_usd=made.break_even_usd,
                margin_percent=made.margin_percent,
                min_price_usd=made.min_price_usd,
                value_usd=made.value_usd,
                approvals_needed=made.approvals_needed,
                expires_at=made.expires_at,
            )
        )
    )
    await _note(session, caller, "propose", made, {"value_usd": str(made.value_usd)})
    return _view(made, [], now())


async def locked(session: AsyncSession, proposal_id: UUID) -> Proposal:
    """Return a proposal that nobody else changes until the transaction ends.

    Raises:
        ProposalNotFound: there is none with this id.
    """
    found = await session.scalar(
        select(Proposal)
        .where(Proposal.id == proposal_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise ProposalNotFound("There is no proposal with this id.", field="proposal_id")
    return found


def move(proposal: Proposal, wanted: ProposalStatus, at: datetime) -> None:
    """Move a proposal on, if its table declares that step now.

    Raises:
        WrongState: it does not; an open proposal whose time is over counts as expired.
    """
    status = status_at(proposal.status, proposal.expires_at, at)
    try:
        proposal.status = moved(status, wanted)
    except UndeclaredTransition as error:
        raise WrongState(str(error), current_status=status) from error
    proposal.version += 1
    if proposal.status not in OPEN:
        proposal.closed_at = at


async def decide(
    session: AsyncSession,
    caller: Principal,
    proposal_id: UUID,
    verdict: Literal["approve", "reject"],
    body: Verdict,
) -> ProposalView:
    """Take a person's word. Over the limit, two different persons must approve.

    Raises:
        PersonsOnly: the caller is no person.
        ProposalNotFound: there is none with this id.
        WrongState: it was decided, or its time is over.
        AlreadyDecided: this person has approved it before.
    """
    if caller.kind != "user":
        raise PersonsOnly("An API key may propose and record; a person decides.")
    proposal = await locked(session, proposal_id)
    at = now()
    _require_open_for_decision(proposal, verdict, at)
    said = await decisions_on(session, proposal_id)
    if any(one.person_id == caller.subject for one in said):
        raise AlreadyDecided("Another person must approve as well.")
    word = Decision(
        organisation_id=proposal.organisation_id,
        proposal_id=proposal_id,
        person_id=caller.subject,
        verdict=verdict,
        note=body.note,
        at=at,
    )
    session.add(word)
    said = [*said, word]
    approvals = sum(one.verdict == "approve" for one in said)
    if verdict == "reject" or approvals >= proposal.approvals_needed:
        move(proposal, "rejected" if verdict == "reject" else "approved", at)
        await _give_back(session, proposal)
        await session.flush()
        _publish_decision(session, proposal, at, [one.person_id for one in said])
    await session.flush()
    detail = {"approvals": approvals, "needed": proposal.approvals_needed, "note": body.note}
    await _note(session, caller, verdict, proposal, detail)
    return _view(proposal, said, at)


def _require_open_for_decision(
    proposal: Proposal, verdict: Literal["approve", "reject"], at: datetime
) -> None:
    status = status_at(proposal.status, proposal.expires_at, at)
    if status != "proposed":
        done = "approved" if verdict == "approve" else "rejected"
        raise WrongState(
            f"A proposal that is {status.replace('_', ' ')} cannot be {done}.",
            current_status=status,
        )


async def cancel(
    session: AsyncSession, caller: Principal, proposal_id: UUID, body: Verdict
) -> ProposalView:
    """Withdraw what is left of a proposal; what was filled stays.

    Raises:
        ProposalNotFound: there is none with this id.
        WrongState: it is closed already.
    """
    proposal = await locked(session, proposal_id)
    at = now()
    move(proposal, "cancelled", at)
    await _give_back(session, proposal)
    await session.flush()
    _publish_decision(session, proposal, at, [caller.subject])
    await _note(session, caller, "cancel", proposal, {"note": body.note})
    return _view(proposal, await decisions_on(session, proposal_id), at)


async def _give_back(session: AsyncSession, proposal: Proposal) -> None:
    """Let a ladder propose those steps again of which nothing was sold."""
    if proposal.status in OPEN or proposal.filled_btc > 0 or not proposal.steps:
        return
    rule = await session.get_one(SellRule, proposal.rule_id)
    rule.steps_done = [step for step in rule.steps_done if step not in proposal.steps]


def _publish_decision(
    session: AsyncSession, proposal: Proposal, at: datetime, persons: list[UUID]
) -> None:
    session.add(
        Outbox.of(
            TreasuryDecided(
                organisation_id=proposal.organisation_id,
                version=proposal.version,
                proposal_id=proposal.id,
                status=proposal.status,
                decided_by=persons,
                at=at,
            )
        )
    )


async def decisions_on(session: AsyncSession, proposal_id: UUID) -> list[Decision]:
    """Return what was said on a proposal, in order."""
    query = select(Decision).where(Decision.proposal_id == proposal_id)
    return list(await session.scalars(query.order_by(Decision.at, Decision.person_id)))


async def one_proposal(session: AsyncSession, proposal_id: UUID) -> ProposalView:
    """Return one proposal.

    Raises:
        ProposalNotFound: there is none with this id.
    """
    proposal = await session.get(Proposal, proposal_id)
    if proposal is None:
        raise ProposalNotFound("There is no proposal with this id.", field="proposal_id")
    return _view(proposal, await decisions_on(session, proposal_id), now())


async def list_proposals(
    session: AsyncSession, page: PageRequest, *, status: ProposalStatus | None
) -> dict[str, Any]:
    """Return one page of proposals, the newest first."""
    at = now()
    query = select(Proposal).order_by(Proposal.id.desc())
    if status == "expired":
        lapsed = Proposal.status.in_(sorted(OPEN)) & (Proposal.expires_at <= at)
        query = query.where((Proposal.status == status) | lapsed)
    elif status is not None:
        query = query.where(Proposal.status == status)
        query = query.where(Proposal.expires_at > at) if status in OPEN else query
    rows, total = await paged(session, query, page)
    said: dict[UUID, list[Decision]] = {}
    words = select(Decision).where(Decision.proposal_id.in_([row.id for row in rows]))
    for one in await session.scalars(words.order_by(Decision.at, Decision.person_id)):
        said.setdefault(one.proposal_id, []).append(one)
    items = [_view(row, said.get(row.id, []), at) for row in rows]
    return page_of(items, total, page)


def _view(proposal: Proposal, said: Sequence[Decision], at: datetime) -> ProposalView:
    price = Price(
        usd=proposal.price_usd,
        source=proposal.price_source,
        at=proposal.price_at,
        stale=proposal.price_stale,
        simulated=proposal.price_simulated,
    )
    columns = {
        name: getattr(proposal, name)
        for name in ProposalView.model_fields
        if hasattr(proposal, name)
    }
    derived: dict[str, Any] = {
        "status": status_at(proposal.status, proposal.expires_at, at),
        "remaining_btc": proposal.btc - proposal.filled_btc,
        # Its age as it was when the proposal was made on it.
        "price": price.view(proposal.created_at),
        "break_even": _break_even_view(proposal),
        "approvals": sum(one.verdict == "approve" for one in said),
        "decisions": [DecisionView.model_validate(one) for one in said],
    }
    return ProposalView.model_validate(columns | derived)


def _break_even_view(proposal: Proposal) -> BreakEvenView:
    missing: list[str] = list(proposal.missing)
    known = proposal.break_even_usd is not None
    reason = "As it was known when this was proposed." if known else "It was not known then."
    return BreakEvenView.model_validate(
        {
            "usd_per_btc": proposal.break_even_usd,
            "source": proposal.break_even_source,
            "reason": reason,
            "missing": missing,
        }
    )


async def _note(
    session: AsyncSession,
    caller: Principal,
    action: str,
    proposal: Proposal,
    detail: dict[str, Any],
) -> None:
    await audit(
        session, AuditEvent, caller, action=f"treasury.{action}",
        object_type="treasury-proposal", object_id=proposal.id,
        detail={"btc": str(proposal.btc), "status": proposal.status, **detail},
    )  # fmt: skip


async def expire_proposals(runtime: Runtime) -> None:
    """Close proposals whose time is over, until the process stops."""
    settings = runtime.settings
    assert isinstance(settings, Settings)
    while not runtime.stopping.is_set():
        while await expire_some(runtime) == _AT_ONCE:
            pass
        await asyncio.sleep(settings.treasury_sweep_seconds)


async def expire_some(runtime: Runtime) -> int:
    """Close some proposals whose time is over; return how many."""
    at = now()
    async with runtime.worker_session() as session:
        query = (
            select(Proposal)
            .where(Proposal.status.in_(sorted(OPEN)), Proposal.expires_at <= at)
            .limit(_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        lapsed = list(await session.scalars(query))
        for proposal in lapsed:
            proposal.status, proposal.closed_at = moved(proposal.status, "expired"), at
            proposal.version += 1
            await _give_back(session, proposal)
        await session.flush()
        for proposal in lapsed:
            _publish_decision(session, proposal, at, [])
        return len(lapsed)
