"""HTTP of what may be sold: rules, proposals, fills and back-tests.

No order is ever sent to an exchange: a rule proposes, people approve, one of them sells elsewhere
and records what was sold.
"""

from uuid import UUID

from fastapi import APIRouter, Response

from common.db import Session
from common.errors import Forbidden, problems
from common.idempotency import IdempotencyKey, KeyReused, StillRunning, once
from common.pages import Page, PageQuery
from intelligence.auth import TreasuryApprover, TreasuryReader, TreasuryWriter
from intelligence.db import IdempotencyKey as IdempotencyRow
from intelligence.domain.proposals import ProposalStatus
from intelligence.treasury import backtesting, filling, proposing, ruling
from intelligence.treasury.backtesting import BacktestNotFound, NoHistory
from intelligence.treasury.backtesting_schemas import (
    BacktestRequest,
    BacktestSummary,
    BacktestView,
)
from intelligence.treasury.filling import (
    FeeTooHigh,
    FillNotFound,
    LotsDoNotFit,
    OverFilled,
    TransactionKnown,
)
from intelligence.treasury.holdings import WalletNotFound, WrongWallet
from intelligence.treasury.proposing import (
    AlreadyDecided,
    NotEnoughHeld,
    NothingToPropose,
    PersonsOnly,
    ProposalNotFound,
    RuleDisabled,
    WrongState,
)
from intelligence.treasury.ruling import NoPrice, RuleNameTaken, RuleNotFound
from intelligence.treasury.selling_schemas import (
    Evaluation,
    FillView,
    NewFill,
    NewProposal,
    NewRule,
    ProposalView,
    RuleChange,
    RuleView,
    Verdict,
)
from intelligence.treasury.walls import OPERATORS_ONLY

router = APIRouter(
    prefix="/api/treasury",
    tags=["treasury"],
    dependencies=[OPERATORS_ONLY],
    responses=problems(Forbidden),
)


@router.get("/rules", response_model=Page[RuleView])
async def list_rules(page: PageQuery, session: Session, _: TreasuryReader) -> object:
    """List rules, by name."""
    return await ruling.list_rules(session, page)


@router.post(
    "/rules", status_code=201, responses=problems(RuleNameTaken, WalletNotFound, WrongWallet)
)
async def add_rule(body: NewRule, session: Session, caller: TreasuryWriter) -> RuleView:
    """Add a rule: hold, cover_opex, dca, threshold, layered or ladder."""
    return await ruling.add_rule(session, caller, body)


@router.get("/rules/{rule_id}", responses=problems(RuleNotFound))
async def get_rule(rule_id: UUID, session: Session, _: TreasuryReader) -> RuleView:
    """Return a rule."""
    return ruling.rule_view(await ruling.rule_of(session, rule_id))


@router.patch("/rules/{rule_id}", responses=problems(RuleNotFound, RuleNameTaken))
async def change_rule(
    rule_id: UUID, body: RuleChange, session: Session, caller: TreasuryWriter
) -> RuleView:
    """Change a rule; with new parameters its intervals and steps begin anew."""
    return await ruling.change_rule(session, caller, rule_id, body)


@router.delete("/rules/{rule_id}", status_code=204, responses=problems(RuleNotFound))
async def remove_rule(rule_id: UUID, session: Session, caller: TreasuryWriter) -> None:
    """Remove a rule; what it has proposed stays."""
    await ruling.remove_rule(session, caller, rule_id)


@router.get("/rules/{rule_id}/evaluation", responses=problems(RuleNotFound, NoPrice))
async def evaluate_rule(rule_id: UUID, session: Session, _: TreasuryReader) -> Evaluation:
    """Say what a rule would propose now, with price, break-even and margin; nothing is written."""
    return await ruling.evaluation(session, rule_id)


@router.get("/proposals", response_model=Page[ProposalView])
async def list_proposals(
    page: PageQuery, session: Session, _: TreasuryReader, status: ProposalStatus | None = None
) -> object:
    """List proposals, the newest first."""
    return await proposing.list_proposals(session, page, status=status)


@router.post(
    "/proposals",
    status_code=201,
    response_model=ProposalView,
    responses=problems(
        RuleNotFound, RuleDisabled, NothingToPropose, NotEnoughHeld, WalletNotFound, WrongWallet,
        NoPrice, KeyReused, StillRunning,
    ),
)  # fmt: skip
async def add_proposal(
    body: NewProposal, session: Session, caller: TreasuryWriter, key: IdempotencyKey = None
) -> ProposalView | Response:
    """Propose what a rule advises now, or an amount. Nothing is sold by it."""
    return await once(
        session, IdempotencyRow, caller, route="add_proposal", key=key, body=body, status=201,
        run=lambda: proposing.propose(session, caller, body),
    )  # fmt: skip


