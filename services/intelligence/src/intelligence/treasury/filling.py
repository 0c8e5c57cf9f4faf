"""Fills: sales that people made elsewhere, booked against a proposal and against lots."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.pages import PageRequest, page_of, paged
from intelligence.db import AuditEvent, Outbox
from intelligence.domain.lots import (
    CostBasis,
    NotEnough,
    Sale,
    WrongLots,
    realised_usd,
    sell,
    worth,
)
from intelligence.domain.proposals import after_fill
from intelligence.treasury.events import TreasuryFilled
from intelligence.treasury.holdings import cost_basis_of, lock_treasury, settings_of, wallet_of
from intelligence.treasury.models import Disposal, Fill, Lot, Proposal, Wallet
from intelligence.treasury.proposing import NotEnoughHeld, locked, move
from intelligence.treasury.receipts import holdings
from intelligence.treasury.selling_schemas import DisposalView, FillView, NewFill


class FillNotFound(NotFound):
    title: ClassVar[str] = "No such fill"


class OverFilled(Invalid):
    title: ClassVar[str] = "More was sold than was approved"


class LotsDoNotFit(Invalid):
    title: ClassVar[str] = "The lots do not make up this sale"


class FeeTooHigh(Invalid):
    title: ClassVar[str] = "The fee is more than the sale brought"


class TransactionKnown(Conflict):
    title: ClassVar[str] = "The transaction was booked with other figures"


async def record(session: AsyncSession, caller: Principal, body: NewFill) -> tuple[FillView, bool]:
    """Book a sale; with a transaction id that is booked already, return that (and False).

    Raises:
        ProposalNotFound: there is none with this id.
        WrongState: the proposal is not approved, or is closed.
        OverFilled: more than is left of the proposal.
        NotEnoughHeld: the lots held less at that time.
        LotsDoNotFit: the lots named are not the right ones for the cost basis.
        FeeTooHigh: the fee is more than the proceeds.
        TransactionKnown: the transaction id is booked with other figures.
        WalletNotFound, WrongWallet: there is no such account.
    """
    await lock_treasury(session, caller.organisation_id)
    proposal = await locked(session, body.proposal_id)
    known = await _known(session, body)
    if known is not None:
        return known, False
    account = None
    if body.account_id is not None:
        account = await wallet_of(session, body.account_id, cash=True, field="account_id")
    _require_room(proposal, body)
    moment = now()
    move(proposal, after_fill(proposal.filled_btc + body.btc, proposal.btc), moment)
    proposal.filled_btc += body.btc
    settled = await settings_of(session, caller.organisation_id)
    method = cost_basis_of(settled)
    sale = await _sale(session, proposal, body, method)
    fill = _fill(caller, proposal, body, sale, method=method, moment=moment)
    if account is not None:
        _credit(account, fill.proceeds_usd - fill.fee_usd, moment)
    session.add(fill)
    await session.flush()
    await _book(session, fill, sale)
    await _tell(session, caller, proposal, fill)
    taken = [_taken(one.lot_id, one.btc, one.cost_usd) for one in sale.taken]
    return _view(fill, taken), True


async def _known(session: AsyncSession, body: NewFill) -> FillView | None:
    if body.txid is None:
        return None
    fill = await session.scalar(select(Fill).where(Fill.txid == body.txid))
    if fill is None:
        return None
    booked = (fill.proposal_id, fill.btc, fill.price_usd, fill.fee_usd)
    if booked != (body.proposal_id, body.btc, body.price_usd, body.fee_usd):
        raise TransactionKnown(
            f"{body.txid} is fill {fill.id} with other figures.", field="txid", fill_id=str(fill.id)
        )
    return (await _views(session, [fill]))[0]


def _require_room(proposal: Proposal, body: NewFill) -> None:
    left = proposal.btc - proposal.filled_btc
    if body.btc > left:
        raise OverFilled(
            f"{left} BTC are left of the proposal.", field="btc", remaining_btc=f"{left:.8f}"
        )
    proceeds = worth(body.btc, body.price_usd)
    if body.fee_usd > proceeds:
        raise FeeTooHigh(f"The sale brought {proceeds} USD.", field="fee_usd")


async def _sale(
    session: AsyncSession, proposal: Proposal, body: NewFill, method: CostBasis
) -> Sale:
    # What came in after the sale cannot have been sold by it.
    held = await holdings(session, proposal.wallet_id, until=body.filled_at)
    chosen = {one.lot_id: one.btc for one in body.lots}
    try:
        return sell(held, body.btc, method, chosen)
    except NotEnough as error:
        raise NotEnoughHeld(
            f"{error.held_btc} BTC were held there at that time.",
            field="btc",
            held_btc=f"{error.held_btc:.8f}",
        ) from error
    except WrongLots as error:
        raise LotsDoNotFit(str(error), field="lots") from error


def _fill(
    caller: Principal,
    proposal: Proposal,
    body: NewFill,
    sale: Sale,
    *,
    method: CostBasis,
    moment: datetime,
) -> Fill:
    proceeds = worth(body.btc, body.price_usd)
    lowest = proposal.min_price_usd
    return Fill(
        organisation_id=caller.organisation_id,
        proposal_id=proposal.id,
        account_id=body.account_id,
        txid=body.txid,
        btc=body.btc,
        price_usd=body.price_usd,
        fee_usd=body.fee_usd,
        proceeds_usd=proceeds,
        cost_usd=sale.cost_usd,
        realised_usd=realised_usd(proceeds, body.fee_usd, sale.cost_usd),
        cost_basis=method,
        # It did happen, so it is booked; that it should not have is said.
        below_min_price=lowest is not None and body.price_usd < lowest,
        filled_at=body.filled_at,
        recorded_by=caller.subject,
        created_at=moment,
    )


def _credit(account: Wallet, net_usd: Decimal, at: datetime) -> None:
    account.balance_usd = (account.balance_usd or Decimal(0)) + net_usd
    account.balance_at = at


async def _book(session: AsyncSession, fill: Fill, sale: Sale) -> None:
    """Write what the sale took from each lot, and what every lot holds now."""
    for one in sale.taken:
        session.add(
            Disposal(
                organisation_id=fill.organisation_id,
                fill_id=fill.id,
                lot_id=one.lot_id,
                btc=one.btc,
                cost_usd=one.cost_usd,
            )
        )
    for left in sale.left:
        lot = await session.get_one(Lot, left.lot_id)
        lot.remaining_btc, lot.remaining_cost_usd = left.btc, left.cost_usd
    await session.flush()


async def _tell(session: AsyncSession, caller: Principal, proposal: Proposal, fill: Fill) -> None:
    session.add(
        Outbox.of(
            TreasuryFilled(
                organisation_id=fill.organisation_id,
                version=proposal.version,
                proposal_id=proposal.id,
                fill_id=fill.id,
                btc=fill.btc,
                price_usd=fill.price_usd,
                fee_usd=fill.fee_usd,
                proceeds_usd=fill.proceeds_usd,
                realised_usd=fill.realised_usd,
                filled_btc=proposal.filled_btc,
                status=proposal.status,
                filled_at=fill.filled_at,
            )
        )
    )
    detail = {
        "proposal_id": str(proposal.id),
        "btc": str(fill.btc),
        "price_usd": str(fill.price_usd),
        "realised_usd": str(fill.realised_usd),
        "below_min_price": fill.below_min_price,
    }
    await audit(
        session, AuditEvent, caller, action="treasury.fill", object_type="treasury-fill",
        object_id=fill.id, detail=detail,
    )  # fmt: skip


async def one_fill(session: AsyncSession, fill_id: UUID) -> FillView:
    """Return one fill.

    Raises:
        FillNotFound: there is none with this id.
    """
    fill = await session.get(Fill, fill_id)
    if fill is None:
        raise FillNotFound("There is no fill with this id.", field="fill_id")
    return (await _views(session, [fill]))[0]


async def list_fills(
    session: AsyncSession, page: PageRequest, *, proposal_id: UUID | None
) -> dict[str, Any]:
    """Return one page of fills, the newest first."""
    query = select(Fill).order_by(Fill.id.desc())
    if proposal_id is not None:
        query = query.where(Fill.proposal_id == proposal_id)
    rows, total = await paged(session, query, page)
    return page_of(await _views(session, rows), total, page)


async def _views(session: AsyncSession, fills: Sequence[Fill]) -> list[FillView]:
    taken: dict[UUID, list[DisposalView]] = {}
    query = select(Disposal).where(Disposal.fill_id.in_([fill.id for fill in fills]))
    for one in await session.scalars(query.order_by(Disposal.fill_id, Disposal.lot_id)):
        taken.setdefault(one.fill_id, []).append(_taken(one.lot_id, one.btc, one.cost_usd))
    return [_view(fill, taken.get(fill.id, [])) for fill in fills]


def _taken(lot_id: UUID, btc: Decimal, cost_usd: Decimal) -> DisposalView:
    return DisposalView(lot_id=lot_id, btc=btc, cost_usd=cost_usd)


def _view(fill: Fill, taken: list[DisposalView]) -> FillView:
    columns = {name: getattr(fill, name) for name in FillView.model_fields if hasattr(fill, name)}
    return FillView.model_validate(columns | {"disposals": taken})
