"""Lots: bitcoin received, at what price, and what it is worth by now."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.pages import PageRequest, page_of, paged
from intelligence.db import AuditEvent
from intelligence.domain.candles import INDEX, Interval
from intelligence.domain.lots import ZERO, Holding, average_cost_usd, money, worth
from intelligence.market.candles import bars
from intelligence.treasury.holdings import (
    cash_usd,
    cost_basis_of,
    lock_treasury,
    settings_of,
    wallet_of,
)
from intelligence.treasury.models import Fill, Lot
from intelligence.treasury.outlook import Price, days_paid, low_price, present_price
from intelligence.treasury.schemas import HoldingsView, LotView, NewLot, RunwayView

_HOUR = timedelta(hours=1)


class LotNotFound(NotFound):
    title: ClassVar[str] = "No such lot"


class LotKnown(Conflict):
    title: ClassVar[str] = "This payout is a lot already"


class LotInUse(Conflict):
    title: ClassVar[str] = "The lot has been sold from"


class PriceUnknown(Invalid):
    title: ClassVar[str] = "The price at receipt is not known"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The price of a bitcoin when it was received, and who said so."""

    usd: Decimal
    source: str
    simulated: bool


class ReceiptPrices:
    """Prices at receipt: the stored close of the day, or within the last hour the quote."""

    def __init__(self, closes: dict[datetime, Receipt], present: Price | None) -> None:
        self._closes = closes
        self._present = present

    @classmethod
    async def load(cls, session: AsyncSession, first: datetime | None = None) -> "ReceiptPrices":
        """Read the closes from the day of `first` on."""
        moment = now()
        days = 2 if first is None else max(2, (moment - first).days + 2)
        stored = await bars(session, venue=INDEX, interval=Interval.DAY, limit=min(days, 8000))
        closes = {
            bar.opened_at: Receipt(
                money(bar.close), f"close of {bar.opened_at:%Y-%m-%d}", bar.simulated
            )
            for bar in stored
        }
        return cls(closes, await present_price(session, moment))

    def at(self, received_at: datetime) -> Receipt | None:
        """Return the price at a moment, if it is known."""
        day = received_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if day in self._closes:
            return self._closes[day]
        quote = self._present
        if quote is None or abs(quote.at - received_at) > _HOUR:
            return None
        return Receipt(quote.usd, f"quote of {quote.source}", quote.simulated)


async def add_lot(session: AsyncSession, caller: Principal, body: NewLot) -> LotView:
    """Book bitcoin that was received.

    Raises:
        WalletNotFound: there is no such wallet.
        WrongWallet: it is an account, or put away.
        LotKnown: the payout is a lot already.
        PriceUnknown: no price was given, and none is stored for that day.
    """
    await lock_treasury(session, caller.organisation_id)
    await wallet_of(session, body.wallet_id, cash=False)
    if body.reference and await session.scalar(
        select(Lot.id).where(Lot.reference == body.reference)
    ):
        raise LotKnown(f"{body.reference} was booked before.", field="reference")
    given = body.price_usd
    prices = await ReceiptPrices.load(session, body.received_at) if given is None else None
    price = prices.at(body.received_at) if prices else Receipt(given or ZERO, "given", False)  # noqa: FBT003  (its own column)
    if price is None:
        raise PriceUnknown(
            f"No close of {body.received_at:%Y-%m-%d} is stored; give price_usd.",
            field="price_usd",
        )
    lot = lot_row(
        caller, wallet_id=body.wallet_id, received_at=body.received_at, btc=body.btc, price=price,
        source="manual", reference=body.reference, note=body.note,
    )  # fmt: skip
    session.add(lot)
    await session.flush()
    detail = {"btc": str(lot.btc), "price_usd": str(lot.price_usd), "wallet_id": str(lot.wallet_id)}
    await audit(
        session, AuditEvent, caller, action="treasury.lot.add", object_type="treasury-lot",
        object_id=lot.id, detail=detail,
    )  # fmt: skip
    return lot_view(lot, await present_price(session, now()))


def lot_row(
    caller: Principal,
    *,
    wallet_id: UUID,
    received_at: datetime,
    btc: Decimal,
    price: Receipt,
    source: str,
    reference: str | None,
    note: str | None = None,
) -> Lot:
    """Return the row of a new lot; its cost is what it was worth when it was received."""
    cost = worth(btc, price.usd)
    return Lot(
        organisation_id=caller.organisation_id,
        wallet_id=wallet_id,
        received_at=received_at,
        btc=btc,
        price_usd=price.usd,
        price_source=price.source,
        cost_usd=cost,
        remaining_btc=btc,
        remaining_cost_usd=cost,
        source=source,
        reference=reference,
        simulated=price.simulated,
        note=note,
        created_at=now(),
    )


async def remove_lot(session: AsyncSession, caller: Principal, lot_id: UUID) -> None:
    """Take back a lot that was booked by mistake.

    Raises:
        LotNotFound: there is none with this id.
        LotInUse: something was sold since; the books stand.
    """
    await lock_treasury(session, caller.organisation_id)
    lot = await session.get(Lot, lot_id, populate_existing=True)
    if lot is None:
        raise LotNotFound("There is no lot with this id.", field="lot_id")
    if lot.remaining_btc != lot.btc or lot.remaining_cost_usd != lot.cost_usd:
        raise LotInUse("Sales were booked on it; book a correction instead.")
    await session.delete(lot)
    await session.flush()
    detail = {"btc": str(lot.btc), "price_usd": str(lot.price_usd), "reference": lot.reference}
    await audit(
        session, AuditEvent, caller, action="treasury.lot.remove", object_type="treasury-lot",
        object_id=lot_id, detail=detail,
    )  # fmt: skip


