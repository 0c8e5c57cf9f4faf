"""The table of what users have calculated."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from calculator.db import Base
from common.db import ClientOwned
from common.ids import new_id


class HistoryEntry(ClientOwned, Base):
    """One calculation, projection or batch of one user, as it was asked and answered."""

    __tablename__ = "history_entry"
    __table_args__ = (
        Index("ix_history_entry_organisation_id", "organisation_id", "created_by", "id"),
        Index("ix_history_entry_created_at", "created_at"),
        CheckConstraint("kind IN ('calculation', 'projection', 'batch')", name="kind_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_by: Mapped[UUID]
    kind: Mapped[str]
    title: Mapped[str]
    summary: Mapped[dict[str, Any]]
    """The few figures that a list shows."""
    request: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any]]
    share_sha256: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    """Of the link's secret part, which is not kept."""
    shared_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
