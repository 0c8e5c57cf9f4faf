"""Routes of machines."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from common.auth import AnyPrincipal
from common.db import Session
from common.errors import BadRequest, Forbidden, problems
from common.idempotency import IdempotencyKey, KeyReused, StillRunning, once
from common.pages import CursorPage, Page, PageQuery
from common.runtime import RuntimeDep
from hosting import db
from hosting.auth import MinersApprover, MinersCommander, MinersReader, MinersWriter
from hosting.domain.miner_status import MinerAction, MinerStatus
from hosting.miners import batches, commands, listing, maintenance, registry, tiles
from hosting.miners.commands import CommandNotFound, MinerDisabled
from hosting.miners.detail import detail
from hosting.miners.holds import HeldByPlan
from hosting.miners.listing import Filter
from hosting.miners.maintenance import NotInMaintenance
from hosting.miners.nameplate import UnknownModel
from hosting.miners.registry import (
    AddressOutside,
    AddressTaken,
    MinerNotFound,
    NoSuchPlace,
    PlaceTaken,
    SerialTaken,
    UnknownClient,
    UnknownSite,
)
from hosting.miners.schemas import (
    Batch,
    BatchResult,
    CommandAccepted,
    CommandView,
    Kpi,
    MaintenanceView,
    MinerChange,
    MinerDetail,
    MinerView,
    NewMaintenance,
    NewMiner,
)
from hosting.miners.statuses import StatusConflict
from hosting.parties import TelemetryDep
from hosting.settings import SettingsDep

router = APIRouter(prefix="/api/hosting", tags=["miners"])
aliases = APIRouter(tags=["miners"], include_in_schema=False)
"""The source documents' own paths."""

_WRITING = (
    SerialTaken, AddressTaken, PlaceTaken, UnknownSite, UnknownClient, NoSuchPlace, AddressOutside,
    UnknownModel,
)  # fmt: skip


def _filter(
    search: Annotated[
        str | None, Query(max_length=64, description="Part of a serial number")
    ] = None,
    status: MinerStatus | None = None,
    site_id: UUID | None = None,
    client_id: UUID | None = None,
) -> Filter:
    return Filter(search=search, status=status, site_id=site_id, client_id=client_id)


FilterQuery = Annotated[Filter, Depends(_filter)]
CursorQuery = Annotated[
    str | None,
    Query(
        max_length=400,
        description="For programs: empty to begin, then the last `next_cursor`. Replaces `page`.",
    ),
]


@router.post("/miners", status_code=201, responses=problems(Forbidden, *_WRITING))
async def register_miner(
    body: NewMiner, session: Session, principal: MinersWriter, settings: SettingsDep
) -> MinerView:
    """Register a machine. It is polled from its approval on.

    Whoever holds `miners:approve` may set `approve`. A model that the registry does not know
    needs `hashrate_ths` and `power_w`.
    """
    miner = await registry.register_miner(session, principal, settings, body)
    return MinerView.model_validate(miner)


@router.get(
    "/miners",
    response_model=Page[MinerView] | CursorPage[MinerView],
    responses=problems(BadRequest),
)
async def list_miners(
    session: Session,
    _: MinersReader,
    wanted: FilterQuery,
    page: PageQuery,
    settings: SettingsDep,
    *,
    cursor: CursorQuery = None,
) -> object:
    """List machines by serial number, a page at a time; with `cursor`, by registration."""
    if cursor is None:
        return await listing.list_page(session, wanted, page)
    return await listing.list_after(session, wanted, cursor, page.page_size, settings)


@router.get("/host/devices", response_model=Page[MinerView])
async def list_devices(
    session: Session, _: MinersReader, wanted: FilterQuery, page: PageQuery
) -> object:
    """List machines by serial number: the device page of a host."""
    return await listing.list_page(session, wanted, page)


@router.post(
    "/host/devices/batch",
    status_code=202,
    response_model=BatchResult,
    responses=problems(Forbidden, KeyReused, StillRunning),
)
async def run_batch(
    body: Batch,
    session: Session,
    principal: AnyPrincipal,
    settings: SettingsDep,
    key: IdempotencyKey = None,
) -> BatchResult | Response:
    """Approve, start, shut down, reboot or delete many machines.

    Each machine named gets a result: a `command_id`, nothing, or an `error`. A machine that the
    caller cannot see is `miner_not_found`. Needs `miners:approve`, `miners:command` or
    `miners:write`, as the action is.
    """
    return await once(
        session,
        db.IdempotencyKey,
        principal,
        route="miners.batch",
        key=key,
        body=body,
        status=202,
        run=lambda: batches.run(session, principal, settings, body),
    )


