"""Machines: registering, changing, approving and removing them one by one."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Forbidden, Invalid, NotFound
from hosting.db import AuditEvent, Outbox
from hosting.domain.addresses import UnusableAddress, machine_address
from hosting.domain.serial import serial_key
from hosting.incidents import ledger
from hosting.miners.events import MinerRegistered, miner_event
from hosting.miners.holds import held, plans_holding
from hosting.miners.models import Miner, Organisation
from hosting.miners.nameplate import known_nameplates
from hosting.miners.schemas import MinerChange, NewMiner
from hosting.miners.statuses import StatusConflict, announce_changed, locked, move
from hosting.settings import Settings
from hosting.sites.models import Rack, Site
from hosting.sites.registry import networks_of


class MinerNotFound(NotFound):
    title: ClassVar[str] = "No such machine"


class SerialTaken(Conflict):
    title: ClassVar[str] = "A machine with this serial number exists"


class AddressTaken(Conflict):
    title: ClassVar[str] = "Another machine of the site has this address"


class PlaceTaken(Conflict):
    title: ClassVar[str] = "Another machine stands at this position"


class UnknownSite(Invalid):
    title: ClassVar[str] = "The site does not exist"


class UnknownClient(Invalid):
    title: ClassVar[str] = "The client does not exist"


class NoSuchPlace(Invalid):
    title: ClassVar[str] = "The rack has no such position"


class AddressOutside(Invalid):
    title: ClassVar[str] = "The address is not one of the site's"


async def miner_of(session: AsyncSession, miner_id: UUID, *, change: bool = False) -> Miner:
    """Return a machine that the caller may see; with `change`, locked until the end.

    Raises:
        MinerNotFound: there is none, or it was removed.
    """
    if change:
        found = next(iter(await locked(session, [miner_id])), None)
    else:
        found = await session.scalar(
            select(Miner).where(Miner.id == miner_id, Miner.removed_at.is_(None))
        )
    if found is None:
        raise not_found(miner_id)
    return found


def not_found(miner_id: UUID) -> MinerNotFound:
    """Return the problem that says no more than that the caller sees no such machine."""
    return MinerNotFound(f"There is no machine {miner_id}.")


async def register_miner(
    session: AsyncSession, principal: Principal, settings: Settings, body: NewMiner
) -> Miner:
    """Register one machine, and approve it at once where the caller asks and may."""
    if body.approve:
        require_approver(principal)
    plate = (await known_nameplates(session)).of(body.model, body.hashrate_ths, body.power_w)
    miner = Miner(
        organisation_id=principal.organisation_id,
        **body.model_dump(exclude={"model", "hashrate_ths", "power_w", "approve"}),
        serial_key=serial_key(body.serial_number),
        model=plate.model,
        nameplate_hashrate_ths=plate.hashrate_ths,
        nameplate_power_w=plate.power_w,
        status="active" if body.approve else "pending_approval",
        version=1,
    )
    await _check(session, settings, miner)
    session.add(miner)
    await session.flush()  # the aggregate first, its event after it
    session.add(Outbox.of(miner_event(miner, MinerRegistered)))
    await record(session, principal, "miner.register", [miner], body.model_dump(mode="json"))
    return miner


async def change_miner(
    session: AsyncSession, principal: Principal, settings: Settings, miner_id: UUID,
    body: MinerChange,
) -> Miner:  # fmt: skip
    """Change the given fields of a machine."""
    miner = await miner_of(session, miner_id, change=True)
    changes = body.model_dump(exclude_unset=True)
    detail = body.model_dump(exclude_unset=True, mode="json")
    await _rate(session, miner, changes)
    if changes.get("site_id", miner.site_id) != miner.site_id and "rack_id" not in changes:
        changes["rack_id"] = None
    if "rack_id" in changes and changes["rack_id"] is None:
        changes["position"] = None
    for name, value in changes.items():
        setattr(miner, name, value)
    miner.serial_key = serial_key(miner.serial_number)
    await _check(session, settings, miner)
    await announce_changed(session, [miner])
    await record(session, principal, "miner.change", [miner], detail)
    return miner


async def approve(session: AsyncSession, principal: Principal, miners: Sequence[Miner]) -> None:
    """Approve locked machines that wait for it: from now on they are polled."""
    await move(session, miners, "active")
    await record(session, principal, "miner.approve", miners)


async def approve_one(session: AsyncSession, principal: Principal, miner_id: UUID) -> Miner:
    """Approve one machine."""
    miner = await miner_of(session, miner_id, change=True)
    if miner.status != "pending_approval":
        raise StatusConflict(
            f"{miner.serial_number} is {miner.status}, not pending approval.",
            status_now=miner.status,
        )
    await approve(session, principal, [miner])
    return miner


async def remove_one(session: AsyncSession, principal: Principal, miner_id: UUID) -> None:
    """Remove one machine, unless a plan holds it."""
    miner = await miner_of(session, miner_id, change=True)
    by_plan = held(miner, "delete", await plans_holding(session, [miner_id]))
    if by_plan is not None:
        raise by_plan
    await remove(session, principal, [miner])


async def remove(session: AsyncSession, principal: Principal, miners: Sequence[Miner]) -> None:
    """Remove locked machines; their serial numbers, addresses and places become free."""
    at = now()
    for miner in miners:
        miner.removed_at = at
        miner.rack_id = miner.position = None
    await move(session, miners, "retired")
    await ledger.leave(session, [miner.id for miner in miners], at)
    await record(session, principal, "miner.remove", miners)


def require_approver(principal: Principal) -> None:
    """Make sure that the caller may approve machines."""
    if "miners:approve" not in principal.scopes:
        raise Forbidden(
            "Approving machines needs the permission miners:approve.",
            required_scopes=["miners:approve"],
        )


async def record(
    session: AsyncSession, principal: Principal, action: str, miners: Sequence[Miner],
    detail: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write one audit line for what was done to these machines."""
    many = len(miners) > 1
    lines = {"miner_ids": [str(miner.id) for miner in miners]} if many else {}
    await audit(
        session,
        AuditEvent,
        principal,
        action=action,
        object_type="miners" if many else "miner",
        object_id=f"{len(miners)} machines" if many else miners[0].id,
        detail=(detail or {}) | lines,
    )


