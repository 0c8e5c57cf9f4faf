"""What hashrate earns by the calculator's last quote, and what is left of it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from hosting.domain.expectation import age_s, earned, is_stale
from hosting.quotes.models import Quote
from hosting.quotes.schemas import Expected, QuoteView
from hosting.tariffs.prices import Load, cost_usd_per_day
from hosting.tariffs.schemas import TariffView

PAIR = "BTC/USD"
_PLACES = 6
"""Where a sum of floats stops being noise."""


async def latest_quote(session: AsyncSession) -> Quote | None:
    """Return the calculator's last quote of bitcoin, or None where none has been heard."""
    return await session.get(Quote, (PLATFORM_ORGANISATION, PAIR))


def quote_view(quote: Quote, now: datetime) -> QuoteView:
    """Return a quote as it stands now."""
    return QuoteView(
        pair=quote.pair,
        price_usd=quote.price_usd,
        at=quote.at,
        age_s=age_s(quote.at, now),
        source=quote.source,
        stale=is_stale(quote.published_at, now, was_stale=quote.stale),
        simulated=quote.simulated,
    )


def expected(
    hashrate_ths: float,
    loads: Sequence[Load],
    quote: Quote | None,
    now: datetime,
    *,
    tariff: TariffView | None = None,
) -> Expected:
    """Return what a rated hashrate earns and its power costs in a day.

    `tariff`: the one that all loads are priced by, where the caller may see it.
    """
    shown = quote and quote_view(quote, now)
    revenue = quote and earned(hashrate_ths, quote.hashprice_usd_per_ths_day)
    cost, no_price = cost_usd_per_day(loads)
    return Expected(
        basis="nameplate",
        hashrate_ths=hashrate_ths,
        power_w=round(sum(load.power_w for load in loads), _PLACES),
        btc_per_day=quote and earned(hashrate_ths, quote.hashprice_btc_per_ths_day),
        revenue_usd_per_day=revenue,
        cost_usd_per_day=cost,
        profit_usd_per_day=None if revenue is None or cost is None else revenue - cost,
        tariff=tariff,
        quote_at=shown and shown.at,
        quote_age_s=shown and shown.age_s,
        quote_source=shown and shown.source,
        stale=shown and shown.stale,
        simulated=shown and shown.simulated,
        reason=no_price if quote else "no_quote",
    )
