"""Where a rate holds: at a site, at a location, or everywhere in the organisation."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from energy.facts.models import Site

EVERYWHERE = ""
"""The place of an organisation's default rate."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The places whose rates may hold for a question, the nearest first."""

    organisation_id: UUID
    places: tuple[str, ...]


def place_of(site_id: UUID | None, location: str | None) -> str:
    """Return the place of a rate with this site and location."""
    if site_id is not None:
        return f"site:{site_id}"
    folded = fold(location)
    return f"location:{folded}" if folded else EVERYWHERE


def fold(location: str | None) -> str:
    """Return a location without regard to case and spacing."""
    return " ".join((location or "").casefold().split())


async def whereabouts(
    session: AsyncSession,
    *,
    site_id: UUID | None = None,
    location: str | None = None,
    organisation_id: UUID | None = None,
) -> Whereabouts:
    """Return where to look: the site, its location and name, then the organisation's default.

    A location that is a site's (or its name) stands for the site.

    Raises:
        LookupError: a session of the worker role names neither a known site nor an organisation.
    """
    sites = await _sites(session, site_id, location, organisation_id)
    named = [place_of(None, location)] if fold(location) else []
    near = [place_of(site_id, None)] if site_id is not None else []
    near += named + [place_of(site.id, None) for site in sites]
    near += [place_of(None, text) for site in sites for text in (site.location, site.name)]
    owner = organisation_id or session.info.get("organisation_id")
    if owner is None and not sites:
        msg = "the worker role sees every tenant: name the organisation"
        raise LookupError(msg)
    owner = owner or sites[0].organisation_id
    return Whereabouts(owner, tuple(dict.fromkeys([*near, EVERYWHERE])))


async def _sites(
    session: AsyncSession, site_id: UUID | None, location: str | None, organisation_id: UUID | None
) -> list[Any]:
    """Return the site meant; several may share a location."""
    query = select(Site.id, Site.organisation_id, Site.location, Site.name)
    if organisation_id is not None:
        query = query.where(Site.organisation_id == organisation_id)
    if site_id is not None:
        query = query.where(Site.id == site_id)
    elif fold(location):
        query = query.where(
            Site.removed.is_(False),
            or_(is_folded(Site.location, location), is_folded(Site.name, location)),
        )
    else:
        return []
    return list(await session.execute(query.order_by(Site.id).limit(20)))


def is_folded(column: Any, location: str | None) -> Any:
    """Return the condition that a column says a location, without regard to case and spacing."""
    return folded(column) == folded(literal(location or ""))


def folded(value: Any) -> Any:
    """Return the database's own folding of a text: both sides of a comparison need it.

    Beyond ASCII its idea of case follows its locale, and is not Python's.
    """
    return func.lower(func.btrim(func.regexp_replace(value, r"\s+", " ", "g")))
