"""What was curtailed in a day, month or year, and whose it was."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.domain.wind import WIND
from energy.wind.models import BmUnit, CurtailmentRecord
from energy.wind_views.asking import NO_MODEL, Filter
from energy.wind_views.schemas import (
    DailySummary,
    DayTotal,
    LeadParties,
    LeadPartiesOfDay,
    LeadPartyDay,
    LeadPartyUnits,
    MonthlySummary,
    MonthTotal,
    YearlySummary,
)
from energy.wind_views.spans import Span, today
from energy.wind_views.sums import EnergyRow, Sum, Whole, sums_within, total, whole_of


async def daily_summary(session: AsyncSession, span: Span, wanted: Filter) -> DailySummary:
    """Return a day's curtailment."""
    whole, _, found = await _summed(session, span, wanted)
    return DailySummary(
        date=span.first,
        periods_complete=getattr(whole.energy, "periods_complete", 0),
        **_common(whole, found, wanted),
    )


async def monthly_summary(session: AsyncSession, span: Span, wanted: Filter) -> MonthlySummary:
    """Return a month's curtailment and its days'."""
    whole, parts, found = await _summed(session, span, wanted)
    return MonthlySummary(
        month=span.value,
        daily_totals=[
            DayTotal(
                date=date.fromisoformat(day),
                curtailed_energy_mwh=one.energy_mwh,
                payment_gbp=one.payment_gbp,
            )
            for day, one in parts.items()
        ],
        days_complete=whole.days_complete,
        days_missing=whole.days_missing,
        **_common(whole, found, wanted),
    )


async def yearly_summary(session: AsyncSession, span: Span, wanted: Filter) -> YearlySummary:
    """Return a year's curtailment and its months'."""
    whole, parts, found = await _summed(session, span, wanted)
    return YearlySummary(
        year=span.first.year,
        monthly_totals=[
            MonthTotal(
                month=month, curtailed_energy_mwh=one.energy_mwh, payment_gbp=one.payment_gbp
            )
            for month, one in parts.items()
        ],
        days_complete=whole.days_complete,
        days_missing=whole.days_missing,
        **_common(whole, found, wanted),
    )


async def _summed(
    session: AsyncSession, span: Span, wanted: Filter
) -> tuple[Whole, dict[str, Sum], Sum]:
    whole = await whole_of(session, span)
    parts = await sums_within(session, span, wanted, NO_MODEL)
    return whole, parts, whole.sum(wanted) if wanted.is_open else total(list(parts.values()))


def _common(whole: Whole, found: Sum, wanted: Filter) -> dict[str, Any]:
    return {
        "total_curtailed_energy_mwh": found.energy_mwh,
        "total_payment_gbp": found.payment_gbp,
        "lead_party": wanted.lead_party,
        "records": found.records,
        "is_complete": whole.is_complete,
        "simulated": whole.energy.simulated,
        **_generation(whole.energy if wanted.is_open else None),
    }


def _generation(energy: EnergyRow | None) -> dict[str, Decimal | None]:
    """Return what all the country's wind generated; one party's is not known by type."""
    return {
        "wind_generation_mwh": energy and energy.total_wind_generation,
        "wind_onshore_mwh": energy and energy.wind_onshore_generation,
        "wind_offshore_mwh": energy and energy.wind_offshore_generation,
    }


async def lead_parties(session: AsyncSession) -> LeadParties:
    """Return everybody who leads a wind unit today."""
    unit, day = BmUnit, today()
    rows = await session.execute(
        select(
            unit.lead_party_name,
            func.count(unit.bm_unit.distinct()),
            func.sum(unit.generation_capacity_mw),
        )
        .where(
            unit.fuel_type == WIND,
            unit.valid_from <= day,
            or_(unit.valid_to.is_(None), unit.valid_to > day),
        )
        .group_by(unit.lead_party_name)
        .order_by(unit.lead_party_name)
    )
    items = [
        LeadPartyUnits(lead_party=name, units=count, generation_capacity_mw=capacity)
        for name, count, capacity in rows
    ]
    return LeadParties(items=items)


async def lead_parties_of(session: AsyncSession, span: Span, wanted: Filter) -> LeadPartiesOfDay:
    """Return who was curtailed on a day, most energy first."""
    await whole_of(session, span)
    row = CurtailmentRecord
    energy = func.sum(-row.volume)
    rows = await session.execute(
        select(row.lead_party_name, func.count(row.farm_id.distinct()), energy, _paid())
        .where(row.settlement_date == span.first, *wanted.of_records())
        .group_by(row.lead_party_name)
        .order_by(energy.desc(), row.lead_party_name)
    )
    items = [
        LeadPartyDay(lead_party=name, units=units, curtailed_energy_mwh=mwh, payment_gbp=paid)
        for name, units, mwh, paid in rows
    ]
    return LeadPartiesOfDay(date=span.first, items=items)


def _paid() -> Any:
    return func.sum(CurtailmentRecord.payment)
