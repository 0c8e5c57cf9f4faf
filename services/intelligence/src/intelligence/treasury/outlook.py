"""What the treasury knows of the market and of its own costs, each figure with its origin."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from intelligence.domain.lots import ZERO, money, worth
from intelligence.domain.price_band import five_percent_price
from intelligence.forecasts import reading
from intelligence.market.quotes import latest_quote
from intelligence.treasury.models import TreasurySetting
from intelligence.treasury.schemas import BreakEvenView, LowPriceView, PriceView

_FRESH_S = 900
_NO_COSTS = (
    "The fleet's metered energy cost (energy.cost) is not part of this installation yet; "
    "settle it at PUT /api/treasury/settings."
)
Source = Literal["given", "power_bill", "hashprice", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of one bitcoin, whose and when."""

    usd: Decimal
    source: str
    at: datetime
    stale: bool
    simulated: bool

    def view(self, moment: datetime) -> PriceView:
        """Return it for an answer, with its age."""
        return PriceView(
            price_usd=self.usd,
            source=self.source,
            at=self.at,
            age_s=max(0, int((moment - self.at).total_seconds())),
            stale=self.stale,
            simulated=self.simulated,
        )


async def present_price(session: AsyncSession, moment: datetime) -> Price | None:
    """Return the price of record, stale when it says so itself or is older than 15 minutes."""
    quote = await latest_quote(session)
    if quote is None:
        return None
    old = (moment - quote.at).total_seconds() > _FRESH_S
    return Price(
        usd=money(quote.price_usd),
        source=quote.source,
        at=quote.at,
        stale=quote.stale or old,
        simulated=quote.simulated,
    )


async def break_even(session: AsyncSession, settled: TreasurySetting | None) -> BreakEvenView:
    """Return the price at which a bitcoin pays its power, from what the organisation has settled.

    In this order: the figure that was given; the daily bill over the bitcoin mined a day; the
    daily bill over what the fleet's hashrate mines at the present hashprice in bitcoin. Power is
    the only cost in the last two.
    """
    given = settled.break_even_usd_per_btc if settled else None
    if given is not None:
        return _known(given, "given", "As given in the settings.")
    bill = settled.power_bill_usd_per_day if settled else None
    mined, source = await _mined_per_day(session, settled)
    missing = [
        name
        for name, value in (("power_bill_usd_per_day", bill), ("btc_mined_per_day", mined))
        if value is None
    ]
    if bill is None or mined is None:
        reason = f"Not known: {' and '.join(missing)}. {_NO_COSTS}"
        return BreakEvenView(usd_per_btc=None, source="unknown", reason=reason, missing=missing)
    if mined == 0:
        reason = "No bitcoin is mined, so no price of it pays the bill."
        return BreakEvenView(usd_per_btc=None, source="unknown", reason=reason, missing=[])
    reason = f"A power bill of {bill} USD a day over {mined:.8f} BTC mined a day; power only."
    return _known(money(bill / mined), source, reason)


def _known(usd_per_btc: Decimal, source: Source, reason: str) -> BreakEvenView:
    return BreakEvenView(usd_per_btc=usd_per_btc, source=source, reason=reason, missing=[])


async def _mined_per_day(
    session: AsyncSession, settled: TreasurySetting | None
) -> tuple[Decimal | None, Source]:
    if settled is None:
        return None, "unknown"
    if settled.btc_mined_per_day is not None:
        return settled.btc_mined_per_day, "power_bill"
    if settled.hashrate_ths is None:
        return None, "unknown"
    quote = await latest_quote(session)
    if quote is None or quote.hashprice_btc_per_ths_day is None:
        return None, "unknown"
    return settled.hashrate_ths * quote.hashprice_btc_per_ths_day, "hashprice"


async def low_price(session: AsyncSession, days: int) -> LowPriceView | None:
    """Return the forecast's 5 % price so many days ahead; None without a usable forecast."""
    forecast = await reading.latest(session, "btc-price")
    if forecast is None or not forecast.lower_95:
        return None
    step = min(days, forecast.horizon, len(forecast.lower_95))
    price = five_percent_price(
        forecast.lower_80[step - 1],
        forecast.upper_80[step - 1],
        forecast.lower_95[step - 1],
        forecast.upper_95[step - 1],
    )
    if price is None or price <= 0:
        return None
    reason = f"The price in {step} days is under this with a probability of 5 %."
    if step < days:
        reason = f"{reason} The forecast reaches no farther, {days} days were asked for."
    return LowPriceView(
        price_usd=price,
        days=step,
        forecast_at=forecast.at,
        method=forecast.method,
        simulated=forecast.simulated,
        reason=reason,
    )


def days_paid(btc: Decimal, price_usd: Decimal, cash_usd: Decimal, bill_usd: Decimal) -> float:
    """Return for how many daily bills bitcoin at a price, and cash, suffice."""
    if bill_usd <= ZERO:
        msg = "there is no bill"
        raise ValueError(msg)
    return float((worth(btc, price_usd) + cash_usd) / bill_usd)
