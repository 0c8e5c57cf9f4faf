"""HTTP of what is held: settings, wallets and accounts, lots, runway."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from common.db import Session
from common.errors import BadRequest, Forbidden, problems
from common.idempotency import IdempotencyKey, KeyReused, StillRunning, once
from common.pages import Page, PageQuery
from common.runtime import RuntimeDep
from common.tabular import TooManyRows, Unreadable
from common.uploads import BadUpload, FileTooLarge, UnknownUpload, uploaded
from intelligence.auth import TreasuryApprover, TreasuryReader, TreasuryWriter
from intelligence.db import IdempotencyKey as IdempotencyRow
from intelligence.treasury import holdings, imports, receipts
from intelligence.treasury.holdings import (
    CostBasisInUse,
    WalletNameTaken,
    WalletNotEmpty,
    WalletNotFound,
    WrongWallet,
)
from intelligence.treasury.imports import PayoutsRefused
from intelligence.treasury.pools.payouts import PoolOff, PoolRefused, PoolUnavailable
from intelligence.treasury.receipts import LotInUse, LotKnown, LotNotFound, PriceUnknown
from intelligence.treasury.schemas import (
    HoldingsView,
    LotsImported,
    LotView,
    NewLot,
    NewWallet,
    PoolImport,
    RunwayView,
    SettingsChange,
    TreasurySettings,
    WalletChange,
    WalletView,
)
from intelligence.treasury.walls import OPERATORS_ONLY

router = APIRouter(
    prefix="/api/treasury",
    tags=["treasury"],
    dependencies=[OPERATORS_ONLY],
    responses=problems(Forbidden),
)
_FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.get("/settings")
async def get_treasury_settings(session: Session, caller: TreasuryReader) -> TreasurySettings:
    """Return what the organisation has settled: cost basis, limit, power bill, break-even."""
    settled = await holdings.settings_of(session, caller.organisation_id)
    return holdings.settings_view(settled)


@router.put("/settings", responses=problems(CostBasisInUse))
async def change_treasury_settings(
    body: SettingsChange, session: Session, caller: TreasuryApprover
) -> TreasurySettings:
    """Settle what the body names. Needs `treasury:approve`, as the limit guards approvals."""
    return await holdings.change_settings(session, caller, body)


@router.get("/wallets", response_model=Page[WalletView])
async def list_wallets(page: PageQuery, session: Session, _: TreasuryReader) -> object:
    """List wallets and cash accounts with what they hold, by name."""
    return await holdings.list_wallets(session, page)


@router.post("/wallets", status_code=201, responses=problems(WalletNameTaken))
async def add_wallet(body: NewWallet, session: Session, caller: TreasuryWriter) -> WalletView:
    """Add a wallet (onchain, exchange, pool) or a cash account."""
    return await holdings.add_wallet(session, caller, body)


@router.get("/wallets/{wallet_id}", responses=problems(WalletNotFound))
async def get_wallet(wallet_id: UUID, session: Session, _: TreasuryReader) -> WalletView:
    """Return a wallet or account."""
    return await holdings.one_wallet(session, wallet_id)


@router.patch(
    "/wallets/{wallet_id}",
    responses=problems(WalletNotFound, WalletNameTaken, WalletNotEmpty, WrongWallet),
)
async def change_wallet(
    wallet_id: UUID, body: WalletChange, session: Session, caller: TreasuryWriter
) -> WalletView:
    """Rename a wallet, state a cash account's balance, or put an empty one away."""
    return await holdings.change_wallet(session, caller, wallet_id, body)


@router.get("/lots", response_model=Page[LotView])
async def list_lots(
    page: PageQuery,
    session: Session,
    _: TreasuryReader,
    wallet_id: UUID | None = None,
    *,
    held: bool | None = None,
) -> object:
    """List lots, the newest first; of one wallet, or those that hold something, if asked."""
    return await receipts.list_lots(session, page, wallet_id=wallet_id, held=held)


