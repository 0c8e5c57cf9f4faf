"""HTTP of mining potential."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from common.db import Session
from common.errors import Invalid, problems
from energy.auth import WindReader
from energy.wind.miners import MinerModelUnknown
from energy.wind_views import mining
from energy.wind_views.asking import (
    CurrencyQuery,
    FarmFilter,
    FarmId,
    ModelQuery,
    NoWindData,
    PartyFilter,
    SoFlagQuery,
    UnknownFarm,
    UnknownLeadParty,
    filter_of,
)
from energy.wind_views.mining_schemas import (
    DailyPotential,
    FarmPotentials,
    FarmTables,
    LeadPartyPotentials,
    MonthlyPotential,
    OneFarm,
    YearlyPotential,
)
from energy.wind_views.sheets import SHEETS, Wanted, shown
from energy.wind_views.spans import DayQuery, MonthPath, SpanQuery, YearPath

router = APIRouter(prefix="/api/wind", tags=["wind"])
Shown = BaseModel | Response
MAX_TOP = 100
_REFUSALS: dict[int | str, dict[str, Any]] = SHEETS | problems(
    NoWindData, UnknownLeadParty, UnknownFarm, MinerModelUnknown, Invalid
)
Limit = Annotated[int, Query(ge=1, le=MAX_TOP, description="At most 100")]


@router.get("/mining-potential/daily", response_model=DailyPotential, responses=_REFUSALS)
async def get_daily_potential(
    day: DayQuery,
    whose: FarmFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
) -> Shown:
    """Show what a day's curtailed energy (no date: yesterday's) would have mined."""
    ask = await mining.asked(session, day, whose, miner_model, currency)
    answer = await mining.daily_potential(session, ask)
    return await shown(answer, wanted, f"mining-potential-{day.value}")


@router.get(
    "/mining-potential/monthly/{month}", response_model=MonthlyPotential, responses=_REFUSALS
)
async def get_monthly_potential(
    month: MonthPath,
    whose: FarmFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
) -> Shown:
    """Show what a month's curtailed energy would have mined, and each of its days'."""
    ask = await mining.asked(session, month, whose, miner_model, currency)
    answer = await mining.monthly_potential(session, ask)
    return await shown(answer, wanted, f"mining-potential-{month.value}")


@router.get("/mining-potential/yearly/{year}", response_model=YearlyPotential, responses=_REFUSALS)
async def get_yearly_potential(
    year: YearPath,
    whose: FarmFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
) -> Shown:
    """Show what a year's curtailed energy would have mined, and each of its months'."""
    ask = await mining.asked(session, year, whose, miner_model, currency)
    answer = await mining.yearly_potential(session, ask)
    return await shown(answer, wanted, f"mining-potential-{year.value}")


@router.get("/mining-potential/farms", response_model=FarmPotentials, responses=_REFUSALS)
async def list_farm_potentials(
    span: SpanQuery,
    whose: PartyFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
) -> Shown:
    """List what each farm's curtailed energy would have mined, most first."""
    ask = await mining.asked(session, span, whose, miner_model, currency)
    answer = await mining.farm_potentials(session, ask)
    return await shown(answer, wanted, f"mining-potential-farms-{span.value}")


@router.get("/mining-potential/top-farms", response_model=FarmPotentials, responses=_REFUSALS)
async def list_top_farms(
    span: SpanQuery,
    whose: PartyFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
    limit: Limit = 5,
) -> Shown:
    """List the farms whose curtailed energy would have mined most."""
    ask = await mining.asked(session, span, whose, miner_model, currency)
    answer = await mining.farm_potentials(session, ask, limit)
    return await shown(answer, wanted, f"top-farms-{span.value}")


@router.get(
    "/mining-potential/lead-parties", response_model=LeadPartyPotentials, responses=_REFUSALS
)
async def list_lead_party_potentials(
    span: SpanQuery,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
    so_flag: SoFlagQuery = "true",
) -> Shown:
    """List what each lead party's curtailed energy would have mined, most first."""
    ask = await mining.asked(session, span, filter_of(so_flag), miner_model, currency)
    answer = await mining.lead_party_potentials(session, ask)
    return await shown(answer, wanted, f"mining-potential-lead-parties-{span.value}")


@router.get("/mining-potential/farm/{farm_id}", response_model=OneFarm, responses=_REFUSALS)
async def get_farm_potential(
    farm_id: FarmId,
    span: SpanQuery,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
    so_flag: SoFlagQuery = "true",
) -> Shown:
    """Show what a farm's curtailed energy would have mined, by the days or months of a span."""
    whose = filter_of(so_flag, farm_id=farm_id)
    ask = await mining.asked(session, span, whose, miner_model, currency)
    answer = await mining.one_farm(session, ask)
    return await shown(answer, wanted, f"mining-potential-farm-{span.value}")


@router.get("/farm-tables/grouped-data", response_model=FarmTables, responses=_REFUSALS)
async def list_grouped_farms(
    span: SpanQuery,
    whose: PartyFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
) -> Shown:
    """List the farms grouped by lead party, with energy, payments, bitcoin and their sums."""
    ask = await mining.asked(session, span, whose, miner_model, currency)
    answer = await mining.farm_tables(session, ask)
    return await shown(answer, wanted, f"farm-tables-{span.value}")


@router.get("/curtailment/mining-potential", response_model=DailyPotential, responses=_REFUSALS)
async def get_curtailment_potential(
    day: DayQuery,
    whose: FarmFilter,
    session: Session,
    wanted: Wanted,
    caller: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
) -> Shown:
    """Show the same as /mining-potential/daily."""
    return await get_daily_potential(
        day, whose, session, wanted, caller, miner_model=miner_model, currency=currency
    )


@router.get(
    "/curtailment/monthly-mining-potential/{month}",
    response_model=MonthlyPotential,
    responses=_REFUSALS,
)
async def get_monthly_curtailment_potential(
    month: MonthPath,
    whose: FarmFilter,
    session: Session,
    wanted: Wanted,
    caller: WindReader,
    *,
    miner_model: ModelQuery,
    currency: CurrencyQuery = "USD",
) -> Shown:
    """Show the same as /mining-potential/monthly."""
    return await get_monthly_potential(
        month, whose, session, wanted, caller, miner_model=miner_model, currency=currency
    )
