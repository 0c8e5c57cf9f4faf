"""HTTP of curtailed energy: summaries, lead parties, hours, settlement periods."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from common.db import Session
from common.errors import Invalid, problems
from energy.auth import WindReader
from energy.domain.settlement import periods_of
from energy.wind.miners import DifficultyUnavailable, MinerModelUnknown
from energy.wind_views import calculation, hours, summaries
from energy.wind_views.asking import (
    FarmFilter,
    ModelQuery,
    NoWindData,
    PartyFilter,
    SoFlagQuery,
    UnknownFarm,
    UnknownLeadParty,
    filter_of,
)
from energy.wind_views.calculation import (
    CalculationUnclear,
    WindCalculation,
    WindCalculationRequest,
)
from energy.wind_views.schemas import (
    CurtailOrMine,
    DailySummary,
    HourlyComparison,
    HourlyCurtailment,
    LeadParties,
    LeadPartiesOfDay,
    MonthlyComparison,
    MonthlySummary,
    PeriodStart,
    SettlementPeriods,
    YearlySummary,
)
from energy.wind_views.sheets import SHEETS, Wanted, shown
from energy.wind_views.spans import AnyDayPath, DayPath, MonthPath, YearPath

router = APIRouter(prefix="/api/wind", tags=["wind"])
Shown = BaseModel | Response
_PARTY: dict[int | str, dict[str, Any]] = SHEETS | problems(NoWindData, UnknownLeadParty, Invalid)
_FARM = SHEETS | problems(NoWindData, UnknownLeadParty, UnknownFarm, MinerModelUnknown, Invalid)


@router.get(
    "/periods/{date}", response_model=SettlementPeriods, responses=SHEETS | problems(Invalid)
)
async def list_periods(date: AnyDayPath, wanted: Wanted, _: WindReader) -> Shown:
    """List the settlement periods of a day: 48; 46 and 50 on the days of the clock change."""
    items = [
        PeriodStart(settlement_period=one.number, start_time=one.start) for one in periods_of(date)
    ]
    return await shown(SettlementPeriods(date=date, items=items), wanted, f"periods-{date}")


@router.post(
    "/calculate",
    responses=problems(CalculationUnclear, MinerModelUnknown, Invalid, DifficultyUnavailable),
)
async def calculate(
    body: WindCalculationRequest, session: Session, _: WindReader
) -> WindCalculation:
    """Calculate what the energy of one half-hour would mine; nothing is stored.

    Linear in the energy, by difficulty x 2^32 hashes a block; `whole_miners` counts only machines
    that the energy feeds for the whole half-hour.
    """
    return await calculation.calculated(session, body)


@router.get("/summary/daily/{date}", response_model=DailySummary, responses=_PARTY)
async def get_daily_summary(
    date: DayPath, whose: PartyFilter, session: Session, wanted: Wanted, _: WindReader
) -> Shown:
    """Show what was curtailed on a settlement day, and what was paid for it."""
    answer = await summaries.daily_summary(session, date, whose)
    return await shown(answer, wanted, f"curtailment-{date.value}")


@router.get("/summary/monthly/{month}", response_model=MonthlySummary, responses=_PARTY)
async def get_monthly_summary(
    month: MonthPath, whose: PartyFilter, session: Session, wanted: Wanted, _: WindReader
) -> Shown:
    """Show what was curtailed in a month, and on each of its days."""
    answer = await summaries.monthly_summary(session, month, whose)
    return await shown(answer, wanted, f"curtailment-{month.value}")


@router.get("/summary/yearly/{year}", response_model=YearlySummary, responses=_PARTY)
async def get_yearly_summary(
    year: YearPath, whose: PartyFilter, session: Session, wanted: Wanted, _: WindReader
) -> Shown:
    """Show what was curtailed in a year, and in each of its months."""
    answer = await summaries.yearly_summary(session, year, whose)
    return await shown(answer, wanted, f"curtailment-{year.value}")


@router.get("/lead-parties", response_model=LeadParties, responses=SHEETS)
async def list_lead_parties(session: Session, wanted: Wanted, _: WindReader) -> Shown:
    """List everybody who leads wind units today, by name."""
    return await shown(await summaries.lead_parties(session), wanted, "lead-parties")


@router.get(
    "/lead-parties/{date}",
    response_model=LeadPartiesOfDay,
    responses=SHEETS | problems(NoWindData, Invalid),
)
async def list_lead_parties_of_day(
    date: DayPath,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    so_flag: SoFlagQuery = "true",
) -> Shown:
    """List who was curtailed on a day, most energy first."""
    answer = await summaries.lead_parties_of(session, date, filter_of(so_flag))
    return await shown(answer, wanted, f"lead-parties-{date.value}")


@router.get("/curtailment/hourly/{date}", response_model=HourlyCurtailment, responses=_FARM)
async def get_hourly_curtailment(
    date: DayPath, whose: FarmFilter, session: Session, wanted: Wanted, _: WindReader
) -> Shown:
    """Show a day's curtailment by the local hour: 24 of them, 23 or 25 when the clocks change."""
    answer = await hours.hours_of_day(session, date, whose)
    return await shown(answer, wanted, f"curtailment-hourly-{date.value}")


@router.get(
    "/curtailment/hourly-comparison/{date}", response_model=HourlyComparison, responses=_FARM
)
async def compare_hours(
    date: DayPath,
    whose: PartyFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
) -> Shown:
    """Compare energy and bitcoin by the hour, a lead party's beside everybody's."""
    answer = await hours.hourly_comparison(session, date, whose, miner_model)
    return await shown(answer, wanted, f"hourly-comparison-{date.value}")


@router.get(
    "/curtailment/monthly-comparison/{month}", response_model=MonthlyComparison, responses=_FARM
)
async def compare_days(
    month: MonthPath,
    whose: PartyFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
) -> Shown:
    """Compare energy and bitcoin by the days of a month, a lead party's beside everybody's."""
    answer = await hours.monthly_comparison(session, month, whose, miner_model)
    return await shown(answer, wanted, f"monthly-comparison-{month.value}")


@router.get("/curtailment/value/{date}", response_model=CurtailOrMine, responses=_FARM)
async def compare_with_mining(
    date: DayPath,
    whose: FarmFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
) -> Shown:
    """Compare what a curtailed MWh was paid with what it would have mined, in GBP per MWh.

    By half-hour, at the current price of bitcoin; `market` says which, and the GBP/USD behind it.
    """
    answer = await hours.choice_of_day(session, date, whose, miner_model)
    return await shown(answer, wanted, f"curtail-or-mine-{date.value}")
