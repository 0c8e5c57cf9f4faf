"""Sums a span up: what was recorded, and what the machines would cost by their rating."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from energy.costs.adding import notes_on_missing
from energy.costs.asking import Question
from energy.costs.counting import counted, of_fleet, placed
from energy.costs.keeping import money
from energy.costs.models import ElectricityCost
from energy.costs.nameplate import MONTH_DAYS, estimate_of
from energy.costs.periods import UNRATED_NAME, by_period
from energy.costs.rating import breakdowns_between, reigns_of
from energy.costs.reading import HALF_HOUR, costs_between, month_charges
from energy.costs.schemas import Estimate, FixedCharges, Summary
from energy.costs.series import series_of
from energy.costs.sums import CostSum
from energy.costs.views import amounts_of, by_currency, percent_of


async def summarise(session: AsyncSession, asked: Question) -> Summary:
    """Return the sums of a span; daily and monthly cost of it, else by the machines' rating."""
    sums = by_currency((await costs_between(session, asked.scope, asked.start, asked.end)).values())
    rated = {currency: one for currency, one in sums.items() if currency is not None}
    whole = CostSum(None)
    for one in sums.values():
        whole = whole.plus(one)
    only = next(iter(rated.values())) if len(rated) == 1 else None
    days = await _recorded_days(session, asked)
    estimate, why_not = await estimate_of(session, asked)
    by_hand = await _notes_by_hand(session, asked)
    daily = None
    if only is not None and days:
        daily = await _monthly(session, asked, only, days) / MONTH_DAYS
    basis: Any = "recorded" if daily is not None else "nameplate" if estimate else None
    if estimate is not None:
        real = percent_of(daily, estimate.daily_cost_usd)
        same = only is not None and only.currency == estimate.currency
        estimate.real_to_estimated_percent = real if same else None
    shown = daily if daily is not None else estimate.daily_cost_usd if estimate else None
    amounts = amounts_of(only) if only is not None else None
    return Summary(
        ok=True,
        period_start=asked.start,
        period_end=asked.end,
        currency=_currency(only, estimate if basis == "nameplate" else None),
        total_cost_usd=amounts.total_cost_usd if amounts else None,
        total_kwh=whole.kwh,
        avg_rate_usd_per_kwh=amounts.avg_rate_usd_per_kwh if amounts else None,
        num_records=whole.records,
        tou_breakdown_usd=await _breakdown(session, asked, only.currency if only else None),
        energy_cost_usd=amounts.energy_cost_usd if amounts else None,
        service_charge_usd=amounts.service_charge_usd if amounts else None,
        demand_charge_usd=amounts.demand_charge_usd if amounts else None,
        other_charges_usd=amounts.other_charges_usd if amounts else None,
        taxes_usd=amounts.taxes_usd if amounts else None,
        unrated_kwh=whole.unrated_kwh,
        coverage_percent=whole.coverage_percent,
        estimated=basis == "nameplate",
        estimated_daily_cost_usd=shown,
        estimated_monthly_cost_usd=shown * MONTH_DAYS if shown is not None else None,
        estimate_basis=basis,
        estimate=estimate,
        by_currency=[amounts_of(one) for one in sums.values()],
        uniform_half_hours=whole.split_records,
        fixed_charges=_fixed(asked, by_hand),
        notes=[*_notes(whole, several=len(rated) > 1), *by_hand, *why_not],
        simulated=whole.simulated,
    )


async def _monthly(
    session: AsyncSession, asked: Question, recorded: CostSum, days: Decimal
) -> Decimal:
    """Return what thirty days like these cost, with a month's own charges once in them."""
    scope = asked.scope
    months = None
    if scope.whole_sites():
        months = await month_charges(session, scope, asked.start, asked.end)
    if months is None:
        return recorded.total_cost * MONTH_DAYS / days
    sums = by_currency(
        (await costs_between(session, scope, months.starts_at, months.ends_at)).values()
    )
    # Taxes stand in the months' charges, on all that was recorded of each.
    whole = sums.get(recorded.currency, recorded)
    untaxed = recorded.total_cost - recorded.taxes - months.inside
    base = whole.total_cost - whole.taxes
    taxed = 1 + whole.taxes / base if base else Decimal(1)
    return (untaxed * MONTH_DAYS / days + months.whole) * taxed


