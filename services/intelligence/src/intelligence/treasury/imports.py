"""Payouts become lots: from a file, or from a pool. A payout that is a lot already stays one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, assert_never
from uuid import UUID

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Invalid
from common.ids import new_id
from common.runtime import Runtime
from common.tabular import RowError, parse_rows, read_table
from intelligence.db import AuditEvent
from intelligence.domain.lots import ZERO
from intelligence.settings import Settings
from intelligence.treasury.amounts import BtcIn, PriceIn, TimePassed
from intelligence.treasury.holdings import lock_treasury, wallet_of
from intelligence.treasury.models import Lot
from intelligence.treasury.pools import braiins
from intelligence.treasury.pools.payouts import Payouts
from intelligence.treasury.receipts import Receipt, ReceiptPrices, lot_row
from intelligence.treasury.schemas import ImportRow, LotsImported, Note, PoolImport, Reference

_ROWS_AT_ONCE = 1000
_ERRORS_SHOWN = 200


class PayoutsRefused(Invalid):
    title: ClassVar[str] = "Rows of the file cannot be imported"


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    received_at: TimePassed
    btc: BtcIn
    price_usd: PriceIn | None = None
    reference: Reference = Field(validation_alias=AliasChoices("reference", "txid", "payout_id"))
    note: Note = None


@dataclass(frozen=True, slots=True)
class _Received:
    """One payout, wherever it comes from."""

    row: int
    reference: str
    received_at: datetime
    btc: Decimal
    price_usd: Decimal | None = None
    note: str | None = None


@dataclass(slots=True)
class _Sorted:
    """The payouts that become lots, and those that do not."""

    lots: list[Lot] = field(default_factory=list[Lot])
    duplicates: list[int] = field(default_factory=list[int])
    errors: list[ImportRow] = field(default_factory=list[ImportRow])


async def import_file(
    session: AsyncSession,
    caller: Principal,
    content: bytes,
    *,
    wallet_id: UUID,
    dry_run: bool,
    partial: bool,
) -> LotsImported:
    """Book the payouts of a CSV or xlsx file, all or (unless `partial`) none.

    Raises:
        PayoutsRefused: rows are wrong, and neither `partial` nor `dry_run` was asked for.
        WalletNotFound, WrongWallet: the lots cannot lie there.
        Unreadable, TooManyRows: the file is no table, or too large.
    """
    good, bad = parse_rows(read_table(content, required=["received_at", "btc"]), _Line)
    received = [
        _Received(row, one.reference, one.received_at, one.btc, one.price_usd, one.note)
        for row, one in good
    ]
    await lock_treasury(session, caller.organisation_id)
    await wallet_of(session, wallet_id, cash=False)
    found = await _sort(session, caller, received, wallet_id=wallet_id, source="csv")
    found.errors.extend(map(_row_error, bad))
    found.errors.sort(key=lambda error: error.row)
    rows = len({row for row, _ in good} | {error.row for error in bad})
    if found.errors and not partial and not dry_run:
        shown = [
            {"pointer": f"/rows/{one.row}/{one.column or ''}", "detail": one.detail, "code": "row"}
            for one in found.errors[:_ERRORS_SHOWN]
        ]
        raise PayoutsRefused(
            f"{len(found.errors)} faults in {rows} rows; nothing was imported. Correct them, or "
            "import the rest with partial=true.",
            errors=shown,
        )
    return await _book(session, caller, found, rows=rows, dry_run=dry_run, wallet_id=wallet_id)


async def import_pool(
    session: AsyncSession, runtime: Runtime, caller: Principal, body: PoolImport
) -> LotsImported:
    """Book the payouts that a pool has confirmed.

    Raises:
        WalletNotFound, WrongWallet: the lots cannot lie there.
        PoolRefused, PoolUnavailable, PoolOff: the pool gives nothing.
    """
    await wallet_of(session, body.wallet_id, cash=False)
    asked = await _ask(runtime, body)
    received = [_Received(one.place, one.reference, one.received_at, one.btc) for one in asked.good]
    await lock_treasury(session, caller.organisation_id)
    found = await _sort(
        session, caller, received, wallet_id=body.wallet_id, source="pool",
        simulated=asked.simulated,
    )  # fmt: skip
    found.errors.extend(
        ImportRow(row=one.place, column=None, detail=one.detail) for one in asked.bad
    )
    found.errors.sort(key=lambda error: error.row)
    return await _book(
        session, caller, found, rows=len(asked.good) + len(asked.bad), dry_run=body.dry_run,
        wallet_id=body.wallet_id,
    )  # fmt: skip


async def _ask(runtime: Runtime, body: PoolImport) -> Payouts:
    settings = runtime.settings
    assert isinstance(settings, Settings)
    token = body.token.get_secret_value()
    match body.pool:
        case "braiins":
            return await braiins.payouts(
                settings.braiins_pool_url, token, since=body.since, until=now()
            )
        case _:
            assert_never(body.pool)


async def _sort(
    session: AsyncSession,
    caller: Principal,
    received: Sequence[_Received],
    *,
    wallet_id: UUID,
    source: str,
    simulated: bool = False,
) -> _Sorted:
    known = await _known(session, [one.reference for one in received])
    first = min((one.received_at for one in received if one.price_usd is None), default=None)
    prices = await ReceiptPrices.load(session, first)
    found = _Sorted()
    for one in received:
        booked = known.get(one.reference)
        if booked is not None:
            if booked == one.btc:
                found.duplicates.append(one.row)
            else:
                detail = f"{one.reference} is a lot of {booked} BTC already"
                found.errors.append(ImportRow(row=one.row, column="reference", detail=detail))
            continue
        price = _price(one, prices)
        if price is None:
            detail = f"no close of {one.received_at:%Y-%m-%d} is stored; give price_usd"
            found.errors.append(ImportRow(row=one.row, column="price_usd", detail=detail))
            continue
        known[one.reference] = one.btc
        lot = lot_row(
            caller, wallet_id=wallet_id, received_at=one.received_at, btc=one.btc, price=price,
            source=source, reference=one.reference, note=one.note,
        )  # fmt: skip
        lot.simulated = lot.simulated or simulated
        found.lots.append(lot)
    return found


def _price(one: _Received, prices: ReceiptPrices) -> Receipt | None:
    if one.price_usd is not None:
        return Receipt(one.price_usd, "given", simulated=False)
    return prices.at(one.received_at)


async def _known(session: AsyncSession, references: Sequence[str]) -> dict[str, Decimal]:
    known: dict[str, Decimal] = {}
    for start in range(0, len(references), _ROWS_AT_ONCE):
        some = references[start : start + _ROWS_AT_ONCE]
        rows = await session.execute(select(Lot.reference, Lot.btc).where(Lot.reference.in_(some)))
        known |= {reference: btc for reference, btc in rows if reference is not None}
    return known


def _row_error(error: RowError) -> ImportRow:
    return ImportRow(row=error.row, column=error.column, detail=error.detail)


async def _book(
    session: AsyncSession,
    caller: Principal,
    found: _Sorted,
    *,
    rows: int,
    dry_run: bool,
    wallet_id: UUID,
) -> LotsImported:
    btc = sum((lot.btc for lot in found.lots), ZERO)
    if not dry_run and found.lots:
        for some in _pieces(found.lots):
            await session.execute(insert(Lot), [_columns(lot) for lot in some])
        detail = {"lots": len(found.lots), "btc": str(btc), "source": found.lots[0].source}
        await audit(
            session, AuditEvent, caller, action="treasury.lot.import",
            object_type="treasury-wallet", object_id=wallet_id, detail=detail,
        )  # fmt: skip
    return LotsImported(
        dry_run=dry_run,
        rows=rows,
        imported=len(found.lots),
        imported_btc=btc,
        duplicates=found.duplicates,
        errors=found.errors[:_ERRORS_SHOWN],
        simulated=any(lot.simulated for lot in found.lots),
    )


def _pieces(lots: Sequence[Lot]) -> Iterable[Sequence[Lot]]:
    return (lots[start : start + _ROWS_AT_ONCE] for start in range(0, len(lots), _ROWS_AT_ONCE))


def _columns(lot: Lot) -> dict[str, Any]:
    names = (column.key for column in Lot.__table__.columns)
    columns: dict[str, Any] = {name: getattr(lot, name) for name in names}
    columns["id"] = new_id()
    return columns
