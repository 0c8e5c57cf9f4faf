"""What many new machines are checked against, read once instead of once for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from hosting.domain.addresses import Network, UnusableAddress, machine_address
from hosting.miners.models import Miner, Organisation
from hosting.miners.nameplate import Nameplate, Nameplates, UnknownModel, known_nameplates
from hosting.settings import Settings
from hosting.sites.models import Rack, Site
from hosting.sites.registry import networks_of, site_of

T = TypeVar("T")


class BadCell(Exception):
    """A cell that names something that does not exist, or is taken."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.field = column


@dataclass(slots=True)
class Surroundings:
    """The sites, clients, racks and models of an organisation, and what is taken already."""

    default_site: Site | None
    sites: dict[str, Site]
    networks: dict[UUID, list[Network]]
    clients: dict[str, UUID]
    racks: dict[tuple[UUID, str], Rack]
    models: Nameplates
    serials: set[str]
    addresses: set[tuple[UUID, str, int]]
    places: set[tuple[UUID, int]]
    _plates: dict[tuple[str, float | None, float | None], Nameplate] = field(
        default_factory=dict[tuple[str, float | None, float | None], Nameplate]
    )

    def site(self, name: str | None) -> Site:
        """Return the site that a cell names by id or name, else the default."""
        found = self.default_site if name is None else self.sites.get(name.casefold())
        if found is None:
            raise BadCell("site", f"There is no site {name!r}." if name else "No site is given.")
        return found

    def client(self, name: str | None) -> UUID | None:
        """Return the client that a cell names by id or name."""
        if name is None:
            return None
        found = self.clients.get(name.casefold())
        if found is None:
            raise BadCell("client", f"There is no active client {name!r}.")
        return found

    def rack(self, site_id: UUID, name: str | None, position: int | None) -> UUID | None:
        """Return the rack that a cell names by id or name, if it has the position."""
        if name is None and position is None:
            return None
        if name is None or position is None:
            raise BadCell("rack", "rack and position go together.")
        rack = self.racks.get((site_id, name.casefold()))
        if rack is None:
            raise BadCell("rack", f"There is no rack {name!r} at the site.")
        if position > rack.rows * rack.positions:
            raise BadCell("position", f"{rack.name} has {rack.rows * rack.positions} positions.")
        return rack.id

    def nameplate(self, model: str, hashrate_ths: float | None, power_w: float | None) -> Nameplate:
        """Return the machine's rating."""
        asked = (model, hashrate_ths, power_w)
        if asked not in self._plates:
            try:
                self._plates[asked] = self.models.of(*asked)
            except UnknownModel as error:
                raise BadCell("model", error.detail) from error
        return self._plates[asked]

    def address(self, site_id: UUID, ip: str) -> str:
        """Return the address in its plain form, if it is one of the site's."""
        try:
            return str(machine_address(ip, self.networks[site_id]))
        except UnusableAddress as error:
            raise BadCell("cgminer_ip", f"{error}.") from error

    def claim(self, miner: Miner) -> None:
        """Note what a new machine takes: its serial number, its address, its place."""
        if miner.serial_key in self.serials:
            raise BadCell("serial_number", f"{miner.serial_number} exists already.")
        address = (miner.site_id, miner.cgminer_ip, miner.cgminer_port)
        if address in self.addresses:
            raise BadCell("cgminer_ip", f"{miner.cgminer_ip} belongs to another machine.")
        if miner.rack_id is not None and miner.position is not None:
            place = (miner.rack_id, miner.position)
            if place in self.places:
                raise BadCell("position", "Another machine stands there.")
            self.places.add(place)
        self.serials.add(miner.serial_key)
        self.addresses.add(address)


async def surroundings_of(
    session: AsyncSession, settings: Settings, *, site_id: UUID | None, serial_keys: Sequence[str]
) -> Surroundings:
    """Read what new machines of the caller's organisation are checked against.

    Raises:
        SiteNotFound: the default site does not exist.
    """
    default = await site_of(session, site_id) if site_id else None
    # Locked against a change of their ranges until the machines are written.
    sites = await session.scalars(
        select(Site)
        .where(Site.removed_at.is_(None))
        .order_by(Site.id)
        .with_for_update(key_share=True, read=True)
    )
    known = list(sites)
    clients = await session.scalars(
        select(Organisation).where(Organisation.kind == "client", Organisation.active)
    )
    racks = await session.scalars(select(Rack))
    addresses, places = await _taken(session)
    serials = await session.scalars(
        select(Miner.serial_key).where(
            Miner.serial_key == any_(literal(list(serial_keys), ARRAY(Text))),
            Miner.removed_at.is_(None),
        )
    )
    return Surroundings(
        default_site=default,
        sites=_by_name((site.id, site.name, site) for site in known),
        networks={site.id: networks_of(site.allowed_cidrs, settings) for site in known},
        clients=_by_name((client.id, client.name, client.id) for client in clients),
        racks=_racks(racks),
        models=await known_nameplates(session),
        serials=set(serials),
        addresses=addresses,
        places=places,
    )


async def _taken(
    session: AsyncSession,
) -> tuple[set[tuple[UUID, str, int]], set[tuple[UUID, int]]]:
    rows = await session.execute(
        select(
            Miner.site_id, Miner.cgminer_ip, Miner.cgminer_port, Miner.rack_id, Miner.position
        ).where(Miner.removed_at.is_(None))
    )
    addresses: set[tuple[UUID, str, int]] = set()
    places: set[tuple[UUID, int]] = set()
    for site_id, ip, port, rack_id, position in rows:
        addresses.add((site_id, ip, port))
        if rack_id is not None and position is not None:
            places.add((rack_id, position))
    return addresses, places


def _by_name(found: Iterable[tuple[UUID, str, T]]) -> dict[str, T]:
    named: dict[str, T] = {}
    for identity, name, value in found:
        named[name.casefold()] = value
        named[str(identity)] = value
    return named


def _racks(racks: Iterable[Rack]) -> dict[tuple[UUID, str], Rack]:
    return {
        (rack.site_id, key): rack for rack in racks for key in (rack.name.casefold(), str(rack.id))
    }
