"""Makes, keeps and shows reconciliations."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.pages import PageRequest, paged
from energy.costs.keeping import peaks_before
from energy.costs.rating import reigns_of
from energy.costs.reading import SiteHalfHours, site_half_hours
from energy.domain.load import Unbillable
from energy.domain.zone import YearMonth
from energy.facts.models import Site
from energy.facts.reading import site_of
from energy.reconciliation import sheet
from energy.reconciliation.comparing import BillLine, Difference, compare, sums
from energy.reconciliation.models import Reconciliation
from energy.reconciliation.ours import Period, our_lines
from energy.reconciliation.sheet import DecimalMark, Sheet
from energy.tariffs.publishing import note
from energy.usage.half_hours import HALF_HOUR_S, span_of_days

LONGEST_DAYS = 366
_PLACES = Decimal("0.000001")
SHEET_COLUMNS = (
    "part", "kind", "name", "unit", "their_quantity", "our_quantity", "their_rate", "our_rate",
    "their_amount", "our_amount", "difference", "cause", "cause_amount",
)  # fmt: skip


class PeriodUnusable(Invalid):
    title: ClassVar[str] = "The period cannot be reconciled"


class CurrencyDiffers(Invalid):
    title: ClassVar[str] = "The bill is in another currency than the site's rate"


class NothingToCompare(Conflict):
    title: ClassVar[str] = "There is no bill of ours for the period"


class AlreadyReconciled(Conflict):
    title: ClassVar[str] = "The same bill has been reconciled already"


class ReconciliationNotFound(NotFound):
    title: ClassVar[str] = "No such reconciliation"


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose bill it is, and of which local days."""

    site_id: UUID
    start_date: date
    end_date: date
    currency: str | None
    utility_name: str | None
    invoice_number: str | None
    decimal: DecimalMark


async def create(
    session: AsyncSession, caller: Principal, asked: Asked, content: bytes
) -> Reconciliation:
    """Compare an uploaded bill with ours and keep what came of it.

    Raises:
        SiteUnknown: there is no such site.
        PeriodUnusable: the period is none, too long, or not over.
        BillUnreadable, Unreadable, TooManyRows: the file is no bill.
        NothingToCompare: no tariff was in force, or no half-hours are known.
        CurrencyDiffers: the currency is not the rate's.
        AlreadyReconciled: the same file has been, for this site and period.
    """
    site = await site_of(session, asked.site_id)
    _check(asked, site)
    digest = hashlib.sha256(content).hexdigest()
    await _refuse_again(session, asked, digest)
    theirs = await asyncio.to_thread(sheet.read, content, asked.decimal)
    period, used = await _period(session, site, asked)
    currency = _currency(period, asked.currency)
    try:
        ours = await asyncio.to_thread(our_lines, period)
    except Unbillable as error:
        raise NothingToCompare(f"The rate cannot price the period: {error}") from error
    made = _made(caller, asked, site, theirs, ours)
    made.currency = currency
    made.file_sha256 = digest
    made.provenance = _provenance(period, used, theirs)
    session.add(made)
    await session.flush()
    await note(
        session, caller, "reconciliation.create", made.id, object_type="reconciliation",
        site_id=str(site.id), difference=f"{made.difference:f}",
    )  # fmt: skip
    return made


def _check(asked: Asked, site: Site) -> None:
    if not 0 <= (asked.end_date - asked.start_date).days < LONGEST_DAYS:
        raise PeriodUnusable(
            f"end_date lies on or after start_date, at most {LONGEST_DAYS} days.", field="end_date"
        )
    if asked.end_date >= now().astimezone(ZoneInfo(site.timezone)).date():
        raise PeriodUnusable("Only days that are over can be reconciled.", field="end_date")


async def _refuse_again(session: AsyncSession, asked: Asked, digest: str) -> None:
    before = await session.scalar(
        select(Reconciliation.id).where(
            Reconciliation.site_id == asked.site_id,
            Reconciliation.period_start == asked.start_date,
            Reconciliation.period_end == asked.end_date + timedelta(days=1),
            Reconciliation.file_sha256 == digest,
        )
    )
    if before is not None:
        raise AlreadyReconciled(
            "Delete that one to compare the same file with newer half-hours.",
            reconciliation_id=str(before),
        )


async def _period(session: AsyncSession, site: Site, asked: Asked) -> tuple[Period, SiteHalfHours]:
    start, end = span_of_days(asked.start_date, asked.end_date, site.timezone)
    used = await site_half_hours(session, site.id, start, end)
    if not len(used.starts_s):
        raise NothingToCompare("No half-hour of the site is known in these days.")
    seconds = int(start.timestamp()), int(end.timestamp())
    month = YearMonth(asked.start_date.year, asked.start_date.month)
    period = Period(
        first=asked.start_date,
        last=asked.end_date,
        start_s=seconds[0],
        end_s=seconds[1],
        starts_s=used.starts_s,
        kwh_e6=used.kwh_e6,
        reigns=await reigns_of(session, site.id, *seconds),
        peaks_kw=await peaks_before(session, site.id, month),
    )
    covered = sum(
        min(reign.end_s, seconds[1]) - max(reign.start_s, seconds[0]) for reign in period.reigns
    )
    if covered < seconds[1] - seconds[0]:
        raise NothingToCompare("No rate was in force in all or part of these days.")
    return period, used


