"""HTTP of the ingestion of wind: orders, and how complete everything is."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from fastapi.routing import APIRoute

from common.db import Session
from common.errors import NotFound, problems
from common.jobs import jobs_router
from common.pages import Page, PageQuery
from common.runtime import RuntimeDep
from energy.auth import WindReader, WindWriter
from energy.db import Job
from energy.wind import jobs, state
from energy.wind.jobs import AlreadyOrdered
from energy.wind.miners import MinerModelUnknown
from energy.wind.orders import BadRange, NoSuchPeriods, OutsideHistory
from energy.wind.processing import RegisterUnavailable
from energy.wind.schemas import (
    TEXT,
    Backfill,
    BmUnitState,
    CalculateAll,
    Day,
    DayDetail,
    DayState,
    FarmStated,
    Ingest,
    JobAccepted,
    ProgressList,
    Reconcile,
    RegisterState,
    Run,
    Span,
    Verification,
)
from energy.wind.units import UnitUnknown

router = APIRouter(prefix="/api/wind", tags=["wind ingestion"])
jobs_of_wind = jobs_router("wind", Job)
for _route in jobs_of_wind.routes:
    if isinstance(_route, APIRoute):
        # The same routes exist under /api/electricity: names, and operation ids, must differ.
        _route.name = _route.name.replace("job", "wind_job")
_REFUSALS = problems(AlreadyOrdered, MinerModelUnknown, BadRange, NoSuchPeriods, OutsideHistory)
_First = Annotated[Day | None, Query(alias="from")]
_Last = Annotated[Day | None, Query(alias="to")]


def _accepted(response: Response, job: JobAccepted) -> JobAccepted:
    response.headers["Location"] = job.status_url
    return job


@router.post("/ingest", status_code=202, responses=_REFUSALS)
async def ingest_wind(
    body: Ingest, response: Response, session: Session, runtime: RuntimeDep, caller: WindWriter
) -> JobAccepted:
    """Take days from Elexon: check, ingest, clean up, bitcoin, summaries, verification.

    Periods that fail are told in the job's result, and change nothing; doing it again changes
    nothing either, except what Elexon says differently. The job's progress stands at `status_url`.
    """
    return _accepted(response, await jobs.ingest(session, runtime, caller, body))


@router.post("/ingest/{date}", status_code=202, responses=_REFUSALS)
async def ingest_wind_day(
    date: Day, response: Response, session: Session, runtime: RuntimeDep, caller: WindWriter
) -> JobAccepted:
    """Take one whole day from Elexon, as `POST /api/wind/ingest` does."""
    return _accepted(response, await jobs.ingest(session, runtime, caller, Ingest(date=date)))


@router.post("/calculate-all", status_code=202, responses=_REFUSALS)
async def calculate_wind(
    body: CalculateAll,
    response: Response,
    session: Session,
    runtime: RuntimeDep,
    caller: WindWriter,
) -> JobAccepted:
    """Calculate bitcoin of some days again from the rows that are here; nothing is fetched."""
    return _accepted(response, await jobs.calculate(session, runtime, caller, body))


@router.post("/reconcile", status_code=202, responses=_REFUSALS)
async def reconcile_wind(
    body: Reconcile, response: Response, session: Session, runtime: RuntimeDep, caller: WindWriter
) -> JobAccepted:
    """Compare days with what Elexon says now, and take over the differences."""
    return _accepted(response, await jobs.reconcile(session, runtime, caller, body))


@router.post("/process-missing", status_code=202, responses=_REFUSALS)
async def process_missing_wind(
    body: CalculateAll,
    response: Response,
    session: Session,
    runtime: RuntimeDep,
    caller: WindWriter,
) -> JobAccepted:
    """Take only the periods that are missing or failed, and calculate only what is missing."""
    return _accepted(response, await jobs.process_missing(session, runtime, caller, body))


@router.post("/backfill", status_code=202, responses=_REFUSALS)
async def backfill_wind(
    body: Backfill, response: Response, session: Session, runtime: RuntimeDep, caller: WindWriter
) -> JobAccepted:
    """Fill in history where it is missing, in the off-peak window unless `at_once`."""
    return _accepted(response, await jobs.backfill(session, runtime, caller, body))


@router.post("/generation", status_code=202, responses=_REFUSALS)
async def take_wind_generation(
    body: Span, response: Response, session: Session, runtime: RuntimeDep, caller: WindWriter
) -> JobAccepted:
    """Take wind generation by type into the summaries of the days that are here."""
    return _accepted(response, await jobs.generation(session, runtime, caller, body))


@router.post("/verify", status_code=202, responses=_REFUSALS)
async def verify_wind(
    body: Span, response: Response, session: Session, runtime: RuntimeDep, caller: WindWriter
) -> JobAccepted:
    """Verify days, however many: rows against bitcoin and every summary."""
    return _accepted(response, await jobs.verify(session, runtime, caller, body))


@router.get("/verify/{date}", responses=problems(OutsideHistory))
async def show_verification(date: Day, runtime: RuntimeDep, _: WindReader) -> Verification:
    """Verify one day now: records, MWh, periods, rows and bitcoin of each model."""
    return await state.verification(runtime, date)


@router.get("/days", responses=problems(BadRange))
async def list_wind_days(
    page: PageQuery,
    session: Session,
    _: WindReader,
    first: _First = None,
    last: _Last = None,
    status: Literal["complete", "incomplete"] | None = None,
) -> Page[DayState]:
    """List the days that are here, newest first, and how complete each is."""
    return await state.days(session, page, first=first, last=last, status=status)


@router.get("/days/{date}", responses=problems(OutsideHistory))
async def show_wind_day(date: Day, session: Session, _: WindReader) -> DayDetail:
    """Show a day with every settlement period that it has: complete, failed (why), or missing."""
    return await state.day_detail(session, date)


@router.get("/runs")
async def list_wind_runs(page: PageQuery, session: Session, _: WindReader) -> Page[Run]:
    """List the runs of all processes with their reports, newest first."""
    return await state.runs(session, page)


@router.get("/progress")
async def list_wind_progress(session: Session, _: WindReader) -> ProgressList:
    """List how far each process has come that goes on by itself, and what ails it."""
    return await state.progress(session)


@router.get("/bm-units")
async def list_bm_units(
    page: PageQuery,
    session: Session,
    _: WindReader,
    fuel_type: Annotated[str | None, Query(max_length=40, pattern=TEXT)] = "WIND",
    on: Annotated[Day | None, Query(description="As they were on a day")] = None,
) -> Page[BmUnitState]:
    """List BM units with their farm and lead party; wind units unless another fuel is named."""
    return await state.units(session, page, fuel_type=fuel_type, on=on)


@router.post("/bm-units/refresh", responses=problems(RegisterUnavailable))
async def refresh_bm_units(runtime: RuntimeDep, _: WindWriter) -> RegisterState:
    """Take the register of BM units from Elexon now; otherwise that happens every month."""
    return await state.refresh_register(runtime)


@router.put("/bm-units/{bm_unit}/farm", responses=problems(UnitUnknown, NotFound))
async def state_farm(
    bm_unit: Annotated[str, Path(max_length=64, pattern=TEXT)],
    body: FarmStated,
    session: Session,
    runtime: RuntimeDep,
    caller: WindWriter,
) -> BmUnitState:
    """State which wind farm a unit belongs to; the guess from its name then ends.

    Only the platform may: the register is everybody's.
    """
    return await state.state_unit_farm(session, runtime, caller, bm_unit, body)
