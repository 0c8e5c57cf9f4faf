"""What a rate must satisfy before it is stored or billed by."""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Invalid
from energy.domain.schedule import Defect, defects
from energy.facts.models import Site
from energy.facts.reading import site_of
from energy.tariffs.models import IndexSeries
from energy.tariffs.places import fold, is_folded
from energy.tariffs.schedules import instant
from energy.tariffs.terms import UTC_NAME, RateFields, StoredTerms

MOST_BYTES = 160_000
"""Of a rate's fields as JSON in UTF-8: with them its event must stay under 256 KiB."""
_MANY_ROWS = 50
"""From here on a schedule is checked on another thread, so that others are answered meanwhile."""
_CLOCK_SKEW = timedelta(seconds=60)
_PLACES = re.compile(r"[^\[\].]+")


class RateRefused(Invalid):
    title: ClassVar[str] = "No bill can be made by this rate"


class RateTooLarge(Invalid):
    title: ClassVar[str] = "The rate has too many rows"


class InFuture(Invalid):
    title: ClassVar[str] = "The time lies in the future"


class UnknownIndexSeries(Invalid):
    title: ClassVar[str] = "No such index series"


async def resolved(session: AsyncSession, fields: RateFields) -> StoredTerms:
    """Return the fields with their zone: the rate's own, its site's, or UTC."""
    zone, origin = fields.timezone, "rate"
    if zone is None:
        zone = await _site_zone(session, fields.site_id, fields.location)
        origin = "site"
    if zone is None:
        zone, origin = UTC_NAME, "default"
    given = {name: getattr(fields, name) for name in RateFields.model_fields}
    return StoredTerms.model_validate(given | {"timezone": zone, "timezone_from": origin})


async def _site_zone(
    session: AsyncSession, site_id: UUID | None, location: str | None
) -> str | None:
    """Return the zone of the site, or of all the sites at this location if they share one."""
    if site_id is not None:
        return (await site_of(session, site_id)).timezone
    if not fold(location):
        return None
    zones = await session.scalars(
        select(Site.timezone)
        .where(is_folded(Site.location, location), Site.removed.is_(False))
        .distinct()
        .limit(2)
    )
    found = list(zones)
    return found[0] if len(found) == 1 else None


async def checked(session: AsyncSession, terms: StoredTerms) -> StoredTerms:
    """Return terms that can be billed by.

    Raises:
        RateRefused: something is missing, or contradicts something else.
        RateTooLarge: they would not fit one event.
        UnknownIndexSeries: there is none of this id, or it is in another currency.
    """
    if len(terms.model_dump_json().encode()) > MOST_BYTES:
        raise RateTooLarge(
            f"A rate's fields have at most {MOST_BYTES} bytes as JSON.", field="tou_schedule"
        )
    tariff = terms.tariff()
    many = len(tariff.windows) >= _MANY_ROWS
    refuse(await asyncio.to_thread(defects, tariff) if many else defects(tariff))
    if terms.index_series_id is not None:
        series = await session.get(IndexSeries, terms.index_series_id)
        if series is None or series.currency != terms.currency:
            detail = (
                "There is no index series of this id."
                if series is None
                else f"The index is in {series.currency}, the rate in {terms.currency}."
            )
            raise UnknownIndexSeries(detail, field="index_series_id")
    return terms


def refuse(found: Sequence[Defect]) -> None:
    """Refuse a rate with defects.

    Raises:
        RateRefused: there is one.
    """
    if not found:
        return
    errors = [
        {"pointer": f"/body/{'/'.join(_places(one))}", "detail": one.message, "code": one.code}
        for one in found[:50]
    ]
    first = found[0]
    names = [place for place in _places(first) if not place.isdecimal()]
    raise RateRefused(first.message, field=names[-1], errors=errors)


def _places(defect: Defect) -> list[str]:
    """Return the way to a field: `tou_schedule[0].rate` is tou_schedule, 0, rate."""
    return _PLACES.findall(defect.field)


def past_of(moment: datetime | None, zone: str, *, field: str = "valid_from") -> datetime:
    """Return an instant that is not in the future; now, where none is given.

    Raises:
        InFuture: it is.
    """
    present = now()
    found = instant(moment, ZoneInfo(zone)) if moment is not None else present
    if found > present + _CLOCK_SKEW:
        raise InFuture(f"{field} is {found.isoformat()}, which is yet to come.", field=field)
    return min(found, present)
