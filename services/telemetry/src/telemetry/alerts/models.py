"""Alerts that are or were open."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from common.ids import new_id
from telemetry.db import Base


class Alert(ClientOwned, Base):
    __tablename__ = "alert"
    __table_args__: Any = (
        Index("ix_alert_organisation_id", "organisation_id", "id"),
        Index(
            "uq_alert_open", "miner_id", "rule", unique=True,
            postgresql_where=text("cleared_at IS NULL"),
        ),
        Index("ix_alert_site_id", "site_id", "fired_at"),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    miner_id: Mapped[UUID]
    site_id: Mapped[UUID]
    rule: Mapped[str]
    severity: Mapped[str]
    value: Mapped[float | None]
    threshold: Mapped[float | None]
    fired_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]
