"""A file of machines: what its rows must hold, and writing them at one stroke."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.errors import Invalid
from common.ids import new_id
from common.tabular import Row, Unreadable, parse_rows, read_table
from hosting.db import AuditEvent, Outbox
from hosting.domain.addresses import LOWEST_PORT
from hosting.domain.serial import serial_key
from hosting.imports.schemas import ImportReport, RowError
from hosting.miners.events import MinerRegistered, miner_event
from hosting.miners.models import Firmware, Miner
from hosting.miners.registry import require_approver
from hosting.miners.schemas import HashrateThs, ModelName, PowerW
from hosting.miners.schemas import SerialNumber as Serial
from hosting.miners.surroundings import BadCell, Surroundings, surroundings_of
from hosting.settings import Settings

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "serial_number": ("serial", "sn"),
    "model": ("miner_model",),
    "cgminer_ip": ("ip", "ip_address"),
    "cgminer_port": ("port",),
    "site": ("site_id",),
    "client": ("client_id",),
    "rack": ("rack_id",),
}
"""What else people head these columns with."""
_REQUIRED = ("serial_number", "model", "cgminer_ip")
MAX_ERRORS = 500
"""So many errors are listed; all are counted."""
_BREATH = 500


def _named(column: str) -> tuple[str, ...]:
    return (column, *_ALIASES.get(column, ()))


class ImportRefused(Invalid):
    title: ClassVar[str] = "The file has errors; nothing was imported"


class ImportOptions(BaseModel):
    """How to import."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = False
    """Check the file and report; write nothing."""
    approve: bool = False
    """Poll the machines at once; needs the permission `miners:approve`."""
    partial: bool = False
    """Import the good rows though others are bad; without it, one bad row refuses the file."""
    site_id: UUID | None = None
    """The site of rows that name none."""


class ImportRow(BaseModel):
    """The cells of a row that can be judged without looking anything up."""

    model_config = ConfigDict(protected_namespaces=())

    serial_number: Annotated[Serial, Field(validation_alias=AliasChoices(*_named("serial_number")))]
    model: Annotated[ModelName, Field(validation_alias=AliasChoices(*_named("model")))]
    cgminer_ip: Annotated[
        str, Field(max_length=45, validation_alias=AliasChoices(*_named("cgminer_ip")))
    ]
    cgminer_port: Annotated[
        int,
        Field(ge=LOWEST_PORT, le=65_535, validation_alias=AliasChoices(*_named("cgminer_port"))),
    ] = 4028
    firmware: Annotated[Firmware | None, BeforeValidator(str.lower)] = None
    hashrate_ths: HashrateThs | None = None
    power_w: PowerW | None = None
    site: Annotated[str | None, Field(validation_alias=AliasChoices(*_named("site")))] = None
    client: Annotated[str | None, Field(validation_alias=AliasChoices(*_named("client")))] = None
    rack: Annotated[str | None, Field(validation_alias=AliasChoices(*_named("rack")))] = None
    position: Annotated[int, Field(ge=1, le=40_000)] | None = None


_KNOWN = {alias for name in ImportRow.model_fields for alias in _named(name)}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's rows, and the columns that mean nothing here."""

    rows: list[Row]
    ignored_columns: list[str]


@dataclass(frozen=True, slots=True)
class Checked:
    """The machines of the good rows, each with its row, and what is wrong with the others."""

    miners: list[tuple[int, Miner]]
    errors: list[RowError]


async def read_sheet(principal: Principal, content: bytes, options: ImportOptions) -> Sheet:
    """Read a CSV or xlsx file that somebody wants to import.

    Raises:
        Forbidden: the caller may not approve machines, but asks for it.
        Unreadable: it is no table, has no rows, or lacks a column that every machine needs.
        TooManyRows: it is too large.
    """
    if options.approve:
        require_approver(principal)
    rows = await asyncio.to_thread(read_table, content)
    return Sheet(rows, sorted(_columns(rows) - _KNOWN))


