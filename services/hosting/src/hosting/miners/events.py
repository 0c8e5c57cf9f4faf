"""What the machine feature publishes."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.events import Event
from hosting.domain.miner_status import DeviceAction, MinerStatus, is_polled
from hosting.miners.models import Firmware, Miner

COMMANDS_PER_EVENT = 1000


class MinerRegistered(Event):
    """A machine is new here; the whole public state, on a compacted topic."""

    type: ClassVar[str] = "hosting.miner.registered.v1"
    aggregate: ClassVar[str] = "miner_id"

    miner_id: UUID
    client_id: UUID | None
    site_id: UUID
    serial_number: str
    model: str
    firmware: Firmware | None
    ip: str
    port: int
    status: MinerStatus
    polled: bool
    nameplate_hashrate_ths: float | None
    nameplate_power_w: float | None
    removed: bool


class MinerChanged(MinerRegistered):
    """A machine has changed; the whole public state again."""

    type: ClassVar[str] = "hosting.miner.changed.v1"


class MinerCommand(BaseModel):
    """One order to one machine. The id stays the same however often the event arrives."""

    model_config = ConfigDict(frozen=True)

    command_id: UUID
    miner_id: UUID


class CommandOrdered(Event):
    """Machines of one site shall start, stop or reboot, because a person said so."""

    type: ClassVar[str] = "hosting.command.ordered.v1"
    aggregate: ClassVar[str] = "site_id"

    site_id: UUID
    action: DeviceAction
    commands: list[MinerCommand]
    plan_id: None = None
    """Commands of a plan travel as `hosting.curtailment.ordered.v1`."""
    reason: str
    deadline_at: datetime


def miner_event(miner: Miner, kind: type[MinerRegistered] = MinerChanged) -> MinerRegistered:
    """Return the event that carries a machine's state as it is now."""
    removed = miner.removed_at is not None
    return kind(
        organisation_id=miner.organisation_id,
        version=miner.version,
        miner_id=miner.id,
        client_id=miner.client_id,
        site_id=miner.site_id,
        serial_number=miner.serial_number,
        model=miner.model,
        firmware=miner.firmware,
        ip=miner.cgminer_ip,
        port=miner.cgminer_port,
        status=miner.status,
        polled=is_polled(miner.status, enabled=miner.enabled, removed=removed),
        nameplate_hashrate_ths=miner.nameplate_hashrate_ths,
        nameplate_power_w=miner.nameplate_power_w,
        removed=removed,
    )