@router.get("/kpi")
async def get_kpi(runtime: RuntimeDep, principal: MinersReader) -> Kpi:
    """Count machines by status, in all and for each site, with what the active ones should earn.

    A client sees its own machines only. `expected` is made of the active machines' rating and the
    quote of this moment; without a quote its figures are null and `reason` is `no_quote`.
    """
    return await tiles.tiles(runtime, principal)


@router.get("/miners/{miner_id}", responses=problems(MinerNotFound))
async def get_miner(miner_id: UUID, session: Session, _: MinersReader) -> MinerView:
    """Show one machine."""
    return MinerView.model_validate(await registry.miner_of(session, miner_id))


@aliases.get("/hosting/miner/{miner_id}/detail", name="get_miner_detail_alias")
@aliases.get("/api/hosting/miner/{miner_id}/detail", name="get_miner_detail_api_alias")
@router.get("/miners/{miner_id}/detail", responses=problems(MinerNotFound))
async def get_miner_detail(
    miner_id: UUID, session: Session, principal: MinersReader, telemetry: TelemetryDep
) -> MinerDetail:
    """Show one machine with its site, its orders and its latest reading.

    Without telemetry the page still comes, `telemetry` null and `telemetry_reason` saying why.
    `expected` is what its rating earns in a day at the last quote, whether it runs or not.
    """
    return await detail(session, principal, telemetry, miner_id)


@router.patch("/miners/{miner_id}", responses=problems(MinerNotFound, *_WRITING))
async def change_miner(
    miner_id: UUID,
    body: MinerChange,
    session: Session,
    principal: MinersWriter,
    settings: SettingsDep,
) -> MinerView:
    """Change a machine; fields that are left out stay as they are."""
    miner = await registry.change_miner(session, principal, settings, miner_id, body)
    return MinerView.model_validate(miner)


@router.delete("/miners/{miner_id}", status_code=204, responses=problems(MinerNotFound, HeldByPlan))
async def remove_miner(miner_id: UUID, session: Session, principal: MinersWriter) -> None:
    """Remove a machine; its serial number and address become free."""
    await registry.remove_one(session, principal, miner_id)


@router.post("/miners/{miner_id}/approve", responses=problems(MinerNotFound, StatusConflict))
async def approve_miner(miner_id: UUID, session: Session, principal: MinersApprover) -> MinerView:
    """Approve a machine that waits for it; from now on it is polled."""
    return MinerView.model_validate(await registry.approve_one(session, principal, miner_id))


@router.post(
    "/miners/{miner_id}/maintenance",
    status_code=201,
    responses=problems(MinerNotFound, StatusConflict),
)
async def begin_maintenance(
    miner_id: UUID, body: NewMaintenance, session: Session, principal: MinersCommander
) -> MaintenanceView:
    """Take a machine into maintenance: nobody commands it until that ends."""
    return await maintenance.begin(session, principal, miner_id, body.reason)


@router.get(
    "/miners/{miner_id}/maintenance",
    response_model=Page[MaintenanceView],
    responses=problems(MinerNotFound),
)
async def list_maintenance(
    miner_id: UUID, session: Session, _: MinersReader, page: PageQuery
) -> object:
    """List a machine's times in maintenance, newest first."""
    return await maintenance.history(session, miner_id, page)


@router.post(
    "/miners/{miner_id}/maintenance/end",
    responses=problems(MinerNotFound, NotInMaintenance, StatusConflict),
)
async def end_maintenance(
    miner_id: UUID, session: Session, principal: MinersCommander
) -> MaintenanceView:
    """Give a machine back to work."""
    return await maintenance.end(session, principal, miner_id)


@aliases.post("/hosting/miner/{miner_id}/{action}", status_code=202, name="order_miner_alias")
@aliases.post(
    "/api/hosting/miner/{miner_id}/{action}", status_code=202, name="order_miner_api_alias"
)
@router.post(
    "/miners/{miner_id}/{action}",
    status_code=202,
    responses=problems(MinerNotFound, StatusConflict, MinerDisabled, HeldByPlan),
)
async def order_miner(
    miner_id: UUID,
    action: MinerAction,
    session: Session,
    principal: MinersCommander,
    settings: SettingsDep,
) -> CommandAccepted:
    """Order a machine to start, shut down or reboot. Telemetry reports how it goes."""
    command_id = await commands.order_one(session, principal, settings, miner_id, action)
    return CommandAccepted(command_id=command_id)


@router.get("/commands", response_model=Page[CommandView])
async def list_commands(
    session: Session, _: MinersReader, page: PageQuery, miner_id: UUID | None = None
) -> object:
    """List orders given by hand, newest first."""
    return await commands.list_commands(session, miner_id, page)


@router.get("/commands/{command_id}", responses=problems(CommandNotFound))
async def get_command(command_id: UUID, session: Session, _: MinersReader) -> CommandView:
    """Show one order given by hand, and how it went."""
    return await commands.command_of(session, command_id)
