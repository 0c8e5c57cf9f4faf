"""HTTP of the carbon intensity."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery, page_of
from energy.auth import CostsReader, CostsWriter
from energy.carbon import machines, reading, service
from energy.carbon.reading import NoCarbonSetting
from energy.carbon.schemas import (
    CarbonSettingView,
    FootprintAnswer,
    Intensities,
    MachineDayView,
    NewCarbonSetting,
    Region,
)
from energy.carbon.service import Asked, MinerUnknown, SpanUnusable
from energy.facts.reading import SiteUnknown
from energy.tariffs.amounts import Day, Moment

router = APIRouter(prefix="/api/electricity/carbon", tags=["carbon"])


@router.put("/sites/{site_id}", responses=problems(SiteUnknown))
async def put_carbon_setting(
    site_id: UUID, body: NewCarbonSetting, session: Session, caller: CostsWriter
) -> CarbonSettingView:
    """Say where a site's carbon intensity comes from: a region, or a stated figure."""
    setting = await service.put_setting(session, caller, site_id, body)
    return CarbonSettingView.model_validate(setting)


@router.get("/sites/{site_id}", responses=problems(SiteUnknown, NoCarbonSetting))
async def get_carbon_setting(site_id: UUID, session: Session, _: CostsReader) -> CarbonSettingView:
    """Show where a site's carbon intensity comes from."""
    return CarbonSettingView.model_validate(await reading.setting_of(session, site_id))


@router.get("/intensity", responses=problems(SpanUnusable))
async def get_intensity(
    session: Session,
    _: CostsReader,
    *,
    region: Annotated[Region, Query()],
    start: Annotated[Moment, Query()],
    end: Annotated[Moment, Query()],
) -> Intensities:
    """Show a region's half-hours, forecast and actual, as far as they are kept."""
    return await service.show_intensities(session, region, start, end)


@router.get(
    "/footprint", responses=problems(SpanUnusable, SiteUnknown, MinerUnknown, NoCarbonSetting)
)
async def get_footprint(
    session: Session,
    caller: CostsReader,
    *,
    site_id: UUID,
    start_date: Annotated[Day, Query(description="In the site's zone.")],
    end_date: Annotated[Day, Query(description="Inclusive.")],
    client_id: UUID | None = None,
    miner_id: UUID | None = None,
    interval: Literal["day", "half_hour"] = "day",
) -> FootprintAnswer:
    """Show kg of CO2 by local day or half-hour, of a site, a client's machines, or a machine.

    The actual intensity counts where it is known, else the forecast; `basis` says which. A client
    sees its own machines.
    """
    whose = caller.client_id or client_id
    return await service.show_footprint(
        session, Asked(site_id, whose, miner_id, start_date, end_date, interval)
    )


@router.get(
    "/machines",
    response_model=Page[MachineDayView],
    responses=problems(SiteUnknown, NoCarbonSetting),
)
async def list_machine_footprints(
    session: Session,
    caller: CostsReader,
    page: PageQuery,
    *,
    site_id: UUID,
    day: Annotated[Day, Query(description="In the site's zone.")],
    client_id: UUID | None = None,
) -> object:
    """List what each machine used and emitted on a local day; a client sees its own."""
    whose = caller.client_id or client_id
    rows = await machines.machine_days(session, site_id, day, whose)
    start = (page.page - 1) * page.page_size
    shown = rows[start : start + page.page_size]
    return page_of([MachineDayView.model_validate(row) for row in shown], len(rows), page)
