"""Sums of energy, payments and bitcoin over days, months and years, whole or of some farms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.wind.models import SettlementDay
from energy.wind.summary_models import (
    BitcoinDailySummary,
    BitcoinFarmDailySummary,
    BitcoinMonthlySummary,
    BitcoinRate,
    BitcoinYearlySummary,
    DailySummary,
    FarmDailySummary,
    MonthlySummary,
    YearlySummary,
)
from energy.wind_views.asking import Filter, NoWindData, require_known
from energy.wind_views.mining_schemas import BitcoinReason
from energy.wind_views.spans import Span, today

NOTHING = Decimal(0)
EnergyRow = DailySummary | MonthlySummary | YearlySummary
BitcoinRow = BitcoinDailySummary | BitcoinMonthlySummary | BitcoinYearlySummary


@dataclass(frozen=True, slots=True)
class Sum:
    """Energy with what was paid for it and what it would have mined."""

    energy_mwh: Decimal
    payment_gbp: Decimal
    bitcoin: Decimal | None
    records: int = 0


@dataclass(frozen=True, slots=True)
class FarmSum:
    """One farm's, under one lead party."""

    farm_id: str
    lead_party: str
    periods: int
    sum: Sum


@dataclass(frozen=True, slots=True)
class Whole:
    """What is known of a span as a whole, whoever is asked about."""

    span: Span
    energy: EnergyRow
    bitcoin: BitcoinRow | None
    days_complete: int
    days_missing: int
    bitcoin_reason: BitcoinReason | None
    has_simulated_epochs: bool

    @property
    def is_simulated(self) -> bool:
        """Return whether some of it comes from a simulated party."""
        return self.energy.simulated or self.has_simulated_epochs

    @property
    def is_complete(self) -> bool:
        """Return whether every settlement period so far was taken in."""
        if isinstance(self.energy, DailySummary):
            return self.energy.complete
        return self.days_missing == 0

    def sum(self, wanted: Filter) -> Sum:
        """Return the sum of everybody's."""
        return _sum(self.energy, self.bitcoin, any_flag=wanted.any_flag)


async def whole_of(session: AsyncSession, span: Span, model: str | None = None) -> Whole:
    """Return what is known of a span, and of a miner model in it.

    Raises:
        NoWindData: no day of it was ever taken in.
    """
    key = _key(span)
    energy = await session.get(_ENERGY[span.timeframe], key)
    if energy is None:
        raise NoWindData(f"No curtailment of {span.value} has been taken in.", timeframe=span.value)
    bitcoin = model and await session.get(_BITCOIN[span.timeframe], (key, model))
    complete = _days_complete(energy)
    return Whole(
        span=span,
        energy=energy,
        bitcoin=bitcoin or None,
        days_complete=complete,
        days_missing=max(0, _days_expected(span) - complete),
        bitcoin_reason=await _reason(session, span, bitcoin or None),
        has_simulated_epochs=bool(bitcoin) and await _has_simulated_epochs(session, span),
    )


async def _has_simulated_epochs(session: AsyncSession, span: Span) -> bool:
    rate = BitcoinRate
    found = await session.scalar(
        select(
            exists().where(
                rate.settlement_date.between(span.first, span.last), rate.simulated.is_(True)
            )
        )
    )
    return bool(found)


async def sums_within(
    session: AsyncSession, span: Span, wanted: Filter, model: str
) -> dict[str, Sum]:
    """Return the sums of the days of a day or month, or of the months of a year, in order.

    Every day or month that was taken in is there, also where those asked about had nothing.
    """
    table, mined, key, same = _parts(span)
    found = await session.execute(
        select(table, mined)
        .outerjoin(mined, same & (mined.miner_model == model))
        .where(key.between(*_range(span)))
        .order_by(key)
    )
    whole: dict[str, Sum] = {}
    for energy, bitcoin in found:
        name = str(energy.year_month if span.timeframe == "year" else energy.summary_date)
        whole[name] = _sum(energy, bitcoin, any_flag=wanted.any_flag)
    if wanted.is_open:
        return whole
    own = await _filtered(session, span, wanted, model)
    if not own:
        await require_known(session, wanted)
    return {name: own.get(name) or _none_of(everybody) for name, everybody in whole.items()}


def total(sums: Sequence[Sum]) -> Sum:
    """Return the sum of sums; bitcoin is null where none of them is known."""
    mined = [one.bitcoin for one in sums if one.bitcoin is not None]
    return Sum(
        sum((one.energy_mwh for one in sums), NOTHING),
        sum((one.payment_gbp for one in sums), NOTHING),
        sum(mined, NOTHING) if mined else None,
        sum(one.records for one in sums),
    )


async def sums_by_farm(
    session: AsyncSession, span: Span, wanted: Filter, model: str
) -> list[FarmSum]:
    """Return everyone who was curtailed, most bitcoin first (most energy, where none is known).

    Over days of several difficulties and subsidies, more energy need not be more bitcoin.
    A farm that changed its lead party in the span is there once for each.
    """
    farms = FarmDailySummary
    energy, _, bitcoin, _ = _own_columns(wanted)
    rows = await session.execute(
        _own(span, wanted, model, farms.farm_id, farms.lead_party_name, func.sum(farms.periods))
        .group_by(farms.farm_id, farms.lead_party_name)
        .having(energy > 0)
        .order_by(bitcoin.desc().nulls_last(), energy.desc(), farms.farm_id, farms.lead_party_name)
    )
    return [FarmSum(row[0], row[1], row[2], _own_sum(row[3:])) for row in rows]


