"""Gives advice on a site: from its tariff, its half-hours, its machines and the market."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Invalid
from energy.advice.classes import MachineClass, Verdict, losing, loss_usd_per_hour, verdict
from energy.advice.past import Past, peak_advice, shift_advice
from energy.advice.schemas import (
    Advice,
    AvoidWindow,
    ClassAdvice,
    DearWindow,
    QuoteUsed,
    TariffView,
)
from energy.advice.shaving import windows
from energy.costs.keeping import peaks_before
from energy.costs.packing import Ints
from energy.costs.pricing import HALF_HOUR_S, Reign
from energy.costs.rating import reigns_of
from energy.costs.reading import site_half_hours
from energy.currencies.reading import Conversion, conversion, unchanged
from energy.currencies.schemas import ConversionView
from energy.domain.schedule import half_hour_prices
from energy.domain.zone import YearMonth
from energy.facts.models import Miner, Quote, Site
from energy.facts.reading import latest_quote, model_named, site_of
from energy.savings.market import market_at
from energy.savings.worth import instants
from energy.usage.half_hours import span_of_days

_LONGEST_DAYS = 92
_DEAREST = 10
_PLACES = Decimal("0.000001")


class SpanUnusable(Invalid):
    title: ClassVar[str] = "The span cannot be judged"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which site, how far ahead, and which days of the past."""

    site_id: UUID
    days: int
    start_date: date | None
    end_date: date | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Money:
    """From the tariff's currency to dollars, and from dollars to what is shown."""

    to_usd: Conversion
    shown: Conversion
    direct: Conversion

    def of(self, amount: Decimal) -> Decimal:
        """Return an amount of the tariff's currency as it is shown."""
        return self.direct.of(amount)


@dataclass(frozen=True, eq=False, slots=True)
class Prices:
    """What a kWh costs in the half-hours to come, in dollars."""

    starts_s: Ints
    usd_per_kwh: Sequence[Decimal]
    unpriced: int


async def advise(session: AsyncSession, asked: Asked) -> Advice:
    """Return what could cost less at a site.

    Raises:
        SiteUnknown: there is no such site.
        SpanUnusable: the days are not over, out of order or too many.
        CurrencyUnknown: there is no such reference rate.
        RateUnavailable: it is not known yet.
    """
    site = await site_of(session, asked.site_id)
    at = now()
    first, last = _days(asked, at, site)
    coming = await _reigns(session, site, at, at + timedelta(days=asked.days))
    money = await _money(session, coming, asked.currency)
    prices = await asyncio.to_thread(_prices, coming, at, asked.days, money.to_usd)
    quote = await latest_quote(session, before=at)
    price = prices.usd_per_kwh[0] if _is_now(prices, at) else None
    verdicts = [
        verdict(
            one,
            None if quote is None else quote.hashprice_usd_per_ths_day,
            None if quote is None else quote.price_usd,
            price,
        )
        for one in await _classes(session, site.id)
    ]
    past = await _past(session, site, first, last, money)
    return Advice(
        site_id=site.id,
        timezone=site.timezone,
        at=at,
        currency=money.shown.currency,
        tariff=_tariff(coming),
        quote=_quote(quote),
        conversion=ConversionView.of(money.direct) if coming else None,
        classes=[_class(one, price, money.shown) for one in verdicts],
        hours_to_avoid=_to_avoid(prices, verdicts, money.shown),
        dearest_hours=_dearest(prices, money.shown),
        unpriced_half_hours=prices.unpriced,
        peak_shaving=await asyncio.to_thread(peak_advice, past, money.of, money.shown),
        shift=await asyncio.to_thread(shift_advice, past, money.of),
        simulated=past.simulated or bool(quote and quote.simulated) or money.direct.simulated,
    )


