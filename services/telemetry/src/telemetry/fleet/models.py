"""What telemetry knows of sites, machines and models: read from events, never edited here."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned, Tenant
from telemetry.db import Base


class Site(Tenant, Base):
    __tablename__ = "site"
    __table_args__: Any = (Index("ix_site_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    timezone: Mapped[str]
    allowed_cidrs: Mapped[list[str]]
    credentials: Mapped[dict[str, Any]]
    """Sealed by hosting, by firmware family."""
    removed: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class MinerModel(Tenant, Base):
    __tablename__ = "miner_model"
    __table_args__: Any = (Index("ix_miner_model_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    names: Mapped[list[str]]
    """Name and aliases, in lower case: how a miner names its model."""
    hashrate_ths: Mapped[float]
    power_w: Mapped[float]
    removed: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Miner(ClientOwned, Base):
    __tablename__ = "miner"
    __table_args__: Any = (
        Index("ix_miner_organisation_id", "organisation_id", "id"),
        Index("ix_miner_site_id", "site_id"),
        Index("ix_miner_partition", "partition", "changed_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    serial_number: Mapped[str]
    model: Mapped[str]
    firmware: Mapped[str | None]
    ip: Mapped[str]
    port: Mapped[int]
    status: Mapped[str]
    polled: Mapped[bool]
    nameplate_hashrate_ths: Mapped[float | None]
    nameplate_power_w: Mapped[float | None]
    removed: Mapped[bool]
    partition: Mapped[int] = mapped_column(SmallInteger)
    """Kafka partition of this miner's key; the worker that holds it polls the miner."""
    version: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class PartitionOwner(Base):
    """Who polls a partition; the epoch rises with each assignment, so a zombie sees it is one."""

    __tablename__ = "partition_owner"

    partition: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(BigInteger)
    worker_id: Mapped[UUID]
    taken_at: Mapped[datetime]
