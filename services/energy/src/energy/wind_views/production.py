"""What wind farms meant to generate, and how much of it was turned down."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.errors import Invalid
from energy.domain.settlement import NoSuchPeriod, Period, period_start, periods_of
from energy.domain.wind import WIND
from energy.wind.models import BmUnit, CurtailmentRecord, WindOutput
from energy.wind.summary_models import DailySummary
from energy.wind_views.asking import Filter, NoWindData, UnknownFarm, UnknownLeadParty
from energy.wind_views.figures import percent
from energy.wind_views.hours import states_of
from energy.wind_views.production_schemas import (
    CurtailmentShare,
    Notifications,
    PeriodOutput,
    ShareReason,
    UnitOutput,
)
from energy.wind_views.spans import Span
from energy.wind_views.sums import NOTHING


@dataclass(frozen=True, slots=True)
class Output:
    """One unit's half-hour: meant, metered and turned down; None is not known."""

    farm_id: str
    period: int
    notified: Decimal | None
    metered: Decimal | None
    curtailed: Decimal | None
    simulated: bool


async def notifications(
    session: AsyncSession, span: Span, number: int, wanted: Filter
) -> Notifications:
    """Return what the units meant to generate in a period, largest first.

    Raises:
        Invalid: the day has no period of this number.
        NoWindData: no notification of the period is known.
    """
    try:
        start = period_start(span.first, number)
    except NoSuchPeriod as error:
        raise Invalid(f"{error}.", field="period") from error
    units = await _units_on(session, span.first)
    asked_for = [
        name
        for name, unit in units.items()
        if wanted.lead_party in (None, unit.lead_party_name)
        and wanted.farm_id in (None, unit.bm_unit)
    ]
    rows = await _outputs(session, span.first, asked_for, wanted, only=number)
    known = [row for row in rows if row.notified is not None or row.metered is not None]
    if not known:
        raise NoWindData(
            f"No physical notification of {span.value}, period {number}, has been taken in."
        )
    rows.sort(key=lambda row: (-(row.notified or NOTHING), row.farm_id))
    return Notifications(
        date=span.first,
        settlement_period=number,
        starts_at=start,
        lead_party=wanted.lead_party,
        simulated=any(row.simulated for row in known),
        items=[_unit_output(row, units[row.farm_id]) for row in rows],
    )


def _unit_output(row: Output, unit: BmUnit) -> UnitOutput:
    return UnitOutput(
        farm_id=row.farm_id,
        farm_name=unit.farm_name,
        lead_party=unit.lead_party_name,
        notified_mwh=row.notified,
        metered_mwh=row.metered,
        curtailed_energy_mwh=row.curtailed,
        curtailment_percent=percent(row.curtailed, row.notified),
    )


async def curtailment_of_farm(
    session: AsyncSession, farm_id: str, span: Span, wanted: Filter
) -> CurtailmentShare:
    """Return how much of what one unit meant to generate was turned down.

    Raises:
        UnknownFarm: there is no such unit.
    """
    units = await _units_on(session, span.first)
    unit = units.get(farm_id)
    if unit is None:
        raise UnknownFarm(f"No wind unit was called {farm_id!r} on {span.value}.")
    found = await _curtailment(session, span, [farm_id], wanted)
    return found.model_copy(
        update={
            "farm_id": farm_id,
            "farm_name": unit.farm_name,
            "lead_party": unit.lead_party_name,
        }
    )


async def curtailment_of_party(
    session: AsyncSession, lead_party: str, span: Span, wanted: Filter
) -> CurtailmentShare:
    """Return how much of what a lead party's units meant to generate was turned down.

    Raises:
        UnknownLeadParty: no wind unit was its own on that day.
    """
    units = await _units_on(session, span.first)
    own = [name for name, unit in units.items() if unit.lead_party_name == lead_party]
    if not own:
        raise UnknownLeadParty(f"No wind unit had the lead party {lead_party!r} on {span.value}.")
    found = await _curtailment(session, span, own, wanted)
    return found.model_copy(update={"lead_party": lead_party})


