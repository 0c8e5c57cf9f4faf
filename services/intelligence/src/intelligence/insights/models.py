"""What this service keeps of sites: their zone, their machines' ratings, and their half-hours."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Double, Identity, Index, Integer, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from common.db import ClientOwned, Tenant
from intelligence.db import Base

_UUIDS: TypeEngine[Any] = ARRAY(Uuid())
_NUMBERS: TypeEngine[Any] = ARRAY(Double[float]())


class Site(Tenant, Base):
    """Read model of hosting's sites."""

    __tablename__ = "site"
    __table_args__ = (Index("ix_site_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    timezone: Mapped[str]
    removed: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)


class SiteMiner(ClientOwned, Base):
    """Read model of hosting's machines: what they should do, and for whom."""

    __tablename__ = "site_miner"
    __table_args__ = (
        Index("ix_site_miner_organisation_id", "organisation_id", "id"),
        Index("ix_site_miner_site_id", "site_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    nameplate_hashrate_ths: Mapped[float | None]
    nameplate_power_w: Mapped[float | None]
    removed: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)


class HalfHourPart(ClientOwned, Base):
    """One event of telemetry's ledger as it came, for a few days: a revision replaces machines.

    Columns rather than rows: a part holds up to 500 machines of several clients, and is only ever
    read whole. So no client owns one, and none can read it.
    """

    __tablename__ = "half_hour_part"
    __table_args__ = (Index("ix_half_hour_part_site_id", "site_id", "starts_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    site_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    revision: Mapped[int]
    simulated: Mapped[bool]
    miner_ids: Mapped[list[UUID]] = mapped_column(_UUIDS)
    client_ids: Mapped[list[UUID | None]] = mapped_column(_UUIDS)
    kwh: Mapped[list[float | None]] = mapped_column(_NUMBERS)
    th_h: Mapped[list[float | None]] = mapped_column(_NUMBERS)


class SiteHalfHour(ClientOwned, Base):
    """A half-hour of one client's machines at a site (or of the operator's own: no client)."""

    __tablename__ = "site_half_hour"
    __table_args__ = (
        Index(
            "uq_site_half_hour_site_id",
            "site_id",
            "starts_at",
            "client_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_site_half_hour_organisation_id", "organisation_id", "site_id", "starts_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    site_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    machines: Mapped[int] = mapped_column(Integer)
    unknown: Mapped[int] = mapped_column(Integer)
    """Machines whose energy is not known: it is missing from the sum, never guessed."""
    kwh: Mapped[float]
    matched_kwh: Mapped[float]
    """Energy of the machines that reported both energy and hashes."""
    matched_th_h: Mapped[float]
    simulated: Mapped[bool]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