async def import_sheet(
    session: AsyncSession,
    principal: Principal,
    settings: Settings,
    sheet: Sheet,
    options: ImportOptions,
) -> ImportReport:
    """Import the machines of a file at one stroke, or only say what would come of it.

    Raises:
        ImportRefused: a row is bad, and neither `partial` nor `dry_run` was asked for.
    """
    checked = await check_rows(session, principal, settings, sheet.rows, options)
    errors = checked.errors
    refused = bool(errors) and not options.partial
    report = ImportReport(
        dry_run=options.dry_run,
        rows=len(sheet.rows),
        valid=len(checked.miners),
        imported=0 if options.dry_run or refused else len(checked.miners),
        refused=refused,
        errors_total=len(errors),
        errors=errors[:MAX_ERRORS],
        ignored_columns=sheet.ignored_columns,
    )
    if options.dry_run:
        return report
    if refused:
        raise ImportRefused(
            f"{len(errors)} errors in {report.rows} rows, the first in row {errors[0].row}: "
            f"{errors[0].detail}",
            report=report.model_dump(mode="json"),
        )
    miners = [miner for _, miner in checked.miners]
    session.add_all(miners)
    await session.flush()  # the aggregates first, their events after them
    summary: Mapping[str, Any] = report.model_dump(include={"rows", "imported", "errors_total"})
    await announce(session, principal, miners, summary)
    return report


async def check_rows(
    session: AsyncSession,
    principal: Principal,
    settings: Settings,
    rows: Sequence[Row],
    options: ImportOptions,
) -> Checked:
    """Make a machine of each row, or say why there can be none. Nothing is written.

    Raises:
        SiteNotFound: the site for rows that name none does not exist.
    """
    parsed, bad = await asyncio.to_thread(parse_rows, rows, ImportRow)
    errors = [RowError(row=one.row, field=one.column, detail=one.detail) for one in bad]
    around = await surroundings_of(
        session,
        settings,
        site_id=options.site_id,
        serial_keys=[serial_key(row.serial_number) for _, row in parsed],
    )
    miners: list[tuple[int, Miner]] = []
    for place, (line, row) in enumerate(parsed):
        if place % _BREATH == 0:
            await asyncio.sleep(0)  # other requests have their turn
        try:
            miners.append((line, _miner(principal, around, row, approve=options.approve)))
        except BadCell as error:
            errors.append(RowError(row=line, field=error.field, detail=str(error)))
    return Checked(miners, sorted(errors, key=lambda error: error.row))


async def announce(
    session: AsyncSession,
    principal: Principal,
    miners: Sequence[Miner],
    summary: Mapping[str, Any],
) -> None:
    """Publish machines that were just written, and put down who imported them."""
    if not miners:
        return
    session.add_all([Outbox.of(miner_event(miner, MinerRegistered)) for miner in miners])
    sites = sorted({str(miner.site_id) for miner in miners})
    await audit(
        session,
        AuditEvent,
        principal,
        action="miner.import",
        object_type="miners",
        object_id=f"{len(miners)} machines",
        detail={**summary, "site_ids": sites},
    )


def _columns(rows: Sequence[Row]) -> set[str]:
    """Return the columns of a file.

    Raises:
        Unreadable: it has no rows, or lacks a column that every machine needs.
    """
    if not rows:
        raise Unreadable("The file has no row below its first.")
    columns = {name for row in rows for name in row.cells}
    missing = [name for name in _REQUIRED if columns.isdisjoint(_named(name))]
    if missing:
        raise Unreadable(f"The first row lacks {', '.join(missing)}.", missing_columns=missing)
    return columns


def _miner(principal: Principal, around: Surroundings, row: ImportRow, *, approve: bool) -> Miner:
    site = around.site(row.site)
    plate = around.nameplate(row.model, row.hashrate_ths, row.power_w)
    rack = around.rack(site.id, row.rack, row.position)
    client_id = around.client(row.client)
    if principal.client_id not in (None, client_id):
        raise BadCell("client", "The machine would not be yours.")
    miner = Miner(
        id=new_id(),
        organisation_id=principal.organisation_id,
        client_id=client_id,
        site_id=site.id,
        serial_number=row.serial_number,
        serial_key=serial_key(row.serial_number),
        model=plate.model,
        cgminer_ip=around.address(site.id, row.cgminer_ip),
        cgminer_port=row.cgminer_port,
        firmware=row.firmware,
        enabled=True,
        status="active" if approve else "pending_approval",
        nameplate_hashrate_ths=plate.hashrate_ths,
        nameplate_power_w=plate.power_w,
        rack_id=rack,
        position=row.position,
        reachable=True,
        version=1,
    )
    around.claim(miner)
    return miner
