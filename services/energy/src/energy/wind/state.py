"""Reading how complete wind is: days, periods, runs, processes, units."""

from datetime import date
from typing import ClassVar, Literal, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import PLATFORM_ORGANISATION, Principal
from common.clock import now
from common.errors import Forbidden
from common.pages import Page, PageRequest, page_of, paged
from common.runtime import Runtime
from energy.db import AuditEvent
from energy.domain.settlement import EARLIEST_DAY, day_of, periods_of
from energy.settings import Settings
from energy.wind import units as register
from energy.wind.checking import check_days, wrong_summaries
from energy.wind.elexon import NoAnswer, open_elexon
from energy.wind.models import (
    BmUnit,
    IngestionProgress,
    IngestionRun,
    SettlementDay,
    SettlementPeriod,
)
from energy.wind.orders import BadRange, OutsideHistory
from energy.wind.processing import RegisterUnavailable, gate_of, renew_units
from energy.wind.schemas import (
    BmUnitState,
    DayDetail,
    DayState,
    FarmStated,
    PeriodState,
    ProgressList,
    ProgressState,
    RegisterState,
    Run,
    Verification,
)


class NotThePlatform(Forbidden):
    title: ClassVar[str] = "Only the platform may change the register"


async def days(
    session: AsyncSession,
    page: PageRequest,
    *,
    first: date | None,
    last: date | None,
    status: Literal["complete", "incomplete"] | None,
) -> Page[DayState]:
    """Return a page of the days that are here.

    Raises:
        BadRange: the range is turned round.
    """
    if first is not None and last is not None and first > last:
        raise BadRange(f"The range ends ({last}) before it begins.", field="to")
    query = select(SettlementDay).order_by(SettlementDay.settlement_date.desc())
    if first is not None:
        query = query.where(SettlementDay.settlement_date >= first)
    if last is not None:
        query = query.where(SettlementDay.settlement_date <= last)
    if status is not None:
        query = query.where(SettlementDay.status == status)
    rows, total = await paged(session, query, page)
    items = [DayState.model_validate(row) for row in rows]
    return Page[DayState].model_validate(page_of(items, total, page))


async def day_detail(session: AsyncSession, day: date) -> DayDetail:
    """Return a day with all its periods, whether anybody asked for them or not.

    Raises:
        OutsideHistory: there never were or cannot be any.
    """
    _check_day(day)
    row = await session.get(SettlementDay, day)
    stored = {
        one.settlement_period: one
        for one in await session.scalars(
            select(SettlementPeriod).where(SettlementPeriod.settlement_date == day)
        )
    }
    periods = [
        PeriodState.model_validate(stored[one.number])
        if one.number in stored
        else PeriodState(
            settlement_period=one.number,
            starts_at=one.start,
            status="missing",
            error=None,
            attempts=0,
            run_stamp=None,
            fetched_at=None,
            rows=0,
            records=0,
            records_any=0,
            excluded={},
            simulated=False,
        )
        for one in periods_of(day)
    ]
    state = None if row is None else DayState.model_validate(row)
    return DayDetail(settlement_date=day, day=state, periods=periods)


def _check_day(day: date) -> None:
    today = day_of(now())
    if not EARLIEST_DAY <= day <= today:
        raise OutsideHistory(
            f"{day} does not lie between {EARLIEST_DAY} and today, {today}.", field="date"
        )


async def verification(runtime: Runtime, day: date) -> Verification:
    """Verify a day. Raises as `day_detail`."""
    _check_day(day)
    async with runtime.worker_session() as session:
        checks = await check_days(session, day, day)
        wrong = await wrong_summaries(session, day, day)
    whole = all(check.complete and not check.defects for check in checks) and not wrong
    return Verification(
        items=[check.document() for check in checks], wrong_summaries=wrong, complete=whole
    )


async def runs(session: AsyncSession, page: PageRequest) -> Page[Run]:
    """Return a page of the runs, newest first."""
    rows, total = await paged(session, select(IngestionRun).order_by(IngestionRun.id.desc()), page)
    items = [Run.model_validate(row) for row in rows]
    return Page[Run].model_validate(page_of(items, total, page))


async def progress(session: AsyncSession) -> ProgressList:
    """Return how far each process has come."""
    rows = await session.scalars(select(IngestionProgress).order_by(IngestionProgress.process))
    return ProgressList(items=[ProgressState.model_validate(row) for row in rows])


async def units(
    session: AsyncSession, page: PageRequest, *, fuel_type: str | None, on: date | None
) -> Page[BmUnitState]:
    """Return a page of the units as they are, or were on a day."""
    query = select(BmUnit).order_by(BmUnit.bm_unit, BmUnit.valid_from)
    day = on or day_of(now())
    query = query.where(
        BmUnit.valid_from <= day, (BmUnit.valid_to.is_(None)) | (BmUnit.valid_to > day)
    )
    if fuel_type:
        query = query.where(BmUnit.fuel_type == fuel_type)
    rows, total = await paged(session, query, page)
    items = [BmUnitState.model_validate(row) for row in rows]
    return Page[BmUnitState].model_validate(page_of(items, total, page))


async def refresh_register(runtime: Runtime) -> RegisterState:
    """Take the register from Elexon.

    Raises:
        RegisterUnavailable: Elexon does not give it.
    """
    settings = cast("Settings", runtime.settings)
    async with open_elexon(
        settings.elexon_url,
        gate_of(runtime),
        timeout_s=min(settings.wind_timeout_s, 10.0),
        tries=2,
    ) as elexon:
        try:
            counts = await renew_units(runtime, elexon)
        except NoAnswer as error:
            raise RegisterUnavailable(
                f"Elexon does not tell the register of BM units: {error}", retry_after_s=30
            ) from error
    return RegisterState.model_validate(counts)


async def state_unit_farm(
    session: AsyncSession, runtime: Runtime, caller: Principal, bm_unit: str, body: FarmStated
) -> BmUnitState:
    """State which farm a unit is a part of.

    Raises:
        NotThePlatform: the caller is somebody's, not the platform's.
        UnitUnknown: there is no such unit.
    """
    if caller.organisation_id != PLATFORM_ORGANISATION and caller.role != "Admin":
        raise NotThePlatform("The register of BM units is everybody's; ask the platform.")
    async with runtime.worker_session() as writing:
        unit = await register.state_farm(writing, bm_unit, body.farm_name)
        stated = BmUnitState.model_validate(unit)
    detail = body.model_dump()
    await audit(
        session, AuditEvent, caller, action="wind.farm", object_type="bm_unit",
        object_id=bm_unit, detail=detail,
    )  # fmt: skip
    return stated