def _currency(period: Period, stated: str | None) -> str:
    ours = {reign.rated.tariff.currency for reign in period.reigns}
    if len(ours) > 1 or (stated is not None and stated not in ours):
        raise CurrencyDiffers(
            f"The site's rate is in {', '.join(sorted(ours))}; a bill is compared in its own.",
            field="currency",
        )
    return ours.pop()


def _made(
    caller: Principal, asked: Asked, site: Site, theirs: Sheet, ours: Sequence[BillLine]
) -> Reconciliation:
    differences = compare(theirs.lines, ours)
    their_total, our_total = (
        sum((line.amount for line in lines), Decimal(0)).quantize(_PLACES)
        for lines in (theirs.lines, ours)
    )
    return Reconciliation(
        organisation_id=caller.organisation_id,
        site_id=site.id,
        period_start=asked.start_date,
        period_end=asked.end_date + timedelta(days=1),
        timezone=site.timezone,
        utility_name=asked.utility_name,
        invoice_number=asked.invoice_number,
        their_total=their_total,
        our_total=our_total,
        difference=their_total - our_total,
        causes=_texts(sums(differences)),
        differences=[_difference(one) for one in differences],
        their_lines=[_texts(asdict(line)) for line in theirs.lines],
        our_lines=[_texts(asdict(line)) for line in ours],
        created_by=caller.subject,
        created_at=now(),
    )


def _difference(one: Difference) -> dict[str, Any]:
    row = _texts(asdict(one) | {"difference": one.difference})
    return row | {"causes": _texts({**one.causes})}


def _texts(members: dict[Any, Any]) -> dict[str, Any]:
    """Return members as they are kept: decimals as text."""
    return {
        str(name): f"{value:f}" if isinstance(value, Decimal) else value
        for name, value in members.items()
    }


def _provenance(period: Period, used: SiteHalfHours, theirs: Sheet) -> dict[str, Any]:
    lines_total = sum((line.amount for line in theirs.lines), Decimal(0))
    wanted = (period.end_s - period.start_s) // HALF_HOUR_S
    stated = theirs.stated_total
    return {
        "tariffs": [
            {
                "rate_id": str(reign.rated.rate_id),
                "rate_version": reign.rated.version,
                "rate_name": reign.rated.name,
            }
            for reign in period.reigns
        ],
        "half_hours": {
            "wanted": wanted,
            "told": len(used.starts_s),
            "mean_coverage": round(float(used.coverage.mean()), 6),
        },
        "stated_total": None if stated is None else f"{stated:f}",
        "lines_make_up_the_total": None if stated is None else stated == lines_total,
        "simulated": any(used.simulated),
    }


async def page(
    session: AsyncSession, site_id: UUID | None, asked: PageRequest
) -> tuple[list[Reconciliation], int]:
    """Return a page of reconciliations, the newest first."""
    query = select(Reconciliation).order_by(Reconciliation.created_at.desc(), Reconciliation.id)
    if site_id is not None:
        query = query.where(Reconciliation.site_id == site_id)
    return await paged(session, query, asked)


async def one(session: AsyncSession, reconciliation_id: UUID) -> Reconciliation:
    """Return a reconciliation.

    Raises:
        ReconciliationNotFound: there is none of this id.
    """
    found = await session.get(Reconciliation, reconciliation_id)
    if found is None:
        raise ReconciliationNotFound("There is no reconciliation of this id.")
    return found


async def remove(session: AsyncSession, caller: Principal, reconciliation_id: UUID) -> None:
    """Take a reconciliation away.

    Raises:
        ReconciliationNotFound: there is none of this id.
    """
    await session.delete(await one(session, reconciliation_id))
    kind = "reconciliation"
    await note(session, caller, "reconciliation.remove", reconciliation_id, object_type=kind)


def cells(row: Reconciliation) -> list[list[Any]]:
    """Return a reconciliation as rows of a sheet: differences and their causes, then all lines."""
    rows: list[list[Any]] = []
    for each in row.differences:
        words = [each[name] for name in SHEET_COLUMNS[1:4]]
        figures = [_amount(each[name]) for name in SHEET_COLUMNS[4:11]]
        for cause, amount in each["causes"].items():
            rows.append(["difference", *words, *figures, cause, _amount(amount)])
    total = (row.their_total, row.our_total, row.difference)
    rows.append(["total", *[None] * 7, *total, None, None])
    for part, lines in (("their line", row.their_lines), ("our line", row.our_lines)):
        rows.extend(_line_cells(part, line) for line in lines)
    return rows


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _line_cells(part: str, line: dict[str, Any]) -> list[Any]:
    figures = [_amount(line[name]) for name in ("quantity", "rate", "amount")]
    sides = [(None, one) if part == "our line" else (one, None) for one in figures]
    flat = [cell for side in sides for cell in side]
    return [part, line["kind"], line["name"], None, *flat, None, None, None]
