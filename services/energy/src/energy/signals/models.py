"""What was last said about each class of machine at each site."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Tenant
from energy.db import Base

_PRICE = Numeric(24, 9)


class EnergySignal(Tenant, Base):
    """Whether a class of machine earns what its power costs at a site."""

    __tablename__ = "energy_signal"
    __table_args__ = (
        Index("ix_energy_signal_organisation_id", "organisation_id", "site_id", "miner_model"),
    )

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    miner_model: Mapped[str] = mapped_column(primary_key=True)
    efficiency_j_per_th: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    state: Mapped[str | None]
    """run or stop; None: not known, and `reason` says why."""
    reason: Mapped[str | None]
    price_usd_per_kwh: Mapped[Decimal | None] = mapped_column(_PRICE)
    break_even_usd_per_kwh: Mapped[Decimal | None] = mapped_column(_PRICE)
    hysteresis_percent: Mapped[Decimal] = mapped_column(Numeric(5, 2))
    rate_id: Mapped[UUID | None]
    rate_version: Mapped[int | None]
    quote_at: Mapped[datetime | None]
    quote_stale: Mapped[bool]
    simulated: Mapped[bool]
    valid_until: Mapped[datetime | None]
    at: Mapped[datetime]
    """When it was last computed."""
    changed_at: Mapped[datetime]
    """When the state last changed."""
    published_price: Mapped[Decimal | None] = mapped_column(_PRICE)
    published_until: Mapped[datetime | None]
    """What the last event said."""
    version: Mapped[int] = mapped_column(BigInteger)