async def _curtailment(
    session: AsyncSession, span: Span, units: Sequence[str], wanted: Filter
) -> CurtailmentShare:
    day = await session.get(DailySummary, span.first)
    if day is None:
        raise NoWindData(f"No curtailment of {span.value} has been taken in.")
    rows = await _outputs(session, span.first, units, wanted)
    notified, share = _shares(rows)
    by_period: dict[int, list[Output]] = {}
    for row in rows:
        by_period.setdefault(row.period, []).append(row)
    complete = await states_of(session, span.first)
    return CurtailmentShare(
        date=span.first,
        lead_party=None,
        farm_id=None,
        farm_name=None,
        units=len(units),
        curtailed_energy_mwh=_sum(row.curtailed for row in rows) or NOTHING,
        notified_mwh=notified,
        metered_mwh=_sum(row.metered for row in rows),
        curtailment_percent=share,
        periods_known=len({row.period for row in rows if row.notified is not None}),
        reason=_reason(notified),
        is_complete=day.complete,
        simulated=any(row.simulated for row in rows),
        items=[
            _period_output(one, by_period.get(one.number, []), is_complete=one.number in complete)
            for one in periods_of(span.first)
        ],
    )


def _reason(notified: Decimal | None) -> ShareReason | None:
    if notified is None:
        return "no_notifications"
    return None if notified else "nothing_notified"


def _period_output(period: Period, rows: list[Output], *, is_complete: bool) -> PeriodOutput:
    notified, share = _shares(rows)
    curtailed = _sum(row.curtailed for row in rows)
    return PeriodOutput(
        settlement_period=period.number,
        starts_at=period.start,
        notified_mwh=notified,
        metered_mwh=_sum(row.metered for row in rows),
        curtailed_energy_mwh=NOTHING if curtailed is None and is_complete else curtailed,
        curtailment_percent=share,
    )


def _shares(rows: Iterable[Output]) -> tuple[Decimal | None, Decimal | None]:
    """Return the notified energy, and the percentage of it that was turned down.

    Only half-hours of which both are known make the percentage: what was turned down of an
    unknown whole is no share of another one.
    """
    told = [row for row in rows if row.notified is not None]
    both = [row for row in told if row.curtailed is not None]
    share = percent(_sum(row.curtailed for row in both), _sum(row.notified for row in both))
    return _sum(row.notified for row in told), share


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, NOTHING) if known else None


async def _units_on(session: AsyncSession, day: date) -> dict[str, BmUnit]:
    unit = BmUnit
    found = await session.scalars(
        select(unit).where(
            unit.fuel_type == WIND,
            unit.valid_from <= day,
            or_(unit.valid_to.is_(None), unit.valid_to > day),
        )
    )
    return {one.bm_unit: one for one in found}


async def _outputs(
    session: AsyncSession,
    day: date,
    units: Sequence[str],
    wanted: Filter,
    only: int | None = None,
) -> list[Output]:
    """Return the units' half-hours of which anything is known."""
    row = WindOutput
    told = await session.scalars(
        select(row).where(
            row.settlement_date == day,
            row.farm_id.in_(units),
            *([] if only is None else [row.settlement_period == only]),
        )
    )
    outputs = {(one.settlement_period, one.farm_id): one for one in told}
    curtailed = await _curtailed(session, day, units, wanted)
    complete = await states_of(session, day)
    keys = [key for key in {*outputs, *curtailed} if only in (None, key[0])]
    found: list[Output] = []
    for period, farm in sorted(keys):
        one = outputs.get((period, farm))
        found.append(
            Output(
                farm_id=farm,
                period=period,
                notified=one and one.notified_mwh,
                metered=one and one.metered_mwh,
                curtailed=curtailed.get((period, farm), NOTHING) if period in complete else None,
                simulated=one is not None and one.simulated,
            )
        )
    return found


async def _curtailed(
    session: AsyncSession, day: date, units: Sequence[str], wanted: Filter
) -> dict[tuple[int, str], Decimal]:
    row = CurtailmentRecord
    flagged = Filter(any_flag=wanted.any_flag).of_records()
    found = await session.execute(
        select(row.settlement_period, row.farm_id, func.sum(-row.volume))
        .where(row.settlement_date == day, row.farm_id.in_(units), *flagged)
        .group_by(row.settlement_period, row.farm_id)
    )
    return {(period, farm): mwh for period, farm, mwh in found}
