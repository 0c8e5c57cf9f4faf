"""Organisations: the platform, its operators, and the operators' clients as their children."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from common.ids import new_id
from gateway.db import Base


class Organisation(ClientOwned, Base):
    """An operator is its own tenant; a client belongs to its operator's."""

    __tablename__ = "organisation"
    __table_args__ = (
        CheckConstraint("kind IN ('platform', 'operator', 'client')", name="kind"),
        CheckConstraint("(kind = 'client') = (parent_id IS NOT NULL)", name="parent"),
        CheckConstraint("(kind = 'client') = (client_id IS NOT NULL)", name="client"),
        Index("ix_organisation_organisation_id", "organisation_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisation.id"))
    kind: Mapped[str]
    name: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
