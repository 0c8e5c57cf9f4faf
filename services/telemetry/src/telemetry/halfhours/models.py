"""The ledger: a row per miner and half-hour, with revisions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Tenant
from telemetry.db import Base


class HalfHourRow(Base):
    """The newest revision; the earlier ones are in the events."""

    __tablename__ = "half_hour"
    __table_args__: Any = (Index("ix_half_hour_site_id", "site_id", "starts_at"),)

    miner_id: Mapped[UUID] = mapped_column(primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    client_id: Mapped[UUID | None]
    revision: Mapped[int] = mapped_column(SmallInteger)
    kwh: Mapped[float | None]
    th_h: Mapped[float | None]
    state: Mapped[str]
    cause: Mapped[str | None]
    coverage: Mapped[float]
    simulated: Mapped[bool]


class HalfHourClose(Tenant, Base):
    """Which half-hours of a site are closed, at which revision, and which need another look."""

    __tablename__ = "half_hour_close"
    __table_args__: Any = (
        Index("ix_half_hour_close_organisation_id", "organisation_id", "site_id", "starts_at"),
    )

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(SmallInteger)
    dirty: Mapped[bool]
    closed_at: Mapped[datetime]
    imported: Mapped[bool] = mapped_column(server_default=text("false"))
    """Told by the simulated world, not closed from samples."""


class Incident(Tenant, Base):
    """A revisable stretch of time with a cause, as hosting publishes it."""

    __tablename__ = "incident"
    __table_args__: Any = (
        Index("ix_incident_organisation_id", "organisation_id", "id"),
        Index("ix_incident_site_id", "site_id", "starts_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    cause: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    miner_ids: Mapped[list[Any]]
    """Empty: the whole site."""
    version: Mapped[int] = mapped_column(BigInteger)