async def _rate(session: AsyncSession, miner: Miner, changes: dict[str, Any]) -> None:
    """Replace model and rating in the changes by what the registry or the caller says."""
    hashrate_ths, power_w = changes.pop("hashrate_ths", None), changes.pop("power_w", None)
    if "model" in changes:
        plate = (await known_nameplates(session)).of(changes["model"], hashrate_ths, power_w)
        changes["model"] = plate.model
        hashrate_ths, power_w = plate.hashrate_ths, plate.power_w
    changes["nameplate_hashrate_ths"] = hashrate_ths or miner.nameplate_hashrate_ths
    changes["nameplate_power_w"] = power_w or miner.nameplate_power_w


async def _check(session: AsyncSession, settings: Settings, miner: Miner) -> None:
    """Check a machine against its surroundings, before it is written."""
    await _check_address(session, settings, miner)
    await _check_client(session, miner.client_id)
    await _check_place(session, miner)
    await _check_unique(session, miner)


async def _check_address(session: AsyncSession, settings: Settings, miner: Miner) -> None:
    # Locked against a change of its ranges until this machine is written.
    site = await session.scalar(
        select(Site)
        .where(Site.id == miner.site_id, Site.removed_at.is_(None))
        .with_for_update(key_share=True, read=True)
    )
    if site is None:
        raise UnknownSite(f"There is no site {miner.site_id}.", field="site_id")
    try:
        networks = networks_of(site.allowed_cidrs, settings)
        miner.cgminer_ip = str(machine_address(miner.cgminer_ip, networks))
    except UnusableAddress as error:
        raise AddressOutside(f"cgminer_ip: {error}.", field="cgminer_ip") from error


async def _check_client(session: AsyncSession, client_id: UUID | None) -> None:
    if client_id is None:
        return
    client = await session.get(Organisation, client_id)
    if client is None or client.kind != "client" or not client.active:
        raise UnknownClient(f"There is no active client {client_id}.", field="client_id")


async def _check_place(session: AsyncSession, miner: Miner) -> None:
    if miner.rack_id is None or miner.position is None:
        if (miner.rack_id is None) != (miner.position is None):
            raise NoSuchPlace("rack_id and position go together.", field="rack_id")
        return
    rack = await session.get(Rack, miner.rack_id)
    if rack is None or rack.site_id != miner.site_id:
        raise NoSuchPlace(f"There is no rack {miner.rack_id} at the site.", field="rack_id")
    if miner.position > rack.rows * rack.positions:
        raise NoSuchPlace(
            f"{rack.name} has {rack.rows * rack.positions} positions.", field="position"
        )


async def _check_unique(session: AsyncSession, miner: Miner) -> None:
    same_address = (
        (Miner.site_id == miner.site_id)
        & (Miner.cgminer_ip == miner.cgminer_ip)
        & (Miner.cgminer_port == miner.cgminer_port)
    )
    same_place = (
        Miner.rack_id.is_not(None)  # machines without a place are not in each other's way
        & (Miner.rack_id == miner.rack_id)
        & (Miner.position == miner.position)
    )
    same_serial = (Miner.organisation_id == miner.organisation_id) & (
        Miner.serial_key == miner.serial_key
    )
    others = Miner.removed_at.is_(None)
    if miner.id is not None:  # pyright: ignore[reportUnnecessaryComparison]  (None before the insert)
        others &= Miner.id != miner.id
    for same, kind, field in (
        (same_serial, SerialTaken, "serial_number"),
        (same_address, AddressTaken, "cgminer_ip"),
        (same_place, PlaceTaken, "position"),
    ):
        found = await session.scalar(select(Miner).where(others, same))
        if found is not None:
            raise kind(f"{kind.title}: {found.serial_number}.", field=field, existing_id=found.id)
