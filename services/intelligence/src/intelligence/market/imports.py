"""A file of candles: what its rows must hold, and storing them at one stroke."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import AliasChoices, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import PLATFORM_ORGANISATION, Principal
from common.clock import now
from common.errors import Forbidden, Invalid
from common.tabular import Row, Unreadable, parse_rows, read_table
from intelligence.db import AuditEvent
from intelligence.domain.candles import INDEX, Bar, Cleaned, Interval, clean, fault_of, holes
from intelligence.market.candles import store
from intelligence.market.charts import missing
from intelligence.market.exchanges import NAMES
from intelligence.market.schemas import CandleImport, RowError

_TIMES = ("time", "timestamp", "date", "datetime", "opened_at", "open_time")
_VOLUMES = ("volume", "volume_btc")
_PRICES = ("open", "high", "low", "close")
_KNOWN = {*_TIMES, *_VOLUMES, *_PRICES}
_MAX_ERRORS = 500
_MAX_HOLES = 100
_MILLISECONDS = 100_000_000_000
"""A number from here on counts milliseconds: as seconds it would lie beyond the year 5000."""


class ImportRefused(Invalid):
    title: ClassVar[str] = "The file has errors; nothing was imported"


class ReservedVenue(Invalid):
    title: ClassVar[str] = "Candles of this venue come from the venue itself"


class ImportOptions(BaseModel):
    """How to import."""

    model_config = ConfigDict(extra="forbid")

    interval: Interval
    venue: str = Field(
        default="import",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,29}$",
        description="Under which name: one more venue of the index.",
    )
    dry_run: bool = Field(default=False, description="Check the file and report; write nothing.")
    partial: bool = Field(default=False, description="Import the good rows though others are bad.")


def _time(cell: object) -> object:
    text = str(cell).strip()
    try:
        number = Decimal(text)
    except ArithmeticError:
        naive = "T" in text or " " in text or len(text) == len("2026-11-21")
        return _in_utc(text) if naive else text
    if not number.is_finite() or not 0 <= number < _MILLISECONDS * 1000:
        msg = "is not a time"
        raise ValueError(msg)
    return datetime.fromtimestamp(float(number if number < _MILLISECONDS else number / 1000), UTC)


def _in_utc(text: str) -> object:
    """Take a time without a zone for UTC, in which candles are counted everywhere."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return text  # pydantic says what is wrong with it
    return read if read.tzinfo else read.replace(tzinfo=UTC)


class CandleRow(BaseModel):
    """The cells of one row."""

    time: Annotated[
        AwareDatetime, BeforeValidator(_time), Field(validation_alias=AliasChoices(*_TIMES))
    ]
    open: Decimal = Field(allow_inf_nan=True)
    high: Decimal = Field(allow_inf_nan=True)
    low: Decimal = Field(allow_inf_nan=True)
    close: Decimal = Field(allow_inf_nan=True)
    volume: Annotated[
        Decimal, Field(allow_inf_nan=True, validation_alias=AliasChoices(*_VOLUMES))
    ] = Decimal(0)


def check(rows: list[Row], interval: Interval, at: datetime) -> tuple[Cleaned, list[RowError]]:
    """Return the bars of the good rows, in order, and what is wrong with the others."""
    parsed, bad = parse_rows(rows, CandleRow)
    errors = [RowError(row=one.row, field=one.column, detail=one.detail) for one in bad]
    good: list[Bar] = []
    for line, row in parsed:
        bar = Bar(row.time.astimezone(UTC), row.open, row.high, row.low, row.close, row.volume)
        fault = fault_of(bar, interval, at)
        if fault is None:
            good.append(bar)
        else:
            errors.append(RowError(row=line, field=None, detail=fault.replace("_", " ")))
    return clean(good, interval, at), sorted(errors, key=lambda error: error.row)


async def import_candles(
    session: AsyncSession, principal: Principal, content: bytes, options: ImportOptions
) -> CandleImport:
    """Store the candles of a file, or only say what would come of it.

    Raises:
        Forbidden: the candles are everybody's; only the platform's Admin may bring some.
        ReservedVenue: the venue is asked by this installation itself, or is the index.
        Unreadable: it is no table, or lacks a column.
        TooManyRows: it is too large.
        ImportRefused: a row is bad, and neither `partial` nor `dry_run` was asked for.
    """
    if principal.organisation_id != PLATFORM_ORGANISATION:
        raise Forbidden("Candles belong to the whole installation: its Admin imports them.")
    if options.venue in NAMES or options.venue == INDEX:
        raise ReservedVenue(f"Import under another name than {options.venue}.", field="venue")
    rows = await asyncio.to_thread(read_table, content, required=_PRICES)
    columns = {name for row in rows for name in row.cells}
    if not rows or columns.isdisjoint(_TIMES):
        raise Unreadable("The file has no rows, or lacks the column time.")
    cleaned, errors = await asyncio.to_thread(check, rows, options.interval, now())
    report = _report(options, rows, cleaned, errors, sorted(columns - _KNOWN))
    if report.refused and not options.dry_run:
        raise ImportRefused(
            f"{len(errors)} errors in {len(rows)} rows, the first in row {errors[0].row}: "
            f"{errors[0].detail}",
            report=report.model_dump(mode="json"),
        )
    if not options.dry_run:
        await _keep(session, principal, options, cleaned)
    return report


async def _keep(
    session: AsyncSession, principal: Principal, options: ImportOptions, cleaned: Cleaned
) -> None:
    await store(session, venue=options.venue, interval=options.interval, cleaned=cleaned.bars)
    await audit(
        session,
        AuditEvent,
        principal,
        action="candles.import",
        object_type="candles",
        object_id=f"{options.venue} {options.interval}",
        detail={"bars": len(cleaned.bars)},
    )


def _report(
    options: ImportOptions,
    rows: list[Row],
    cleaned: Cleaned,
    errors: list[RowError],
    ignored: list[str],
) -> CandleImport:
    refused = bool(errors) and not options.partial
    valid = len(rows) - len({error.row for error in errors})
    gaps = holes([bar.opened_at for bar in cleaned.bars], options.interval)
    return CandleImport(
        dry_run=options.dry_run,
        venue=options.venue,
        interval=options.interval,
        rows=len(rows),
        valid=valid,
        imported=0 if options.dry_run or refused else len(cleaned.bars),
        refused=refused,
        duplicates=cleaned.duplicates,
        out_of_order=cleaned.out_of_order,
        unfinished=valid - cleaned.duplicates - len(cleaned.bars),
        holes=[missing(hole) for hole in gaps[:_MAX_HOLES]],
        errors_total=len(errors),
        errors=errors[:_MAX_ERRORS],
        ignored_columns=ignored,
    )
