"""Tables of incidents: why machines of a site did not run, from when to when."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Tenant
from common.ids import new_id
from hosting.db import Base

Cause = Literal["maintenance", "host_fault", "customer_fault", "grid", "economic"]


class Incident(Tenant, Base):
    """One cause at one site, however many machines it holds."""

    __tablename__ = "incident"
    __table_args__ = (
        Index("ix_incident_organisation_id", "organisation_id", "id"),
        Index(
            "ix_incident_open", "site_id", "cause", postgresql_where=text("ends_at IS NULL")
        ),
        Index("ix_incident_unannounced", "id", postgresql_where=text("NOT announced")),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    site_id: Mapped[UUID]
    cause: Mapped[Cause] = mapped_column(Text)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    announced: Mapped[bool] = mapped_column(default=False)
    """False while machines have joined of which no event has told yet."""
    version: Mapped[int] = mapped_column(default=0)


class IncidentMiner(Tenant, Base):
    """A machine in an incident."""

    __tablename__ = "incident_miner"
    __table_args__ = (
        Index("ix_incident_miner_organisation_id", "organisation_id", "incident_id"),
        Index(
            "ix_incident_miner_open", "miner_id", postgresql_where=text("left_at IS NULL")
        ),
    )  # fmt: skip

    incident_id: Mapped[UUID] = mapped_column(
        ForeignKey(Incident.id, ondelete="CASCADE"), primary_key=True
    )
    miner_id: Mapped[UUID] = mapped_column(primary_key=True)
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