def _days(asked: Asked, at: datetime, site: Site) -> tuple[date, date]:
    """Return which days of the past are judged; without a wish, the last 30 that are over."""
    yesterday = at.astimezone(ZoneInfo(site.timezone)).date() - timedelta(days=1)
    last = asked.end_date or yesterday
    first = asked.start_date or last - timedelta(days=29)
    if not 0 <= (last - first).days < _LONGEST_DAYS:
        raise SpanUnusable(
            f"end_date lies on or after start_date, at most {_LONGEST_DAYS} days.",
            field="end_date",
        )
    if last > yesterday:
        raise SpanUnusable("Only days that are over can be judged.", field="end_date")
    return first, last


async def _reigns(session: AsyncSession, site: Site, start: datetime, end: datetime) -> list[Reign]:
    return await reigns_of(session, site.id, int(start.timestamp()), int(end.timestamp()))


async def _money(session: AsyncSession, coming: Sequence[Reign], wanted: str | None) -> Money:
    source = coming[0].rated.tariff.currency if coming else "USD"
    today = now().date()
    direct = await conversion(session, source, wanted or "USD", today)
    to_usd = await conversion(session, source, "USD", today) if coming else unchanged("USD")
    return Money(to_usd, await conversion(session, "USD", wanted, today), direct)


def _prices(reigns: Sequence[Reign], at: datetime, days: int, to_usd: Conversion) -> Prices:
    """Return the price of each half-hour to come that has one, and is in the first currency."""
    first = int(at.timestamp()) // HALF_HOUR_S * HALF_HOUR_S
    starts = first + HALF_HOUR_S * np.arange(days * 48, dtype=np.int64)
    found: list[tuple[int, Decimal]] = []
    for reign in reigns:
        tariff = reign.rated.tariff
        rows = starts[(starts + HALF_HOUR_S > reign.start_s) & (starts < reign.end_s)]
        rows = rows[reign.prices(rows)]
        if tariff.currency != to_usd.source_currency or not len(rows):
            continue
        nano = half_hour_prices(tariff, rows, reign.index).nano_per_kwh
        found.extend(
            (start, Decimal(price).scaleb(-9) * to_usd.rate)
            for start, price in zip(rows.tolist(), nano.tolist(), strict=True)
        )
    by_start = dict(sorted(found))
    rows = np.array(list(by_start), np.int64)
    return Prices(rows, list(by_start.values()), len(starts) - len(rows))


def _is_now(prices: Prices, at: datetime) -> bool:
    return len(prices.starts_s) > 0 and int(prices.starts_s[0]) <= at.timestamp()


async def _classes(session: AsyncSession, site_id: UUID) -> list[MachineClass]:
    """Return the models at a site: the mean of its machines' ratings, else the model's own."""
    rows = (
        await session.execute(
            select(Miner.model, Miner.nameplate_hashrate_ths, Miner.nameplate_power_w).where(
                Miner.site_id == site_id, Miner.removed.is_(False), Miner.status != "retired"
            )
        )
    ).all()
    found: list[MachineClass] = []
    for model, count in sorted(Counter(row.model for row in rows).items()):
        rated = [
            (hashrate_ths, power_w)
            for named, hashrate_ths, power_w in rows
            if named == model and hashrate_ths and power_w
        ]
        if rated:
            hashrate = _mean([one for one, _ in rated])
            power = _mean([one for _, one in rated])
        else:
            known = await model_named(session, model)
            hashrate = None if known is None else _mean([known.hashrate_ths])
            power = None if known is None else _mean([known.power_w])
        found.append(MachineClass(model or "unknown", count, hashrate, power))
    return found


def _mean(values: Sequence[float]) -> Decimal:
    return round(Decimal(repr(sum(values) / len(values))), 6)


