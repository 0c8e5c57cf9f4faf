"""The table of reconciliations."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Tenant
from common.ids import new_id
from energy.db import Base

_MONEY = Numeric(20, 6)


class Reconciliation(Tenant, Base):
    """A utility's bill against ours: both as they were, and where they differ and why."""

    __tablename__ = "reconciliation"
    __table_args__ = (
        Index("ix_reconciliation_organisation_id", "organisation_id", "site_id", "period_start"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    site_id: Mapped[UUID]
    period_start: Mapped[date]
    period_end: Mapped[date]
    """The first local day that is not billed any more."""
    timezone: Mapped[str]
    utility_name: Mapped[str | None]
    invoice_number: Mapped[str | None]
    file_sha256: Mapped[str]
    currency: Mapped[str]
    their_total: Mapped[Decimal] = mapped_column(_MONEY)
    our_total: Mapped[Decimal] = mapped_column(_MONEY)
    difference: Mapped[Decimal] = mapped_column(_MONEY)
    """Theirs less ours."""
    causes: Mapped[dict[str, Any]]
    differences: Mapped[list[Any]]
    their_lines: Mapped[list[Any]]
    our_lines: Mapped[list[Any]]
    provenance: Mapped[dict[str, Any]]
    """Versions of the rate, coverage, revision and whether readings are simulated."""
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
