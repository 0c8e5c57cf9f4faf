"""The table of reference rates."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from common.auth import PLATFORM_ORGANISATION
from common.db import Tenant
from energy.db import Base


class ReferenceRate(Tenant, Base):
    """What a euro was worth in a currency on a day, as its source published it."""

    __tablename__ = "reference_rate"
    __table_args__ = (Index("ix_reference_rate_currency", "currency", "day"),)

    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    day: Mapped[date] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    per_eur: Mapped[Decimal] = mapped_column(Numeric(20, 10))
    source: Mapped[str]
    simulated: Mapped[bool]
    fetched_at: Mapped[datetime]