def _fixed(asked: Question, by_hand: Sequence[str]) -> FixedCharges:
    if not asked.scope.whole_sites():
        return "not of single machines and clients"
    return "not of records by hand" if by_hand else "included"


async def _notes_by_hand(session: AsyncSession, asked: Question) -> list[str]:
    """Return what whole sites' sums lack, as records by hand do not hold it."""
    if not asked.scope.whole_sites():
        return []
    table = ElectricityCost
    rows = await session.execute(
        select(table.rate_id, table.rate_version, of_fleet())
        .where(
            counted(asked.scope),
            *placed(asked.scope),
            table.source == "manual",
            table.period_start >= asked.start,
            table.period_start < asked.end,
        )
        .distinct()
    )
    return await notes_on_missing(session, [(row[0], row[1], row[2]) for row in rows])


def _currency(only: CostSum | None, estimate: Estimate | None) -> str | None:
    if only is not None:
        return only.currency
    return estimate.currency if estimate is not None else None


def _notes(whole: CostSum, *, several: bool) -> list[str]:
    notes: list[str] = []
    if whole.split_records:
        notes.append(
            f"The price changes inside {whole.split_records} half-hours; their energy was taken "
            "to be uniform."
        )
    if whole.unrated_kwh:
        notes.append(f"For {whole.unrated_kwh} kWh no tariff was in force: their cost is missing.")
    if whole.unknown_half_hours:
        notes.append(
            f"The energy of {whole.unknown_half_hours} machine half-hours is not known: it is "
            "missing from the sums."
        )
    if several:
        notes.append("There are several currencies: the amounts stand in by_currency.")
    return notes


async def _recorded_days(session: AsyncSession, asked: Question) -> Decimal:
    """Return over how many days of the span there are records, from the first to the last."""
    if _stored(asked):
        table = ElectricityCost
        row: Any = (
            await session.execute(
                select(func.min(table.period_start), func.max(table.period_end)).where(
                    counted(asked.scope),
                    *placed(asked.scope),
                    table.period_start >= asked.start,
                    table.period_start < asked.end,
                )
            )
        ).one()
        first, last = row[0], row[1]
    else:
        series = [one.starts_s for one in (await series_of(session, asked)).values()]
        seconds = [second for one in series for second in (int(one[0]), int(one[-1]) + 1800)]
        if not seconds:
            return Decimal(0)
        return Decimal(max(seconds) - min(seconds)) / 86_400
    if first is None or last is None:
        return Decimal(0)
    return Decimal(int((last - first).total_seconds())) / 86_400


def _stored(asked: Question) -> bool:
    """Return whether all that is asked for are stored records."""
    by_hand = asked.scope.one_machine() and asked.scope.miner_id is None
    return asked.scope.whole_sites() or by_hand


async def _breakdown(
    session: AsyncSession, asked: Question, currency: str | None
) -> dict[str, str]:
    """Return the energy cost by period, in the one currency."""
    if currency is None:
        return {}
    totals: dict[str, Decimal] = {}
    if _stored(asked):
        table = ElectricityCost
        part = func.jsonb_each_text(table.tou_breakdown_usd).table_valued("key", "value")
        rows = await session.execute(
            select(part.c.key, func.sum(part.c.value.cast(table.energy_cost_usd.type)))
            .select_from(table)
            .join(part, text("true"))
            .where(
                counted(asked.scope), *placed(asked.scope), table.currency == currency,
                table.period_start >= asked.start, table.period_start < asked.end,
            )
            .group_by(part.c.key)
        )  # fmt: skip
        totals = {str(row[0]): Decimal(row[1]) for row in rows}
    else:
        first, last = (int(one.timestamp()) for one in (asked.start, asked.end + HALF_HOUR))
        for site_id, series in (await series_of(session, asked)).items():
            reigns = await reigns_of(session, site_id, first, last)
            split = await breakdowns_between(session, site_id, asked.start, asked.end)
            for (name, held), use in by_period(series, reigns, split, str(asked.zone)).items():
                if held == currency and name != UNRATED_NAME:
                    totals[name] = totals.get(name, Decimal(0)) + use.cost
    return {name: money(amount) for name, amount in sorted(totals.items())}
