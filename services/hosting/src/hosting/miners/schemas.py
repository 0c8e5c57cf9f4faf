"""Requests and answers of the machine routes."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, model_validator

from hosting.domain.addresses import LOWEST_PORT
from hosting.domain.miner_status import MinerStatus
from hosting.domain.serial import serial_key
from hosting.miners.models import Firmware
from hosting.quotes.schemas import Expected

MAX_BATCH = 10_000


def _visible(text: str) -> str:
    if not text.strip() or not text.isprintable() or not serial_key(text):
        msg = "must hold visible characters, on one line"
        raise ValueError(msg)
    return text.strip()


SerialNumber = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_visible)]
ModelName = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_visible)]
IpAddress = Annotated[str, Field(min_length=2, max_length=45, examples=["10.20.3.4"])]
Port = Annotated[StrictInt, Field(ge=LOWEST_PORT, le=65_535)]
HashrateThs = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
PowerW = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
Position = Annotated[StrictInt, Field(ge=1, le=40_000)]


class NewMiner(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    serial_number: SerialNumber
    model: ModelName
    site_id: UUID
    cgminer_ip: IpAddress
    cgminer_port: Port = 4028
    client_id: UUID | None = None
    firmware: Firmware | None = None
    hashrate_ths: HashrateThs | None = None
    power_w: PowerW | None = None
    rack_id: UUID | None = None
    position: Position | None = None
    enabled: bool = True
    approve: bool = False
    """Poll it at once; needs the permission `miners:approve`."""

    @model_validator(mode="after")
    def _place_is_whole(self) -> Self:
        if (self.rack_id is None) != (self.position is None):
            msg = "rack_id and position go together"
            raise ValueError(msg)
        return self


class MinerChange(BaseModel):
    """What to change; a field that is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    serial_number: SerialNumber = ""
    model: ModelName = ""
    site_id: UUID = UUID(int=0)
    cgminer_ip: IpAddress = ""
    cgminer_port: Port = 4028
    client_id: UUID | None = None
    firmware: Firmware | None = None
    hashrate_ths: HashrateThs | None = None
    power_w: PowerW | None = None
    rack_id: UUID | None = None
    position: Position | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            msg = "name at least one field to change"
            raise ValueError(msg)
        return self


class MinerView(BaseModel):
    """A machine as the books have it."""

    model_config = ConfigDict(from_attributes=True, protected_namespaces=())

    id: UUID
    serial_number: str
    model: str
    site_id: UUID
    client_id: UUID | None
    cgminer_ip: str
    cgminer_port: int
    firmware: Firmware | None
    enabled: bool
    status: MinerStatus
    nameplate_hashrate_ths: float
    nameplate_power_w: float
    rack_id: UUID | None
    position: int | None
    version: int
    created_at: datetime


class CommandView(BaseModel):
    """A start, shutdown or reboot ordered by hand, and how it went."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    miner_id: UUID
    action: Literal["sleep", "wake", "reboot"]
    state: str
    detail: str | None
    ordered_by: UUID
    ordered_at: datetime
    deadline_at: datetime
    finished_at: datetime | None


class MaintenanceView(BaseModel):
    """A time in which people work on a machine; `ended_at` is null while they do."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    miner_id: UUID
    reason: str
    started_at: datetime
    started_by: UUID
    ended_at: datetime | None
    ended_by: UUID | None


class MinerDetail(MinerView):
    """A machine with its surroundings and what telemetry knows of it."""

    site_name: str
    site_timezone: str
    rack_name: str | None
    reachable: bool
    telemetry: dict[str, Any] | None
    """The latest reading (see `GET /api/telemetry/miners/{id}`), or null."""
    telemetry_reason: str | None
    """Why there is no reading."""
    expected: Expected
    commands: list[CommandView]
    maintenance: list[MaintenanceView]


class NewMaintenance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_visible)]


class CommandAccepted(BaseModel):
    """An order on its way to a machine; telemetry reports on `/api/telemetry/commands/{id}`."""

    command_id: UUID


BatchAction = Literal["approve", "start", "shutdown", "reboot", "delete"]


class Batch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: BatchAction
    miner_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_BATCH)]


class ItemError(BaseModel):
    """Why one machine of a batch was left alone."""

    code: str
    detail: str
    plan_id: UUID | None = None
    """The live curtailment plan that holds the machine, where that is why."""


class BatchItem(BaseModel):
    """What became of one machine of a batch."""

    miner_id: UUID
    command_id: UUID | None
    """The order's id, where the action is one that a machine carries out."""
    error: ItemError | None


class BatchResult(BaseModel):
    """One result for each machine named, in the order in which they were first named."""

    results: list[BatchItem]


class SiteTiles(BaseModel):
    """How many machines are in which state."""

    total: int
    active: int
    offline: int
    maintenance: int
    curtailed: int
    pending: int
    starting: int
    stopping: int
    active_hashrate_ths: float = Field(description="What the active machines are rated for.")
    active_power_w: float = Field(description="What they are rated to draw.")


class SiteCount(SiteTiles):
    """The tiles of one site as they are counted, and kept."""

    site_id: UUID
    site_name: str


class FleetCount(SiteTiles):
    """The tiles of the whole fleet as they are counted, and kept."""

    by_site: list[SiteCount]


class SiteKpi(SiteCount):
    """The tiles of one site, and what its active machines are expected to earn."""

    expected: Expected


class Kpi(SiteTiles):
    """The tiles of the whole fleet, and of each site, with what is expected of them."""

    expected: Expected
    by_site: list[SiteKpi]
