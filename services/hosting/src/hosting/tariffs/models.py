"""The table of tariffs."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Tenant
from hosting.db import Base


class Tariff(Tenant, Base):
    """Read model of the energy service's rates; a removed one stays, so that old news is known."""

    __tablename__ = "tariff"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    rate_id: Mapped[UUID] = mapped_column(primary_key=True)
    rate_version: Mapped[int]
    """What a bill would name."""
    site_id: Mapped[UUID | None]
    location: Mapped[str | None]
    """With neither site nor location it is the organisation's default rate."""
    name: Mapped[str]
    active: Mapped[bool]
    rate_type: Mapped[str]
    currency: Mapped[str]
    mean_per_kwh: Mapped[Decimal | None]
    """Mean energy price of the week after `changed_at`, in `currency`; null where it varies."""
    changed_at: Mapped[datetime]
    removed: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)
