"""Reads of the ledger."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar, cast
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Invalid, NotFound
from common.pages import PageRequest, paged
from energy.currencies.reading import conversion
from energy.currencies.schemas import ConversionView
from energy.savings.models import Saving
from energy.savings.schemas import Kind, SavingsSum

MAX_ROWS = 10_000
COLUMNS = (
    "kind", "source_id", "scope", "client_id", "site_id", "starts_at", "ends_at", "state",
    "machines", "avoided_kwh", "currency", "energy_cost_avoided", "other_cost_avoided",
    "cost_avoided", "btc_not_mined", "revenue_lost_usd", "cost_avoided_usd", "net_usd", "reasons",
    "simulated", "settled_at",
)  # fmt: skip
ZERO = Decimal("0.000000")


class SavingNotFound(NotFound):
    title: ClassVar[str] = "No such saving"


class EndBeforeStart(Invalid):
    title: ClassVar[str] = "The span ends before it starts"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are meant. Days are those of UTC in which a line starts."""

    site_id: UUID | None = None
    client_id: UUID | None = None
    kind: Kind | None = None
    start_date: date | None = None
    end_date: date | None = None


def _query(caller: Principal, wanted: Wanted) -> Select[Saving]:
    """Return the lines that are meant: of whole sites, or of one client's machines."""
    if wanted.start_date and wanted.end_date and wanted.end_date < wanted.start_date:
        raise EndBeforeStart("end_date lies on or after start_date.", field="end_date")
    client_id = caller.client_id or wanted.client_id
    query = select(Saving).where(Saving.client_id.is_not_distinct_from(client_id))
    if wanted.site_id is not None:
        query = query.where(Saving.site_id == wanted.site_id)
    if wanted.kind is not None:
        query = query.where(Saving.kind == wanted.kind)
    if wanted.start_date is not None:
        query = query.where(Saving.starts_at >= _start_of(wanted.start_date))
    if wanted.end_date is not None and wanted.end_date < date.max:  # no day follows that one
        query = query.where(Saving.starts_at < _start_of(wanted.end_date + timedelta(days=1)))
    return query.order_by(Saving.starts_at.desc(), Saving.id)


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


async def page(
    session: AsyncSession, caller: Principal, wanted: Wanted, asked: PageRequest
) -> tuple[list[Saving], int]:
    """Return a page of lines, the newest first."""
    return await paged(session, _query(caller, wanted), asked)


async def one(session: AsyncSession, saving_id: UUID) -> Saving:
    """Return a line.

    Raises:
        SavingNotFound: there is none of this id that the caller may see.
    """
    found = await session.get(Saving, saving_id)
    if found is None:
        raise SavingNotFound("There is no saving of this id.")
    return found


async def sheet(session: AsyncSession, caller: Principal, wanted: Wanted) -> list[list[Any]]:
    """Return the lines as cells, at most 10,000."""
    rows = await session.scalars(_query(caller, wanted).limit(MAX_ROWS))
    return [[_cell(getattr(row, name)) for name in COLUMNS] for row in rows]


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(one) for one in cast("list[Any]", value))
    return str(value) if isinstance(value, UUID | bool) else value


async def total(
    session: AsyncSession, caller: Principal, wanted: Wanted, currency: str | None
) -> SavingsSum:
    """Return the sum of the lines, in dollars or another currency.

    Raises:
        CurrencyUnknown: there is no reference rate of the currency.
        RateUnavailable: none is known yet.
    """
    lines = _query(caller, wanted).order_by(None).subquery()
    known = lines.c.net_usd.is_not(None)
    row = (
        await session.execute(
            select(
                func.count(),
                func.count().filter(~known),
                func.count().filter(lines.c.state == "running"),
                func.coalesce(func.sum(lines.c.avoided_kwh), ZERO),
                func.coalesce(func.sum(lines.c.btc_not_mined), ZERO),
                func.coalesce(func.sum(lines.c.cost_avoided_usd).filter(known), ZERO),
                func.coalesce(func.sum(lines.c.revenue_lost_usd).filter(known), ZERO),
                func.coalesce(func.bool_or(lines.c.simulated), False),
            )
        )
    ).one()
    today = now().date()
    made = await conversion(session, "USD", currency, min(wanted.end_date or today, today))
    saved, lost = made.of(row[5]), made.of(row[6])
    return SavingsSum(
        site_id=wanted.site_id,
        start_date=wanted.start_date,
        end_date=wanted.end_date,
        entries=row[0],
        unknown=row[1],
        running=row[2],
        avoided_kwh=row[3],
        btc_not_mined=row[4],
        cost_avoided=saved,
        revenue_lost=lost,
        net=saved - lost,
        currency=made.currency,
        conversion=ConversionView.of(made),
        simulated=row[7],
    )