async def _past(session: AsyncSession, site: Site, first: date, last: date, money: Money) -> Past:
    """Return the half-hours that are judged, with all of their months."""
    start, end = span_of_days(first, last, site.timezone)
    month_start, _ = span_of_days(first.replace(day=1), first, site.timezone)
    following = (last.replace(day=28) + timedelta(days=4)).replace(day=1)
    month_end, _ = span_of_days(following, following, site.timezone)
    until = min(month_end, now())
    used = await site_half_hours(session, site.id, month_start, until)
    reigns = await _reigns(session, site, month_start, max(until, end))
    market = await market_at(session, instants(used.starts_s))
    return Past(
        zone=site.timezone,
        first=first,
        last=last,
        start_s=int(start.timestamp()),
        end_s=int(end.timestamp()),
        used=used,
        peaks_kw=await peaks_before(session, site.id, YearMonth(following.year, following.month)),
        reigns=[
            reign for reign in reigns if reign.rated.tariff.currency == money.direct.source_currency
        ],
        market=market,
        simulated=any(used.simulated) or market.simulated(),
    )


def _tariff(coming: Sequence[Reign]) -> TariffView | None:
    if not coming:
        return None
    rated = coming[0].rated
    return TariffView(
        rate_id=rated.rate_id,
        rate_version=rated.version,
        rate_name=rated.name,
        currency=rated.tariff.currency,
    )


def _quote(quote: Quote | None) -> QuoteUsed | None:
    return None if quote is None else QuoteUsed.model_validate(quote, from_attributes=True)


def _class(one: Verdict, price: Decimal | None, shown: Conversion) -> ClassAdvice:
    return ClassAdvice(
        miner_model=one.machine_class.model,
        machines=one.machine_class.machines,
        hashrate_ths=one.machine_class.hashrate_ths,
        power_w=one.machine_class.power_w,
        efficiency_j_per_th=one.efficiency_j_per_th,
        break_even_usd_per_kwh=shown.of_known(one.break_even_usd_per_kwh),
        price_usd_per_kwh=shown.of_known(None if price is None else price.quantize(_PLACES)),
        margin_usd_per_kwh=shown.of_known(one.margin_usd_per_kwh),
        break_even_btc_price_usd=shown.of_known(one.break_even_btc_price_usd),
        state=one.state,
        reason=one.reason,
    )


def _to_avoid(prices: Prices, verdicts: Sequence[Verdict], shown: Conversion) -> list[AvoidWindow]:
    """Return the runs of half-hours of one price in which some class loses."""
    found: list[AvoidWindow] = []
    for first, last in _runs(prices):
        price = prices.usd_per_kwh[first]
        lost = losing(verdicts, price)
        if lost:
            start, end = _bounds(prices, first, last)
            hours = Decimal(last - first) / 2
            found.append(
                AvoidWindow(
                    starts_at=start,
                    ends_at=end,
                    price_usd_per_kwh=shown.of(price.quantize(_PLACES)),
                    losing_models=[one.machine_class.model for one in lost],
                    power_kw=sum((one.power_kw for one in lost), Decimal(0)),
                    loss_usd=shown.of(
                        (loss_usd_per_hour(verdicts, price) * hours).quantize(_PLACES)
                    ),
                )
            )
    return found


def _dearest(prices: Prices, shown: Conversion) -> list[DearWindow]:
    """Return the dearest hours to come, the earliest first; none where all cost the same."""
    if len(set(prices.usd_per_kwh)) < 2:  # noqa: PLR2004  (two prices make one the dearer)
        return []
    highest = max(prices.usd_per_kwh)
    runs = [run for run in _runs(prices) if prices.usd_per_kwh[run[0]] == highest]
    return [
        DearWindow(
            starts_at=_bounds(prices, *run)[0],
            ends_at=_bounds(prices, *run)[1],
            price_usd_per_kwh=shown.of(highest.quantize(_PLACES)),
        )
        for run in runs[:_DEAREST]
    ]


def _runs(prices: Prices) -> list[tuple[int, int]]:
    """Return runs of half-hours that follow each other at one price."""
    keys = [
        (price, start - place * HALF_HOUR_S)
        for place, (price, start) in enumerate(
            zip(prices.usd_per_kwh, prices.starts_s.tolist(), strict=True)
        )
    ]
    return windows(keys)


def _bounds(prices: Prices, first: int, last: int) -> tuple[datetime, datetime]:
    start, end = int(prices.starts_s[first]), int(prices.starts_s[last - 1]) + HALF_HOUR_S
    return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