async def one_lot(session: AsyncSession, lot_id: UUID) -> LotView:
    """Return one lot.

    Raises:
        LotNotFound: there is none with this id.
    """
    lot = await session.get(Lot, lot_id)
    if lot is None:
        raise LotNotFound("There is no lot with this id.", field="lot_id")
    return lot_view(lot, await present_price(session, now()))


async def list_lots(
    session: AsyncSession, page: PageRequest, *, wallet_id: UUID | None, held: bool | None
) -> dict[str, Any]:
    """Return one page of lots, the newest first."""
    query = select(Lot).order_by(Lot.received_at.desc(), Lot.id.desc())
    if wallet_id is not None:
        query = query.where(Lot.wallet_id == wallet_id)
    if held is not None:
        query = query.where(Lot.remaining_btc > 0 if held else Lot.remaining_btc == 0)
    rows, total = await paged(session, query, page)
    price = await present_price(session, now())
    return page_of([lot_view(row, price) for row in rows], total, page)


def lot_view(lot: Lot, price: Price | None) -> LotView:
    """Return a lot for an answer."""
    gain = None
    if price is not None:
        gain = worth(lot.remaining_btc, price.usd) - lot.remaining_cost_usd
    columns = {name: getattr(lot, name) for name in LotView.model_fields if hasattr(lot, name)}
    return LotView.model_validate(columns | {"unrealised_usd": gain})


async def holdings(
    session: AsyncSession, wallet_id: UUID | None = None, until: datetime | None = None
) -> list[Holding]:
    """Return what is left of every lot: of one wallet, and received by a moment, if given."""
    query = select(Lot).where(Lot.remaining_btc > 0)
    if wallet_id is not None:
        query = query.where(Lot.wallet_id == wallet_id)
    if until is not None:
        query = query.where(Lot.received_at <= until)
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return [
        Holding(row.id, row.received_at, row.remaining_btc, row.remaining_cost_usd) for row in rows
    ]


async def summary(session: AsyncSession, organisation_id: UUID) -> HoldingsView:
    """Return all that is held and all that was sold, with profit and loss."""
    moment = now()
    settled = await settings_of(session, organisation_id)
    price = await present_price(session, moment)
    lots, received = (
        await session.execute(select(func.count(Lot.id), func.coalesce(func.sum(Lot.btc), ZERO)))
    ).one()
    sold, proceeds, fees, realised = (
        await session.execute(
            select(
                func.coalesce(func.sum(Fill.btc), ZERO),
                func.coalesce(func.sum(Fill.proceeds_usd), ZERO),
                func.coalesce(func.sum(Fill.fee_usd), ZERO),
                func.coalesce(func.sum(Fill.realised_usd), ZERO),
            )
        )
    ).one()
    held = await holdings(session)
    btc, cost = sum((one.btc for one in held), ZERO), sum((one.cost_usd for one in held), ZERO)
    value = None if price is None else worth(btc, price.usd)
    return HoldingsView(
        cost_basis=cost_basis_of(settled),
        lots=lots,
        btc=btc,
        cost_usd=cost,
        average_cost_usd=average_cost_usd(held),
        price=price.view(moment) if price else None,
        market_value_usd=value,
        unrealised_usd=None if value is None else value - cost,
        sold_btc=sold,
        proceeds_usd=proceeds,
        fees_usd=fees,
        realised_usd=realised,
        received_btc=received,
    )


async def runway(session: AsyncSession, organisation_id: UUID, days: int) -> RunwayView:
    """Return for how many days of power the bitcoin and the cash suffice."""
    moment = now()
    settled = await settings_of(session, organisation_id)
    bill = settled.power_bill_usd_per_day if settled else None
    price, low = await present_price(session, moment), await low_price(session, days)
    btc = sum((one.btc for one in await holdings(session)), ZERO)
    cash = await cash_usd(session)
    given = {"power_bill_usd_per_day": bill, "price": price, "forecast": low}
    missing = [name for name, value in given.items() if value is None]

    def paid(amount: Decimal, at_usd: Decimal | None) -> float | None:
        if not bill or at_usd is None:
            return None
        return round(days_paid(amount, at_usd, cash, bill), 2)

    return RunwayView(
        btc=btc,
        cash_usd=cash,
        power_bill_usd_per_day=bill,
        price=price.view(moment) if price else None,
        low_price=low,
        days_of_cash=paid(ZERO, ZERO),
        days_at_market=paid(btc, price.usd if price else None),
        days_at_low_price=paid(btc, low.price_usd if low else None),
        missing=missing,
        reason=_runway_reason(missing, bill),
    )


def _runway_reason(missing: list[str], bill: Decimal | None) -> str:
    if bill is None:
        return (
            "The power bill is not known: metered cost (energy.cost) is not part of this "
            "installation yet; settle power_bill_usd_per_day at PUT /api/treasury/settings."
        )
    if bill == 0:
        return "There is no power bill, so nothing runs out."
    if missing:
        return f"Not known yet: {' and '.join(missing)}."
    return "Nothing that will be mined is counted, only what is held."
