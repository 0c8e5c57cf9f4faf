"""Sites: registering, changing and removing them."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.pages import PageRequest, page_of, paged
from hosting.db import AuditEvent, Outbox
from hosting.domain.addresses import Network, UnusableAddress, machine_network
from hosting.settings import Settings
from hosting.sites.events import SiteChanged
from hosting.sites.models import Credential, Site
from hosting.sites.occupancy import machines_by_site, machines_outside
from hosting.sites.schemas import NewSite, SiteChange, SiteView


class SiteNotFound(NotFound):
    title: ClassVar[str] = "No such site"


class SiteNameTaken(Conflict):
    title: ClassVar[str] = "A site of this name exists"


class SiteNotEmpty(Conflict):
    title: ClassVar[str] = "The site still holds machines"


class MachinesOutside(Conflict):
    title: ClassVar[str] = "Machines lie outside the new address ranges"


class BadCidr(Invalid):
    title: ClassVar[str] = "An address range cannot hold machines"


async def site_of(session: AsyncSession, site_id: UUID, *, change: bool = False) -> Site:
    """Return a site of the caller's organisation; with `change`, locked until the end.

    Raises:
        SiteNotFound: there is none, or it was removed.
    """
    query = select(Site).where(Site.id == site_id, Site.removed_at.is_(None))
    site = await session.scalar(query.with_for_update() if change else query)
    if site is None:
        raise SiteNotFound(f"There is no site {site_id}.")
    return site


async def register_site(
    session: AsyncSession, principal: Principal, settings: Settings, body: NewSite
) -> SiteView:
    """Register a site."""
    await _require_free_name(session, body.name)
    site = Site(
        organisation_id=principal.organisation_id,
        **body.model_dump(exclude={"allowed_cidrs"}),
        allowed_cidrs=_checked_cidrs(body.allowed_cidrs, settings),
    )
    session.add(site)
    await session.flush()  # the version and the defaults, before the event
    await announce(session, site)
    await _audit(session, principal, "site.register", site, body.model_dump())
    return (await _views(session, [site]))[0]


async def list_sites(session: AsyncSession, wanted: PageRequest) -> dict[str, Any]:
    """Return one page of the organisation's sites, by name."""
    query = select(Site).where(Site.removed_at.is_(None)).order_by(func.lower(Site.name), Site.id)
    sites, total = await paged(session, query, wanted)
    return page_of(await _views(session, sites), total, wanted)


async def site_view(session: AsyncSession, site_id: UUID) -> SiteView:
    """Return one site."""
    return (await _views(session, [await site_of(session, site_id)]))[0]


async def change_site(
    session: AsyncSession, principal: Principal, settings: Settings, site_id: UUID, body: SiteChange
) -> SiteView:
    """Change the given fields of a site."""
    site = await site_of(session, site_id, change=True)
    changes = body.model_dump(exclude_unset=True)
    if "name" in changes and changes["name"].lower() != site.name.lower():
        await _require_free_name(session, changes["name"])
    if "allowed_cidrs" in changes:
        changes["allowed_cidrs"] = _checked_cidrs(body.allowed_cidrs, settings)
        await _require_machines_inside(session, site_id, changes["allowed_cidrs"])
    for name, value in changes.items():
        setattr(site, name, value)
    site.version += 1
    await session.flush()
    await announce(session, site)
    await _audit(session, principal, "site.change", site, changes)
    return (await _views(session, [site]))[0]


async def remove_site(session: AsyncSession, principal: Principal, site_id: UUID) -> None:
    """Remove an empty site."""
    site = await site_of(session, site_id, change=True)
    count = (await machines_by_site(session, [site_id])).get(site_id, 0)
    if count:
        raise SiteNotEmpty(
            f"{site.name} holds {count} machines; move or delete them first.", miners=count
        )
    site.removed_at = now()
    site.version += 1
    await session.flush()
    await announce(session, site)
    await _audit(session, principal, "site.remove", site, {})


async def announce(session: AsyncSession, site: Site) -> None:
    """Publish the site as it is now, its sealed credentials with it."""
    credentials = await session.scalars(select(Credential).where(Credential.site_id == site.id))
    session.add(
        Outbox.of(
            SiteChanged(
                organisation_id=site.organisation_id,
                version=site.version,
                site_id=site.id,
                name=site.name,
                timezone=site.timezone,
                location=site.location,
                capacity_mw=site.capacity_mw,
                power_limit_mw=site.power_limit_mw,
                allowed_cidrs=site.allowed_cidrs,
                credentials={one.firmware: one.sealed for one in credentials},
                removed=site.removed_at is not None,
            )
        )
    )


def networks_of(texts: Iterable[str], settings: Settings) -> list[Network]:
    """Return the networks of a site that machines may live in today.

    Raises:
        UnusableAddress: one of them may no longer hold machines.
    """
    return [
        machine_network(
            text,
            allow_simulated=settings.allow_simulated_miners,
            forbidden=settings.forbidden_cidrs,
        )
        for text in texts
    ]


def _checked_cidrs(texts: Sequence[str], settings: Settings) -> list[str]:
    try:
        return list(dict.fromkeys(str(network) for network in networks_of(texts, settings)))
    except UnusableAddress as error:
        raise BadCidr(f"allowed_cidrs: {error}.", field="allowed_cidrs") from error


async def _require_free_name(session: AsyncSession, name: str) -> None:
    taken = await session.scalar(
        select(Site.id).where(func.lower(Site.name) == func.lower(name), Site.removed_at.is_(None))
    )
    if taken is not None:
        raise SiteNameTaken(
            f"There is already a site named {name}.", field="name", existing_id=taken
        )


async def _require_machines_inside(
    session: AsyncSession, site_id: UUID, cidrs: Sequence[str]
) -> None:
    serials = await machines_outside(session, site_id, cidrs, at_most=6)
    if serials:
        shown = ", ".join(serials[:5]) + (" and more" if len(serials) > 5 else "")  # noqa: PLR2004
        raise MachinesOutside(
            f"These machines would lie outside: {shown}. Change their addresses first.",
            field="allowed_cidrs",
        )


async def _views(session: AsyncSession, sites: Sequence[Site]) -> list[SiteView]:
    ids = [site.id for site in sites]
    total = await machines_by_site(session, ids)
    stored = await session.execute(
        select(Credential.site_id, Credential.firmware)
        .where(Credential.site_id.in_(ids))
        .order_by(Credential.firmware)
    )
    families: dict[UUID, list[str]] = {}
    for site_id, firmware in stored:
        families.setdefault(site_id, []).append(firmware)
    return [
        SiteView(
            id=site.id,
            name=site.name,
            location=site.location,
            timezone=site.timezone,
            capacity_mw=site.capacity_mw,
            power_limit_mw=site.power_limit_mw,
            allowed_cidrs=site.allowed_cidrs,
            total_miners=total.get(site.id, 0),
            credentials=families.get(site.id, []),
            version=site.version,
            created_at=site.created_at,
        )
        for site in sites
    ]


async def _audit(
    session: AsyncSession, principal: Principal, action: str, site: Site, detail: dict[str, Any]
) -> None:
    await audit(
        session,
        AuditEvent,
        principal,
        action=action,
        object_type="site",
        object_id=site.id,
        detail=detail,
    )
