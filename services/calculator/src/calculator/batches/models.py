"""Tables of batches: what was asked and what came of it, part by part."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from calculator.db import Base
from calculator.history.models import HistoryEntry
from common.db import ClientOwned


class Batch(ClientOwned, Base):
    """Many machines asked for at once; its rows are kept for a month."""

    __tablename__ = "batch"
    __table_args__ = (
        Index("ix_batch_organisation_id", "organisation_id", "id"),
        Index("ix_batch_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(
        ForeignKey(HistoryEntry.id, ondelete="CASCADE"), primary_key=True
    )
    """The same as that of its place in the history."""
    job_id: Mapped[UUID | None] = mapped_column(unique=True)
    created_by: Mapped[UUID]
    rows: Mapped[int]
    parts: Mapped[int]
    ignored_columns: Mapped[list[str]]
    from_file: Mapped[bool]
    market: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """What the market said when the first part was calculated: all parts use the same."""
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class BatchPart(ClientOwned, Base):
    """As many rows as one step of the job calculates: columns as compressed JSON."""

    __tablename__ = "batch_part"
    __table_args__ = (Index("ix_batch_part_organisation_id", "organisation_id", "batch_id"),)

    batch_id: Mapped[UUID] = mapped_column(
        ForeignKey(Batch.id, ondelete="CASCADE"), primary_key=True
    )
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    asked: Mapped[bytes] = mapped_column(LargeBinary)
    answered: Mapped[bytes | None] = mapped_column(LargeBinary)
    totals: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
