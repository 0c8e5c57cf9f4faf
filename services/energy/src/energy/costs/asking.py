"""What a question about costs means: whose, from when to when, in which zone."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Invalid
from energy.costs.counting import sites_at
from energy.costs.sums import Scope
from energy.facts.models import Miner, Site
from energy.facts.reading import site_of

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 400
MOST_DAYS_OF_PARTS: Final = 92
"""Of half-hours of a machine or client, which are worked out when they are asked for."""
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2100
_DATE = r"^\d{4}-\d{2}-\d{2}([Tt ].*)?$"


class SpanRefused(Invalid):
    title: ClassVar[str] = "There is no such span of time"


class MinerUnclear(Invalid):
    title: ClassVar[str] = "Several machines have this address"


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a question as they came."""

    site_id: UUID | None
    location: str | None
    client_id: UUID | None
    miner_id: UUID | None
    miner_ip: str | None
    start_date: str | None
    end_date: str | None


async def _filters(  # a plain function would cost a thread
    *,
    site_id: UUID | None = None,
    location: Annotated[
        str | None, Query(min_length=1, max_length=128, description="A location, or a site's name")
    ] = None,
    client_id: UUID | None = None,
    miner_id: UUID | None = None,
    miner_ip: Annotated[
        str | None, Query(min_length=1, max_length=64, description="As `miner_id`")
    ] = None,
    start_date: Annotated[
        str | None,
        Query(
            min_length=10, max_length=40, pattern=_DATE,
            description="A day, or an instant; thirty days before the end if left out",
        ),
    ] = None,
    end_date: Annotated[
        str | None,
        Query(
            min_length=10, max_length=40, pattern=_DATE,
            description="A day (included), or an instant (not included); now if left out",
        ),
    ] = None,
) -> Filters:  # fmt: skip
    return Filters(site_id, location, client_id, miner_id, miner_ip, start_date, end_date)


FiltersQuery = Annotated[Filters, Depends(_filters)]


@dataclass(frozen=True, slots=True)
class Question:
    """Whose costs, and of which span."""

    scope: Scope
    start: datetime
    end: datetime
    zone: ZoneInfo
    """Of the site, UTC where there is none or several of different zones."""

    def days(self) -> tuple[date, date]:
        """Return the local days that the span touches, both included."""
        last = (self.end - timedelta(seconds=1)).astimezone(self.zone).date()
        return self.start.astimezone(self.zone).date(), last


async def question(
    session: AsyncSession, caller: Principal, filters: Filters, *, most_days: int = MOST_DAYS
) -> Question:
    """Return what is asked.

    Raises:
        SiteUnknown: there is no such site.
        SpanRefused: the end does not lie after the start, or too far after it.
        MinerUnclear: several machines have the address.
    """
    zone = await _zone(session, filters)
    start, end = span_of(filters.start_date, filters.end_date, zone, most_days)
    miner_id = filters.miner_id
    if miner_id is None:
        miner = await machine_at(session, filters.miner_ip, filters.site_id, filters.location)
        miner_id = miner.id if miner else None
    scope = Scope(
        site_id=filters.site_id,
        location=filters.location,
        client_id=filters.client_id or caller.client_id,
        miner_id=miner_id,
        miner_ip=filters.miner_ip,
    )
    return Question(scope, start, end, zone)


async def _zone(session: AsyncSession, filters: Filters) -> ZoneInfo:
    if filters.site_id is not None:
        return ZoneInfo((await site_of(session, filters.site_id)).timezone)
    query = select(Site.timezone).where(Site.removed.is_(False)).distinct()
    if filters.location is not None:
        query = query.where(Site.id.in_(sites_at(filters.location)))
    zones = list(await session.scalars(query.limit(2)))
    return ZoneInfo(zones[0]) if len(zones) == 1 else ZoneInfo("UTC")


async def machine_at(
    session: AsyncSession, ip: str | None, site_id: UUID | None, location: str | None
) -> Miner | None:
    """Return the machine of an address, None where no machine is known by it.

    Raises:
        MinerUnclear: several machines have the address.
    """
    if ip is None:
        return None
    query = select(Miner).where(Miner.ip == ip, Miner.removed.is_(False))
    if site_id is not None:
        query = query.where(Miner.site_id == site_id)
    if location is not None:
        query = query.where(Miner.site_id.in_(sites_at(location)))
    found = list(await session.scalars(query.limit(2)))
    if len(found) > 1:
        raise MinerUnclear("Name its site, or ask by miner_id.", field="miner_ip")
    return found[0] if found else None


def span_of(
    first: str | None, last: str | None, zone: ZoneInfo, most_days: int
) -> tuple[datetime, datetime]:
    """Return a span as instants; days are whole local ones, the last included.

    Raises:
        SpanRefused: it is not one.
    """
    end = now() if last is None else _instant(last, zone, "end_date", after=True)
    if first is None:
        start = end - timedelta(days=min(DEFAULT_DAYS, most_days))
    else:
        start = _instant(first, zone, "start_date", after=False)
    if start >= now():
        raise SpanRefused("Nothing is known of the future: it begins there.",
                          field="end_date" if first is None else "start_date")  # fmt: skip
    if end <= start:
        raise SpanRefused("The end must lie after the start.", field="end_date")
    if end - start > timedelta(days=most_days, hours=2):
        raise SpanRefused(f"Ask for at most {most_days} days.", field="start_date",
                          maximum_days=most_days)  # fmt: skip
    return start, end


def _instant(text: str, zone: ZoneInfo, field: str, *, after: bool) -> datetime:
    try:
        if len(text) == len("2026-03-04"):
            day = date.fromisoformat(text) + timedelta(days=1 if after else 0)
            moment = datetime.combine(day, time(), zone)
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise SpanRefused(f"{text} is neither a day nor an instant.", field=field) from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise SpanRefused(f"Ask for years from {FIRST_YEAR} to {LAST_YEAR}.", field=field)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return aware.astimezone(UTC)
