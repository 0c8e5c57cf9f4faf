"""Tables of sites, their racks and the credentials of their machines."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Tenant
from common.ids import new_id
from hosting.db import Base


class Site(Tenant, Base):
    """A place with machines, power and an address range of its own."""

    __tablename__ = "site"
    __table_args__ = (
        Index("ix_site_organisation_id", "organisation_id", "id"),
        Index(
            "uq_site_organisation_id_name",
            "organisation_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    location: Mapped[str]
    timezone: Mapped[str]
    capacity_mw: Mapped[float]
    power_limit_mw: Mapped[float | None]
    allowed_cidrs: Mapped[list[str]]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    removed_at: Mapped[datetime | None]


class Credential(Tenant, Base):
    """The sealed credential of one firmware family at one site; only telemetry opens it."""

    __tablename__ = "credential"
    __table_args__ = (Index("ix_credential_organisation_id", "organisation_id", "site_id"),)

    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id), primary_key=True)
    firmware: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Rack(Tenant, Base):
    """A rack: `rows` shelves of `positions` places each."""

    __tablename__ = "rack"
    __table_args__ = (
        UniqueConstraint("site_id", "name"),
        Index("ix_rack_organisation_id", "organisation_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    site_id: Mapped[UUID] = mapped_column(ForeignKey(Site.id))
    name: Mapped[str]
    rows: Mapped[int]
    positions: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
