"""Profit and loss: hashes at the quote of the day, less energy and a site's charges, in dollars.

A part that is not known makes the whole unknown: it is null and said, never 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.asking import Question
from energy.costs.daily import DaySum, client_days, days_of, machine_days
from energy.costs.lines import ZERO, Columns, Line, plus
from energy.costs.periods import UNRATED_NAME, by_period
from energy.costs.pricing import HALF_HOUR_S
from energy.costs.rating import breakdowns_between, reigns_of
from energy.costs.schemas import PeriodProfit, PeriodProfits, ProfitAndLoss, ProfitLine, QuoteOfDay
from energy.costs.series import series_of
from energy.costs.views import percent_of
from energy.costs.worth import DayWorth, notes_of, worth_of
from energy.currencies.reading import (
    Conversion,
    CurrencyUnknown,
    Rates,
    RateUnavailable,
    rates_between,
)
from energy.facts.models import Client, Miner, Site

By = Literal["machine", "client", "site"]
USD: Final = "USD"
_SATOSHI: Final = Decimal("1e-8")


@dataclass(slots=True)
class Money:
    """Turns amounts of other currencies into dollars by the day's reference rate."""

    rates: Rates
    used: dict[tuple[str, date | None], Conversion] = field(
        default_factory=dict[tuple[str, "date | None"], Conversion]
    )
    missing: set[str] = field(default_factory=set[str])

    def usd(self, amount: Decimal, currency: str | None, day: date) -> Decimal | None:
        """Return an amount in dollars, None where no reference rate is known."""
        if not amount:
            return ZERO
        if currency is None:
            return None
        try:
            conversion = self.rates.conversion(currency, USD, day)
        except (CurrencyUnknown, RateUnavailable):
            self.missing.add(currency)
            return None
        if currency != USD:
            self.used[currency, conversion.day] = conversion
        return conversion.of(amount)

    def said(self) -> list[dict[str, Any]]:
        """Return the rates that were used."""
        return [
            {
                "from": one.source_currency, "to": USD, "rate": str(one.rate), "day": str(one.day),
                "source": one.source, "simulated": one.simulated,
            }
            for _, one in sorted(self.used.items(), key=str)
        ]  # fmt: skip

    def notes(self) -> list[str]:
        """Return what is to be said of currencies."""
        return [
            f"No reference rate of {one} is known for some days." for one in sorted(self.missing)
        ]


async def money_for(
    session: AsyncSession, currencies: Iterable[str | None], first: date, last: date
) -> Money:
    """Return the reference rates that some currencies need."""
    others = {one for one in currencies if one not in {None, USD}}
    known = {one for one in others if one is not None}
    return Money(await rates_between(session, known, first, last) if known else Rates([]))


