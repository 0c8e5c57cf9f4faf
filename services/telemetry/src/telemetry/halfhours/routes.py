"""The ledger over HTTP, and the past that the simulated world tells."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from common.db import Session
from common.errors import BadRequest, problems
from common.pages import MAX_PAGE_SIZE, CursorPage
from common.runtime import RuntimeDep
from telemetry.auth import HistoryWriter, TelemetryReader
from telemetry.halfhours import history, listing
from telemetry.halfhours.history import HistoryNotAllowed, MachineIsReal, NotInThePast
from telemetry.halfhours.listing import NothingNamed
from telemetry.halfhours.schemas import HalfHour, History, HistoryStored
from telemetry.samples.readings import MachineUnknown

router = APIRouter(tags=["telemetry"])


@router.get("/api/telemetry/half-hours", responses=problems(BadRequest, NothingNamed))
async def list_half_hours(
    *,
    start: Annotated[AwareDatetime, Query(alias="from")],
    end: Annotated[AwareDatetime, Query(alias="to")],
    session: Session,
    runtime: RuntimeDep,
    _: TelemetryReader,
    site_id: UUID | None = None,
    miner_id: UUID | None = None,
    cursor: str | None = None,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = MAX_PAGE_SIZE,
) -> CursorPage[HalfHour]:
    """List the closed half-hours of a site or machine, oldest first, newest revision each."""
    return await listing.half_hours(
        session,
        site_id=site_id,
        miner_id=miner_id,
        start=start,
        end=end,
        cursor=cursor,
        size=page_size,
        key=runtime.settings.internal_key.get_secret_value(),
    )


@router.post(
    "/api/telemetry/history",
    responses=problems(HistoryNotAllowed, MachineUnknown, MachineIsReal, NotInThePast),
)
async def import_history(
    body: History, session: Session, runtime: RuntimeDep, principal: HistoryWriter
) -> HistoryStored:
    """Close past half-hours of simulated machines as told; what is there is never changed."""
    return await history.store(session, runtime, principal, body)
