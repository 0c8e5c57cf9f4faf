"""Latest readings, history, the fleet as columns, and the live stream."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from pydantic import AwareDatetime
from sse_starlette import EventSourceResponse

from common.clock import now
from common.db import Session
from common.errors import problems
from common.runtime import Runtime, RuntimeDep
from telemetry.auth import TelemetryApiKey, TelemetryReader
from telemetry.samples import readings
from telemetry.samples.readings import MachineUnknown, SpanTooLong
from telemetry.samples.schemas import ApiLatest, Fleet, Latest, Metric, Series, Step
from telemetry.samples.stream import changes
from telemetry.settings import Settings

router = APIRouter(tags=["telemetry"])

_USUAL_SPAN = timedelta(days=1)
_EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)
"""Nothing was mined before; also keeps the subtraction inside the calendar."""


@router.get("/api/telemetry/miners/{miner_id}", responses=problems(MachineUnknown))
async def get_latest(miner_id: UUID, session: Session, _: TelemetryReader) -> Latest:
    """Return the latest answer of one machine; null where the machine does not say."""
    return await readings.latest(session, miner_id)


@router.get(
    "/api/telemetry/miners/{miner_id}/series", responses=problems(MachineUnknown, SpanTooLong)
)
async def get_series(
    *,
    miner_id: UUID,
    session: Session,
    runtime: RuntimeDep,
    _: TelemetryReader,
    metric: Metric = "hashrate_ths",
    start: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    step: Step = "auto",
) -> Series:
    """Return one metric of a machine over time: single samples, or 5-minute or hourly steps.

    Without `to` it ends now; without `from` it begins a day before its end.
    """
    end = end or now()
    start = start or max(end, _EARLIEST) - _USUAL_SPAN
    slot_seconds = cast("Settings", runtime.settings).slot_seconds
    return await readings.series(
        session, miner_id, metric, start=start, end=end, step=step, slot_seconds=slot_seconds
    )


@router.get("/api/telemetry/fleet", responses={304: {"description": "Nothing has changed"}})
async def get_fleet(
    session: Session,
    runtime: RuntimeDep,
    response: Response,
    _: TelemetryReader,
    site_id: UUID | None = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Fleet:
    """Return the latest of every machine as compact columns; the ETag saves the body."""
    tag = await readings.fleet_tag(session, site_id, _hold(runtime))
    response.headers["ETag"] = tag
    if if_none_match == tag:
        return Response(status_code=304, headers={"ETag": tag})  # pyright: ignore[reportReturnType]  (FastAPI passes it through)
    return await readings.fleet(session, site_id, _hold(runtime))


@router.get(
    "/api/telemetry/stream",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Fleet columns"}},
)
async def stream_fleet(
    runtime: RuntimeDep, principal: TelemetryReader, site_id: UUID | None = None
) -> EventSourceResponse:
    """Stream the machines that changed, at most once a second, as compact columns."""
    return EventSourceResponse(changes(runtime, principal, site_id, _hold(runtime)))


@router.get("/api/hosting/api/telemetry/{miner_id}", responses=problems(MachineUnknown))
async def get_latest_by_api_key(miner_id: UUID, session: Session, _: TelemetryApiKey) -> ApiLatest:
    """Return the latest answer of one machine to a holder of an API key."""
    return await readings.latest_for_api(session, miner_id)


def _hold(runtime: Runtime) -> timedelta:
    settings = cast("Settings", runtime.settings)
    return timedelta(seconds=(settings.hold_slots + 1) * settings.slot_seconds)