@router.get("/proposals/{proposal_id}", responses=problems(ProposalNotFound))
async def get_proposal(proposal_id: UUID, session: Session, _: TreasuryReader) -> ProposalView:
    """Return a proposal, the grounds it was made on, and how far it has come."""
    return await proposing.one_proposal(session, proposal_id)


_DECIDING = problems(PersonsOnly, ProposalNotFound, WrongState, AlreadyDecided)


@router.post("/proposals/{proposal_id}/approve", responses=_DECIDING)
async def approve_proposal(
    proposal_id: UUID, session: Session, caller: TreasuryApprover, body: Verdict | None = None
) -> ProposalView:
    """Approve. Over the limit two different persons must, so its maker alone never suffices."""
    return await proposing.decide(session, caller, proposal_id, "approve", body or Verdict())


@router.post("/proposals/{proposal_id}/reject", responses=_DECIDING)
async def reject_proposal(
    proposal_id: UUID, session: Session, caller: TreasuryApprover, body: Verdict | None = None
) -> ProposalView:
    """Reject: one person suffices."""
    return await proposing.decide(session, caller, proposal_id, "reject", body or Verdict())


@router.post("/proposals/{proposal_id}/cancel", responses=problems(ProposalNotFound, WrongState))
async def cancel_proposal(
    proposal_id: UUID, session: Session, caller: TreasuryWriter, body: Verdict | None = None
) -> ProposalView:
    """Withdraw what is left of a proposal; what was filled stays booked."""
    return await proposing.cancel(session, caller, proposal_id, body or Verdict())


@router.get("/fills", response_model=Page[FillView])
async def list_fills(
    page: PageQuery, session: Session, _: TreasuryReader, proposal_id: UUID | None = None
) -> object:
    """List recorded sales with cost and profit, the newest first."""
    return await filling.list_fills(session, page, proposal_id=proposal_id)


@router.post(
    "/fills",
    status_code=201,
    response_model=FillView,
    responses={
        200: {"model": FillView, "description": "The transaction was recorded before"},
        **problems(
            ProposalNotFound,
            WrongState,
            OverFilled,
            NotEnoughHeld,
            LotsDoNotFit,
            FeeTooHigh,
            TransactionKnown,
            WalletNotFound,
            WrongWallet,
            KeyReused,
            StillRunning,
        ),
    },
)
async def record_fill(
    body: NewFill,
    response: Response,
    session: Session,
    caller: TreasuryWriter,
    key: IdempotencyKey = None,
) -> FillView | Response:
    """Record a sale that was made elsewhere, whole or in part, against an approved proposal.

    The lots give the cost by the organisation's cost basis; what was received after the sale is
    not sold by it. The same `txid` with the same figures answers 200 and changes nothing.
    """

    async def book() -> FillView:
        fill, is_new = await filling.record(session, caller, body)
        if not is_new:
            response.status_code = 200
        return fill

    return await once(
        session, IdempotencyRow, caller, route="record_fill", key=key, body=body, status=201,
        run=book,
    )  # fmt: skip


@router.get("/fills/{fill_id}", responses=problems(FillNotFound))
async def get_fill(fill_id: UUID, session: Session, _: TreasuryReader) -> FillView:
    """Return a recorded sale."""
    return await filling.one_fill(session, fill_id)


@router.get("/backtests", response_model=Page[BacktestSummary])
async def list_backtests(page: PageQuery, session: Session, _: TreasuryReader) -> object:
    """List back-tests, the newest first."""
    return await backtesting.list_backtests(session, page)


@router.post(
    "/backtests",
    status_code=201,
    responses={
        202: {"model": BacktestView, "description": "Long: done by a job, named by Location"},
        **problems(NoHistory, RuleNotFound),
    },
)
async def run_backtest(
    body: BacktestRequest, response: Response, session: Session, caller: TreasuryWriter
) -> BacktestView:
    """Try rules on the stored daily history, or on a series that is sent; by default every kind.

    Each decides on the closes up to a day and sells at the next day's close: it never looks ahead.
    Answers total return, worst drawdown, Sharpe, win rate, trades and fees of each.
    """
    made, by_job = await backtesting.start(session, caller, body)
    if by_job:
        response.status_code = 202
        response.headers["Location"] = f"/api/treasury/jobs/{made.job_id}"
    return made


@router.get("/backtests/{backtest_id}", responses=problems(BacktestNotFound))
async def get_backtest(backtest_id: UUID, session: Session, _: TreasuryReader) -> BacktestView:
    """Return a back-test; `report` is null while its job runs."""
    return await backtesting.one_backtest(session, backtest_id)
