"""Tables of files that wait for their job."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from hosting.db import Base


class ImportUpload(ClientOwned, Base):
    """A file whose rows are imported by a job; kept a month for its list of errors."""

    __tablename__ = "miner_import"
    __table_args__ = (Index("ix_miner_import_organisation_id", "organisation_id", "job_id"),)

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    caller: Mapped[dict[str, Any]]
    """Who sent it, with the permissions that an import asks for."""
    options: Mapped[dict[str, Any]]
    rows: Mapped[int]
    parts: Mapped[int]
    ignored_columns: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)


class ImportPart(ClientOwned, Base):
    """As many rows as one step of the job imports, and what was wrong with them."""

    __tablename__ = "miner_import_part"
    __table_args__ = (
        Index("ix_miner_import_part_organisation_id", "organisation_id", "job_id"),
        Index("ix_miner_import_part_kept", "job_id", postgresql_where=text("rows IS NOT NULL")),
    )

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey(ImportUpload.job_id, ondelete="CASCADE"), primary_key=True
    )
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rows: Mapped[bytes | None] = mapped_column(LargeBinary)
    """JSON `[[row number, cells], ...]`; null once done. Bytes, as JSONB holds no NUL."""
    errors: Mapped[list[Any]]