async def profit_and_loss(
    session: AsyncSession, asked: Question, by: By, *, page: int, limit: int
) -> ProfitAndLoss:
    """Return the lines of a span's days, the most profitable first."""
    first, last = asked.days()
    if by == "machine":
        lines, worths, money = await _machines(session, asked, first, last)
    else:
        lines, worths, money = await _groups(session, asked, by, first, last)
    order = sorted(lines, key=lambda one: _rank(one, lines[one]))[(page - 1) * limit : page * limit]
    names = await _names(session, by, order)
    chosen = [_shown(one, lines[one], names.get(one) or _unnamed(by)) for one in order]
    notes = [*notes_of(worths.values()), *money.notes(), *_unrated(lines.values())]
    return ProfitAndLoss(
        ok=True, by=by, first_day=first, last_day=last, items=chosen, count=len(chosen),
        total=len(lines), page=page, pages=-(-len(lines) // limit),
        quotes=[one.quote for one in worths.values()], conversions=money.said(), notes=notes,
        simulated=any(one.quote.simulated for one in worths.values()),
    )  # fmt: skip


def _unrated(lines: Iterable[Line]) -> list[str]:
    kwh = sum((one.unrated_kwh for one in lines), ZERO)
    return [f"For {kwh} kWh no tariff was in force: their cost is missing."] if kwh else []


async def _groups(
    session: AsyncSession, asked: Question, by: By, first: date, last: date
) -> tuple[dict[UUID | None, Line], dict[date, DayWorth], Money]:
    whole = by == "site" and asked.scope.whole_sites()
    read = days_of if whole or asked.scope.one_machine() else client_days
    days = await read(session, asked.scope, first, last)
    worths = await worth_of(session, (one.day for one in days))
    money = await money_for(session, (one.cost.currency for one in days), first, last)
    lines: dict[UUID | None, Line] = {}
    for one in days:
        key = one.site_id if by == "site" else one.client_id
        line = lines.setdefault(key, Line(fixed=ZERO if whole else None))
        _add_day(line, one, worths[one.day], money)
    return lines, worths, money


def _add_day(line: Line, one: DaySum, worth: DayWorth, money: Money) -> None:
    cost = one.cost
    line.kwh += cost.kwh
    line.unrated_kwh += cost.unrated_kwh
    line.th_h += cost.th_h
    line.told += cost.machine_half_hours
    line.unknown += cost.unknown_half_hours
    if cost.th_h:
        line.bitcoin = plus(line.bitcoin, worth.bitcoin(cost.th_h))
        line.revenue = plus(line.revenue, worth.usd(cost.th_h))
    energy = None if cost.unrated_kwh else money.usd(cost.energy_cost, cost.currency, one.day)
    line.energy = plus(line.energy, energy)
    fixed = cost.total_cost - cost.energy_cost
    if line.fixed is not None:
        line.fixed = plus(line.fixed, money.usd(fixed, cost.currency, one.day))


async def _machines(
    session: AsyncSession, asked: Question, first: date, last: date
) -> tuple[dict[UUID | None, Line], dict[date, DayWorth], Money]:
    days = await machine_days(session, asked.scope, first, last)
    worths = await worth_of(session, (one.day for one in days))
    money = await money_for(session, (one.currency for one in days), first, last)
    columns = Columns({miner: None for one in days for miner in one.miner_ids})
    for one in days:
        worth = worths[one.day]
        rate = money.usd(Decimal(1), one.currency, one.day)
        columns.add(one, worth.bitcoin(1.0), worth.usd(1.0), rate)
    lines: dict[UUID | None, Line] = {
        miner_id: line for miner_id, line in columns.lines() if _meant(asked, miner_id)
    }
    return lines, worths, money


def _meant(asked: Question, miner_id: UUID) -> bool:
    return not asked.scope.one_machine() or asked.scope.miner_id == miner_id


async def _names(
    session: AsyncSession, by: By, lines: Iterable[UUID | None]
) -> dict[UUID | None, str]:
    column: Any = {
        "machine": (Miner.id, Miner.serial_number), "client": (Client.id, Client.name),
        "site": (Site.id, Site.name),
    }[by]  # fmt: skip
    wanted = [one for one in lines if one is not None]
    rows = await session.execute(select(*column).where(column[0].in_(wanted)))
    return {row[0]: row[1] for row in rows}


def _unnamed(by: By) -> str:
    return {"machine": "Unknown machine", "client": "Own machines", "site": "No site"}[by]


def _rank(one: UUID | None, line: Line) -> tuple[bool, Decimal, str]:
    profit = line.profit()
    return profit is None, -(profit or ZERO), str(one)


def _shown(one: UUID | None, line: Line, name: str) -> ProfitLine:
    total, profit = line.total(), line.profit()
    known = line.told - line.unknown
    return ProfitLine(
        id=one,
        name=name,
        site_id=line.site_id,
        client_id=line.client_id,
        total_kwh=line.kwh,
        th_h=round(line.th_h, 6),
        bitcoin=bitcoin_text(line.bitcoin),
        revenue_usd=line.revenue,
        energy_cost_usd=line.energy,
        fixed_charges_usd=line.fixed,
        total_cost_usd=total,
        profit_usd=profit,
        margin_percent=percent_of(profit, line.revenue),
        break_even_usd_per_kwh=line.revenue / line.kwh if line.revenue and line.kwh else None,
        coverage_percent=Decimal(100 * known) / line.told if line.told else None,
        unrated_kwh=line.unrated_kwh,
    )


def bitcoin_text(amount: Decimal | None) -> str | None:
    """Return bitcoin at eight places."""
    return None if amount is None else f"{amount.quantize(_SATOSHI, ROUND_HALF_UP):f}"


async def profit_by_period(session: AsyncSession, asked: Question) -> PeriodProfits:
    """Return each tariff period's energy, its cost, and what was mined with it."""
    first, last = asked.days()
    span = int(asked.start.timestamp()), int(asked.end.timestamp()) + HALF_HOUR_S
    zones = {row.id: row.timezone for row in await session.execute(select(Site.id, Site.timezone))}
    totals: dict[tuple[str, str | None], Line] = {}
    days: set[date] = set()
    uses: list[tuple[tuple[str, str | None], Any]] = []
    for site_id, series in (await series_of(session, asked)).items():
        reigns = await reigns_of(session, site_id, *span)
        split = await breakdowns_between(session, site_id, asked.start, asked.end)
        found = by_period(series, reigns, split, zones.get(site_id, "UTC"))
        uses.extend(found.items())
        days.update(day for use in found.values() for day in use.th_h)
    worths = await worth_of(session, days)
    money = await money_for(session, (key[1] for key, _ in uses), first, last)
    own: dict[tuple[str, str | None], Decimal] = {}
    for key, use in uses:
        line = totals.setdefault(key, Line(fixed=None))
        own[key] = own.get(key, ZERO) + use.cost
        line.kwh += use.kwh
        for day, th_h in use.th_h.items():
            line.th_h += th_h
            line.bitcoin = plus(line.bitcoin, worths[day].bitcoin(th_h))
            line.revenue = plus(line.revenue, worths[day].usd(th_h))
        for day, cost in use.cost_by_day.items():
            usd = None if key[0] == UNRATED_NAME else money.usd(cost, key[1], day)
            line.energy = plus(line.energy, usd)
    periods = [_period(key, line, own[key]) for key, line in sorted(totals.items(), key=str)]
    notes = [*notes_of(worths.values()), *money.notes()]
    return PeriodProfits(
        ok=True, period_start=asked.start, period_end=asked.end, periods=periods,
        quotes=_quotes(worths), conversions=money.said(), notes=notes,
    )  # fmt: skip


def _quotes(worths: dict[date, DayWorth]) -> list[QuoteOfDay]:
    return [worths[day].quote for day in sorted(worths)]


def _period(key: tuple[str, str | None], line: Line, cost: Decimal) -> PeriodProfit:
    name, currency = key
    profit = line.profit()
    return PeriodProfit(
        name=name,
        currency=currency,
        total_kwh=line.kwh,
        th_h=round(line.th_h, 6),
        energy_cost_usd=cost if currency is not None else None,
        bitcoin=bitcoin_text(line.bitcoin),
        revenue_usd=line.revenue,
        profit_usd=profit,
        avg_rate_usd_per_kwh=cost / line.kwh if currency is not None and line.kwh else None,
        revenue_usd_per_kwh=line.revenue / line.kwh if line.revenue and line.kwh else None,
    )
