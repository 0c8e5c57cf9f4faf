"""HTTP of what wind farms meant to generate, and of the country's wind."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel

from common.db import Session
from common.errors import Invalid, problems
from energy.auth import WindReader
from energy.wind_views import generation, production
from energy.wind_views.asking import (
    FarmFilter,
    FarmId,
    NoWindData,
    PartyName,
    SoFlagQuery,
    UnknownFarm,
    UnknownLeadParty,
    filter_of,
)
from energy.wind_views.production_schemas import (
    CurtailmentShare,
    GenerationCheck,
    GenerationStatus,
    Notifications,
    WindGenerationOfDay,
)
from energy.wind_views.sheets import SHEETS, Wanted, shown
from energy.wind_views.spans import DayPath, DayQuery

router = APIRouter(prefix="/api/wind", tags=["wind"])
Shown = BaseModel | Response
_REFUSALS: dict[int | str, dict[str, Any]] = SHEETS | problems(
    NoWindData, UnknownLeadParty, UnknownFarm, Invalid
)
Number = Annotated[int, Path(alias="period", ge=1, le=50, description="A settlement period")]


@router.get(
    "/production/pn-data/{date}/{period}", response_model=Notifications, responses=_REFUSALS
)
async def list_notifications(
    date: DayPath,
    period: Number,
    whose: FarmFilter,
    session: Session,
    wanted: Wanted,
    _: WindReader,
) -> Shown:
    """List what the wind units meant to generate in a settlement period, largest first."""
    answer = await production.notifications(session, date, period, whose)
    return await shown(answer, wanted, f"notifications-{date.value}-{period}")


@router.get(
    "/production/curtailment-percentage/farm/{farm_id}/{date}",
    response_model=CurtailmentShare,
    responses=_REFUSALS,
)
async def get_farm_curtailment(
    farm_id: FarmId,
    date: DayPath,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    so_flag: SoFlagQuery = "true",
) -> Shown:
    """Show how much of what a wind unit meant to generate on a day was turned down."""
    answer = await production.curtailment_of_farm(session, farm_id, date, filter_of(so_flag))
    return await shown(answer, wanted, f"curtailment-percentage-{date.value}")


@router.get(
    "/production/curtailment-percentage/lead-party/{lead_party:path}/{date}",
    response_model=CurtailmentShare,
    responses=_REFUSALS,
)
async def get_lead_party_curtailment(
    lead_party: PartyName,
    date: DayPath,
    session: Session,
    wanted: Wanted,
    _: WindReader,
    *,
    so_flag: SoFlagQuery = "true",
) -> Shown:
    """Show how much of what a lead party's units meant to generate on a day was turned down."""
    answer = await production.curtailment_of_party(session, lead_party, date, filter_of(so_flag))
    return await shown(answer, wanted, f"curtailment-percentage-{date.value}")


@router.get("/wind-generation/status", response_model=GenerationStatus, responses=SHEETS)
async def get_generation_status(session: Session, wanted: Wanted, _: WindReader) -> Shown:
    """Show how far the country's wind generation is known."""
    answer = await generation.generation_status(session)
    return await shown(answer, wanted, "wind-generation-status")


@router.get(
    "/wind-generation/check",
    response_model=GenerationCheck,
    responses=SHEETS | problems(Invalid),
)
async def check_generation(day: DayQuery, session: Session, wanted: Wanted, _: WindReader) -> Shown:
    """Show which settlement periods of a day (no date: yesterday) lack the wind generation."""
    answer = await generation.generation_check(session, day)
    return await shown(answer, wanted, f"wind-generation-check-{day.value}")


@router.get(
    "/wind-generation/{date}",
    response_model=WindGenerationOfDay,
    responses=SHEETS | problems(NoWindData, Invalid),
)
async def get_generation(date: DayPath, session: Session, wanted: Wanted, _: WindReader) -> Shown:
    """Show what the country's wind farms generated on a day, onshore and offshore."""
    answer = await generation.generation_of(session, date)
    return await shown(answer, wanted, f"wind-generation-{date.value}")
