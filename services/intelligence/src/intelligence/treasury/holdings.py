"""Wallets, accounts and what is settled: the ground on which lots and proposals stand."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.pages import PageRequest, page_of, paged
from intelligence.db import AuditEvent
from intelligence.domain.lots import ZERO, CostBasis
from intelligence.treasury.models import Fill, Lot, TreasurySetting, Wallet
from intelligence.treasury.schemas import (
    NewWallet,
    SettingsChange,
    TreasurySettings,
    WalletChange,
    WalletView,
)

CASH = "cash"


class WalletNotFound(NotFound):
    title: ClassVar[str] = "No such wallet or account"


class WalletNameTaken(Conflict):
    title: ClassVar[str] = "The name of the wallet is taken"


class WrongWallet(Invalid):
    title: ClassVar[str] = "The wallet is not of the kind that this needs"


class WalletNotEmpty(Conflict):
    title: ClassVar[str] = "The wallet still holds bitcoin"


class CostBasisInUse(Conflict):
    title: ClassVar[str] = "The cost basis has been used for sales"


async def lock_treasury(session: AsyncSession, organisation_id: UUID) -> None:
    """Let nobody else move this organisation's bitcoin until the transaction ends."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:place, 7201604))"),
        {"place": str(organisation_id)},
    )


async def settings_of(session: AsyncSession, organisation_id: UUID) -> TreasurySetting | None:
    """Return what the organisation has settled, if anything."""
    return await session.get(TreasurySetting, organisation_id)


def cost_basis_of(settled: TreasurySetting | None) -> CostBasis:
    """Return the organisation's cost basis; FIFO until it chooses."""
    return CostBasis(settled.cost_basis) if settled else CostBasis.FIFO


def settings_view(settled: TreasurySetting | None) -> TreasurySettings:
    """Return what is settled, for an answer."""
    if settled is not None:
        return TreasurySettings.model_validate(settled)
    return TreasurySettings(
        cost_basis=CostBasis.FIFO,
        approval_limit_usd=None,
        power_bill_usd_per_day=None,
        btc_mined_per_day=None,
        hashrate_ths=None,
        break_even_usd_per_btc=None,
        updated_at=None,
    )


async def change_settings(
    session: AsyncSession, caller: Principal, body: SettingsChange
) -> TreasurySettings:
    """Settle what the body names.

    Raises:
        CostBasisInUse: there are sales, and the switch was not confirmed.
    """
    await lock_treasury(session, caller.organisation_id)
    settled = await settings_of(session, caller.organisation_id)
    if settled is None:
        settled = TreasurySetting(
            organisation_id=caller.organisation_id, cost_basis=CostBasis.FIFO.value
        )
        session.add(settled)
    changes = body.model_dump(exclude_unset=True)
    confirmed = changes.pop("confirm_cost_basis_switch", False)
    wanted = changes.pop("cost_basis", None) or CostBasis(settled.cost_basis)
    if wanted != settled.cost_basis and not confirmed and await _has_sold(session):
        raise CostBasisInUse(
            "Sales were booked with it. With confirm_cost_basis_switch they keep their cost, and "
            "what is held goes on at the cost it has now.",
            field="cost_basis",
        )
    before = _plain(settled, changes)
    settled.cost_basis = wanted
    for name, value in changes.items():
        setattr(settled, name, value)
    settled.updated_at = now()
    await session.flush()
    detail = {"before": before, "after": _plain(settled, changes), "cost_basis": str(wanted)}
    await audit(
        session, AuditEvent, caller, action="treasury.settle", object_type="treasury-settings",
        object_id=caller.organisation_id, detail=detail,
    )  # fmt: skip
    return settings_view(settled)


def _plain(settled: TreasurySetting, names: dict[str, Any]) -> dict[str, str | None]:
    values = {name: getattr(settled, name) for name in names}
    return {name: None if value is None else str(value) for name, value in values.items()}


async def _has_sold(session: AsyncSession) -> bool:
    return await session.scalar(select(Fill.id).limit(1)) is not None


async def add_wallet(session: AsyncSession, caller: Principal, body: NewWallet) -> WalletView:
    """Add a wallet or an account.

    Raises:
        WalletNameTaken: another has this name.
    """
    await lock_treasury(session, caller.organisation_id)
    await _require_free_name(session, body.name)
    moment = now()
    is_cash = body.kind == CASH
    wallet = Wallet(
        organisation_id=caller.organisation_id,
        name=body.name,
        kind=body.kind,
        address=body.address,
        balance_usd=(body.balance_usd or ZERO) if is_cash else None,
        balance_at=moment if is_cash else None,
        created_at=moment,
    )
    session.add(wallet)
    await session.flush()
    await _note(session, caller, "wallet.add", wallet.id, {"name": body.name, "kind": body.kind})
    return wallet_view(wallet, ZERO, ZERO)