async def _filtered(
    session: AsyncSession, span: Span, wanted: Filter, model: str
) -> dict[str, Sum]:
    day: Any = FarmDailySummary.summary_date
    part: Any = func.to_char(day, "YYYY-MM") if span.timeframe == "year" else day
    rows = await session.execute(_own(span, wanted, model, part).group_by(part))
    return {str(row[0]): _own_sum(row[1:]) for row in rows}


def _own(span: Span, wanted: Filter, model: str, *first: Any) -> Select[*tuple[Any, ...]]:
    """Return the query of sums over the farms' days; its groups are still to be told."""
    farms, mined = FarmDailySummary, BitcoinFarmDailySummary
    same = (
        (mined.summary_date == farms.summary_date)
        & (mined.farm_id == farms.farm_id)
        & (mined.miner_model == model)
        # The planner does not infer this from the days above, and would read every year.
        & mined.summary_date.between(span.first, span.last)
    )
    return (
        select(*first, *_own_columns(wanted))
        .outerjoin(mined, same)
        .where(farms.summary_date.between(span.first, span.last), *wanted.of_summaries())
    )


def _own_columns(wanted: Filter) -> tuple[Any, ...]:
    farms, mined = FarmDailySummary, BitcoinFarmDailySummary
    if wanted.any_flag:
        columns: tuple[Any, ...] = (
            farms.total_curtailed_energy_any,
            farms.total_payment_any,
            mined.bitcoin_mined_any,
            farms.records_any,
        )
    else:
        columns = (
            farms.total_curtailed_energy,
            farms.total_payment,
            mined.bitcoin_mined,
            farms.records,
        )
    return tuple(func.sum(column) for column in columns)


def _own_sum(rest: Sequence[Any]) -> Sum:
    energy, payment, bitcoin, records = rest
    return Sum(energy, payment, bitcoin, records)


def _none_of(everybody: Sum) -> Sum:
    """Return the sum of one who had nothing; nothing mines nothing, where mining is calculated."""
    return Sum(NOTHING, NOTHING, None if everybody.bitcoin is None else NOTHING)


def _sum(energy: EnergyRow, bitcoin: BitcoinRow | None, *, any_flag: bool) -> Sum:
    if any_flag:
        return Sum(
            energy.total_curtailed_energy_any,
            energy.total_payment_any,
            bitcoin and bitcoin.bitcoin_mined_any,
            energy.records_any,
        )
    return Sum(
        energy.total_curtailed_energy,
        energy.total_payment,
        bitcoin and bitcoin.bitcoin_mined,
        energy.records,
    )


_ENERGY: dict[str, type[EnergyRow]] = {
    "day": DailySummary,
    "month": MonthlySummary,
    "year": YearlySummary,
}
_BITCOIN: dict[str, type[BitcoinRow]] = {
    "day": BitcoinDailySummary,
    "month": BitcoinMonthlySummary,
    "year": BitcoinYearlySummary,
}


def _key(span: Span) -> date | str | int:
    if span.timeframe == "day":
        return span.first
    return span.value if span.timeframe == "month" else span.first.year


def _parts(span: Span) -> tuple[Any, Any, Any, Any]:
    """Return the tables of a span's parts, the column that names a part, and how they join."""
    if span.timeframe == "year":
        energy, mined = MonthlySummary, BitcoinMonthlySummary
        return energy, mined, energy.year_month, mined.year_month == energy.year_month
    days, mined_days = DailySummary, BitcoinDailySummary
    same = mined_days.summary_date == days.summary_date
    return days, mined_days, days.summary_date, same


def _range(span: Span) -> tuple[Any, Any]:
    if span.timeframe == "year":
        return f"{span.value}-01", f"{span.value}-12"
    return span.first, span.last


def _days_complete(energy: EnergyRow) -> int:
    return int(energy.complete) if isinstance(energy, DailySummary) else energy.days_complete


def _days_expected(span: Span) -> int:
    """Return the days of a span that are over."""
    return (min(span.last, today() - timedelta(days=1)) - span.first).days + 1


async def _reason(
    session: AsyncSession, span: Span, bitcoin: BitcoinRow | None
) -> BitcoinReason | None:
    if bitcoin is not None:
        is_short = await _lacks_some(session, span, bitcoin.miner_model)
        return "partly_calculated" if is_short else None
    day = SettlementDay
    is_unknown = await session.scalar(
        select(
            exists().where(
                day.settlement_date.between(span.first, span.last),
                day.bitcoin_status == "difficulty_unavailable",
            )
        )
    )
    return "difficulty_unavailable" if is_unknown else "not_calculated"


async def _lacks_some(session: AsyncSession, span: Span, model: str) -> bool:
    """Return whether a day of the span has periods whose bitcoin is not calculated."""
    energy, mined = DailySummary, BitcoinDailySummary
    same = (mined.summary_date == energy.summary_date) & (mined.miner_model == model)
    short = (
        select(energy.summary_date)
        .outerjoin(mined, same)
        .where(
            energy.summary_date.between(span.first, span.last),
            func.coalesce(mined.periods, 0) < energy.periods_complete,
        )
    )
    return bool(await session.scalar(select(short.exists())))
