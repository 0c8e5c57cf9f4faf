"""Tables of machines and of the read models that registering one needs."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned, Tenant
from common.ids import new_id
from hosting.db import Base
from hosting.domain.miner_status import DeviceAction, MinerStatus
from hosting.sites.models import Rack, Site

Firmware = Literal["luxos", "whatsminer", "antminer"]
_PRESENT = text("removed_at IS NULL")


class Miner(ClientOwned, Base):
    """One machine at a site."""

    __tablename__ = "miner"
    __table_args__ = (
        Index("ix_miner_organisation_id", "organisation_id", "id"),
        Index("ix_miner_site_id_status", "site_id", "status"),
        Index(
            "uq_miner_serial", "organisation_id", "serial_key",
            unique=True, postgresql_where=_PRESENT,
        ),
        Index(
            "uq_miner_address", "site_id", "cgminer_ip", "cgminer_port",
            unique=True, postgresql_where=_PRESENT,
        ),
        Index(
            "uq_miner_place", "rack_id", "position",
            unique=True, postgresql_where=text("removed_at IS NULL AND rack_id IS NOT NULL"),
        ),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id))
    serial_number: Mapped[str]
    serial_key: Mapped[str]
    """The serial number folded by case and space: what is unique and what search looks at."""
    model: Mapped[str]
    cgminer_ip: Mapped[str]
    cgminer_port: Mapped[int] = mapped_column(default=4028)
    firmware: Mapped[Firmware | None] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    status: Mapped[MinerStatus] = mapped_column(Text, default="pending_approval")
    nameplate_hashrate_ths: Mapped[float]
    nameplate_power_w: Mapped[float]
    rack_id: Mapped[UUID | None] = mapped_column(ForeignKey(Rack.id))
    position: Mapped[int | None]
    reachable: Mapped[bool] = mapped_column(default=True)
    """What telemetry said last; kept through maintenance, where the status does not show it."""
    reachable_since: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    removed_at: Mapped[datetime | None]


class MinerModel(Tenant, Base):
    """Read model of calculator's registry; rows of the platform are shared by all tenants."""

    __tablename__ = "miner_model"
    __table_args__ = (Index("ix_miner_model_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    aliases: Mapped[list[str]]
    hashrate_ths: Mapped[float]
    power_w: Mapped[float]
    version: Mapped[int]
    removed: Mapped[bool]


class Organisation(Tenant, Base):
    """Read model of identity: the operator and its clients."""

    __tablename__ = "organisation"
    __table_args__ = (Index("ix_organisation_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    parent_id: Mapped[UUID | None]
    kind: Mapped[str]
    name: Mapped[str]
    active: Mapped[bool]
    version: Mapped[int]


class Maintenance(ClientOwned, Base):
    """A time in which people work on a machine."""

    __tablename__ = "maintenance"
    __table_args__ = (
        Index("ix_maintenance_organisation_id", "organisation_id", "id"),
        Index(
            "uq_maintenance_open", "miner_id",
            unique=True, postgresql_where=text("ended_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    miner_id: Mapped[UUID] = mapped_column(ForeignKey(Miner.id), index=True)
    reason: Mapped[str]
    started_at: Mapped[datetime]
    started_by: Mapped[UUID]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[UUID | None]


class Command(ClientOwned, Base):
    """A start, shutdown or reboot that a person ordered; telemetry reports how it went."""

    __tablename__ = "command"
    __table_args__ = (
        Index("ix_command_organisation_id", "organisation_id", "id"),
        Index("ix_command_miner_id", "miner_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    miner_id: Mapped[UUID] = mapped_column(ForeignKey(Miner.id))
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id))
    action: Mapped[DeviceAction] = mapped_column(Text)
    state: Mapped[str] = mapped_column(default="ordered")
    detail: Mapped[str | None]
    status_before: Mapped[MinerStatus] = mapped_column(Text)
    ordered_by: Mapped[UUID]
    ordered_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