async def change_wallet(
    session: AsyncSession, caller: Principal, wallet_id: UUID, body: WalletChange
) -> WalletView:
    """Rename a wallet, state an account's balance, or put one away.

    Raises:
        WalletNotFound: there is none with this id.
        WalletNameTaken: another has this name.
        WrongWallet: a balance was stated of a wallet.
        WalletNotEmpty: a wallet that holds bitcoin was to be put away.
    """
    await lock_treasury(session, caller.organisation_id)
    wallet = await wallet_of(session, wallet_id)
    if body.name is not None and body.name != wallet.name:
        await _require_free_name(session, body.name)
        wallet.name = body.name
    if body.balance_usd is not None:
        if wallet.kind != CASH:
            raise WrongWallet("A wallet's balance is that of its lots.", field="balance_usd")
        wallet.balance_usd, wallet.balance_at = body.balance_usd, now()
    if "address" in body.model_fields_set:
        wallet.address = body.address
    balances = await balances_of(session, [wallet.id])
    btc, cost = balances.get(wallet.id, (ZERO, ZERO))
    if body.archived is not None:
        if body.archived and btc > 0:
            raise WalletNotEmpty(f"It holds {btc} BTC; sell or correct that first.")
        wallet.archived = body.archived
    await session.flush()
    detail = body.model_dump(mode="json", exclude_unset=True)
    await _note(session, caller, "wallet.change", wallet.id, detail)
    return wallet_view(wallet, btc, cost)


async def _require_free_name(session: AsyncSession, name: str) -> None:
    if await session.scalar(select(Wallet.id).where(Wallet.name == name)):
        raise WalletNameTaken(f"{name} exists; choose another name.", field="name")


async def wallet_of(
    session: AsyncSession, wallet_id: UUID, *, cash: bool | None = None, field: str = "wallet_id"
) -> Wallet:
    """Return a wallet; with `cash` it must be an account (or must not be one).

    Raises:
        WalletNotFound: there is none with this id.
        WrongWallet: it is of the other kind, or put away.
    """
    wallet = await session.get(Wallet, wallet_id)
    if wallet is None:
        raise WalletNotFound("There is no wallet or account with this id.", field=field)
    if cash is not None and (wallet.kind == CASH) is not cash:
        needed = "a cash account" if cash else "a wallet that holds bitcoin"
        raise WrongWallet(f"{wallet.name} is not {needed}.", field=field)
    if cash is not None and wallet.archived:
        raise WrongWallet(f"{wallet.name} was put away.", field=field)
    return wallet


async def list_wallets(session: AsyncSession, page: PageRequest) -> dict[str, Any]:
    """Return one page of wallets and accounts, by name."""
    rows, total = await paged(session, select(Wallet).order_by(Wallet.name), page)
    balances = await balances_of(session, [row.id for row in rows])
    items = [wallet_view(row, *balances.get(row.id, (ZERO, ZERO))) for row in rows]
    return page_of(items, total, page)


async def one_wallet(session: AsyncSession, wallet_id: UUID) -> WalletView:
    """Return one wallet or account.

    Raises:
        WalletNotFound: there is none with this id.
    """
    wallet = await wallet_of(session, wallet_id)
    balances = await balances_of(session, [wallet_id])
    return wallet_view(wallet, *balances.get(wallet_id, (ZERO, ZERO)))


async def balances_of(
    session: AsyncSession, wallet_ids: Sequence[UUID]
) -> dict[UUID, tuple[Decimal, Decimal]]:
    """Return what each wallet holds: bitcoin, and what that had cost."""
    rows = await session.execute(
        select(Lot.wallet_id, func.sum(Lot.remaining_btc), func.sum(Lot.remaining_cost_usd))
        .where(Lot.wallet_id.in_(wallet_ids), Lot.remaining_btc > 0)
        .group_by(Lot.wallet_id)
    )
    return {wallet_id: (btc, cost) for wallet_id, btc, cost in rows}


async def cash_usd(session: AsyncSession) -> Decimal:
    """Return what all accounts hold together."""
    query = select(func.sum(Wallet.balance_usd)).where(~Wallet.archived)
    return await session.scalar(query) or ZERO


def wallet_view(wallet: Wallet, btc: Decimal, cost_usd: Decimal) -> WalletView:
    """Return a wallet for an answer."""
    return WalletView.model_validate(
        {
            "id": wallet.id,
            "name": wallet.name,
            "kind": wallet.kind,
            "address": wallet.address,
            "archived": wallet.archived,
            "btc": btc,
            "cost_usd": cost_usd,
            "balance_usd": wallet.balance_usd,
            "balance_at": wallet.balance_at,
            "created_at": wallet.created_at,
        }
    )


async def _note(
    session: AsyncSession, caller: Principal, action: str, wallet_id: UUID, detail: dict[str, Any]
) -> None:
    await audit(
        session, AuditEvent, caller, action=f"treasury.{action}", object_type="treasury-wallet",
        object_id=wallet_id, detail=detail,
    )  # fmt: skip
