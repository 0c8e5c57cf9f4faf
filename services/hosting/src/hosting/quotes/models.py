"""The table of quotes."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Tenant
from hosting.db import Base


class Quote(Tenant, Base):
    """Read model of calculator's last quote of a pair; the platform's, shared by all tenants."""

    __tablename__ = "quote"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    pair: Mapped[str] = mapped_column(primary_key=True)
    price_usd: Mapped[Decimal]
    hashprice_usd_per_ths_day: Mapped[Decimal]
    hashprice_btc_per_ths_day: Mapped[Decimal]
    at: Mapped[datetime]
    """When the price was true."""
    published_at: Mapped[datetime]
    source: Mapped[str]
    stale: Mapped[bool]
    """Whether it was old when it was published already."""
    simulated: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)