@router.post(
    "/lots",
    status_code=201,
    response_model=LotView,
    responses=problems(
        WalletNotFound, WrongWallet, LotKnown, PriceUnknown, KeyReused, StillRunning
    ),
)
async def add_lot(
    body: NewLot, session: Session, caller: TreasuryWriter, key: IdempotencyKey = None
) -> LotView | Response:
    """Book bitcoin that was received. Its cost is what it was worth at that moment.

    Without a price the stored close of that UTC day counts, and within the last hour the quote;
    where neither is known the answer says so, and no price is made up.
    """
    return await once(
        session, IdempotencyRow, caller, route="add_lot", key=key, body=body, status=201,
        run=lambda: receipts.add_lot(session, caller, body),
    )  # fmt: skip


@router.get("/lots/summary")
async def get_holdings(session: Session, caller: TreasuryReader) -> HoldingsView:
    """Return all that is held and sold: cost, value, realised and unrealised profit and loss."""
    return await receipts.summary(session, caller.organisation_id)


@router.post(
    "/lots/import",
    status_code=201,
    responses={
        200: {"model": LotsImported, "description": "A dry run: nothing was written"},
        **problems(
            BadRequest,
            WalletNotFound,
            WrongWallet,
            FileTooLarge,
            TooManyRows,
            UnknownUpload,
            BadUpload,
            Unreadable,
            PayoutsRefused,
        ),
    },
    openapi_extra=_FILE,
)
async def import_lots(
    request: Request,
    response: Response,
    session: Session,
    caller: TreasuryWriter,
    wallet_id: Annotated[UUID, Query(description="Where the lots lie")],
    *,
    dry_run: bool = False,
    partial: bool = False,
) -> LotsImported:
    """Book the payouts of a CSV or xlsx file, all or (unless `partial`) none.

    The first line names the columns: `received_at, btc`, one of `txid, payout_id, reference`, and
    where wanted `price_usd, note`. A payout that is a lot already is left out and listed, so that
    the same file may be sent again.
    """
    content, _ = await uploaded(request)
    if dry_run:
        response.status_code = 200
    return await imports.import_file(
        session, caller, content, wallet_id=wallet_id, dry_run=dry_run, partial=partial
    )


@router.post(
    "/lots/import/pool",
    status_code=201,
    responses={
        200: {"model": LotsImported, "description": "A dry run: nothing was written"},
        **problems(WalletNotFound, WrongWallet, PoolRefused, PoolUnavailable, PoolOff),
    },
)
async def import_pool_payouts(
    body: PoolImport,
    response: Response,
    session: Session,
    runtime: RuntimeDep,
    caller: TreasuryWriter,
) -> LotsImported:
    """Ask a pool for its confirmed payouts and book those that are no lots yet."""
    if body.dry_run:
        response.status_code = 200
    return await imports.import_pool(session, runtime, caller, body)


@router.get("/lots/{lot_id}", responses=problems(LotNotFound))
async def get_lot(lot_id: UUID, session: Session, _: TreasuryReader) -> LotView:
    """Return a lot and what is left of it."""
    return await receipts.one_lot(session, lot_id)


@router.delete("/lots/{lot_id}", status_code=204, responses=problems(LotNotFound, LotInUse))
async def remove_lot(lot_id: UUID, session: Session, caller: TreasuryWriter) -> None:
    """Take back a lot that was booked by mistake, while nothing was sold from it."""
    await receipts.remove_lot(session, caller, lot_id)


@router.get("/runway")
async def get_runway(
    session: Session,
    caller: TreasuryReader,
    days: Annotated[
        int, Query(ge=1, le=365, description="How far ahead the 5 % price is read")
    ] = 30,
) -> RunwayView:
    """Return for how many days of power bills cash and bitcoin suffice, at market and worse.

    Worse is the 5 % price of the forecast band: undercut in one case out of twenty.

    What is not known is named in `missing`, never made up.
    """
    return await receipts.runway(session, caller.organisation_id, days)
