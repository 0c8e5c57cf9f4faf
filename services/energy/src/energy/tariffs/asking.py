"""Finding the rate that a question is about: stored, in force somewhere, or sent along."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Invalid, NotFound
from energy.domain.tariff import Tariff
from energy.tariffs.bill_schemas import InlineRate, RateUsed
from energy.tariffs.checks import checked, resolved
from energy.tariffs.models import ElectricityRate
from energy.tariffs.places import Whereabouts, whereabouts
from energy.tariffs.reading import Version, timeline_of, versions_chosen
from energy.tariffs.registry import rate_of, rates_of
from energy.tariffs.schedules import instant
from energy.tariffs.terms import StoredTerms

MOST_COMPARED = 50
_DAY = timedelta(days=1)
"""No zone is further than that from UTC."""


class NoActiveRate(NotFound):
    title: ClassVar[str] = "No rate is in force there"


class NaiveTime(Invalid):
    title: ClassVar[str] = "The time has no offset, and nothing says which zone it is in"


@dataclass(frozen=True, slots=True)
class Asked:
    """A rate that something is to be priced by."""

    rate_id: UUID | None
    version: int | None
    terms: StoredTerms
    tariff: Tariff

    def used(self) -> RateUsed:
        """Return how an answer names it."""
        return RateUsed(
            id=self.rate_id,
            version=self.version,
            name=self.terms.name,
            rate_type=self.terms.rate_type,
            location=self.terms.location,
            site_id=self.terms.site_id,
            timezone=self.terms.zone(),
            currency=self.terms.currency,
        )

    def instant(self, moment: datetime, field: str) -> datetime:
        """Return a time in UTC; one without offset is in the rate's zone.

        Raises:
            NaiveTime: it has no offset, and the rate was never given a zone.
        """
        if moment.tzinfo is None and self.terms.timezone_from == "default":
            raise NaiveTime(
                f"{field} has no offset and the rate no time zone: write {moment.isoformat()}Z, or "
                "give the rate a timezone.",
                field=field.rpartition(".")[2],
            )
        return instant(moment, ZoneInfo(self.terms.zone()))


async def by_id(session: AsyncSession, rate_id: UUID) -> Asked:
    """Return a stored rate as its newest version says."""
    rate = await rate_of(session, rate_id)
    return _asked(rate.id, rate.rate_version, StoredTerms.model_validate(rate.body))


async def in_force(
    session: AsyncSession,
    *,
    site_id: UUID | None = None,
    location: str | None = None,
    at: datetime | None = None,
) -> Asked:
    """Return the rate in force at a site or location, now or at a time.

    Raises:
        NoActiveRate: none is.
    """
    where = await whereabouts(session, site_id=site_id, location=location)
    version = await _held(session, where, at or now())
    if version is None:
        place = f"site {site_id}" if site_id else f"location {location}" if location else "default"
        raise NoActiveRate(
            f"No rate is in force ({place}): create one, or activate one of those that exist.",
            field="site_id" if site_id else "location",
        )
    return Asked(version.rate_id, version.version, version.terms, version.tariff)


async def _held(session: AsyncSession, where: Whereabouts, moment: datetime) -> Version | None:
    """Return what held at a time; one without offset is read in the zone of what held then.

    Where the zone changed with the rate, a local time may come twice: the first one counts. Or
    never, then nothing held.
    """
    if moment.tzinfo is not None:
        chosen = (await timeline_of(session, where, moment, moment)).at(moment)
        return (await versions_chosen(session, [chosen]))[chosen] if chosen is not None else None
    first, last = (moment.replace(tzinfo=UTC) + day for day in (-_DAY, _DAY))
    stretches = list((await timeline_of(session, where, first, last)).between(first, last))
    versions = await versions_chosen(session, {held for *_, held in stretches if held is not None})
    for since, until, held in stretches:
        if held is not None:
            zone = ZoneInfo(versions[held].terms.zone())
            if since <= instant(moment, zone) < until:
                return versions[held]
    return None


async def sent_along(session: AsyncSession, rate: InlineRate) -> Asked:
    """Return a rate that came with the question, refused as a stored one would be."""
    return _asked(None, None, await checked(session, await resolved(session, rate)))


async def drafted(session: AsyncSession, rate: InlineRate) -> Asked:
    """Return a rate that came with the question, whatever is wrong with it."""
    return _asked(None, None, await resolved(session, rate))


async def several(
    session: AsyncSession, rate_ids: list[UUID] | None, rates: list[InlineRate] | None
) -> list[Asked]:
    """Return the rates to compare: those named or sent along, else all of the organisation."""
    if rate_ids is None and rates is None:
        rows = await session.scalars(
            select(ElectricityRate)
            .where(ElectricityRate.removed_at.is_(None))
            .order_by(ElectricityRate.active.desc(), ElectricityRate.id)
            .limit(MOST_COMPARED)
        )
        return [_asked(r.id, r.rate_version, StoredTerms.model_validate(r.body)) for r in rows]
    found = await rates_of(session, rate_ids or ())
    named = [_asked(r.id, r.rate_version, StoredTerms.model_validate(r.body)) for r in found]
    return named + [await sent_along(session, rate) for rate in rates or ()]


def _asked(rate_id: UUID | None, version: int | None, terms: StoredTerms) -> Asked:
    return Asked(rate_id, version, terms, terms.tariff())
