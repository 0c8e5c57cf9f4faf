"""Tables of what outside parties said last, and of the quotes of record."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from calculator.db import Base
from common.db import Tenant
from common.ids import new_id


class LastReading(Tenant, Base):
    """The last that one party said of one thing. It outlives restarts and the cache."""

    __tablename__ = "last_reading"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Decimal] = mapped_column(Numeric(40, 12))
    at: Mapped[datetime]
    asked_at: Mapped[datetime]
    simulated: Mapped[bool]
    note: Mapped[str | None]


class Quote(Tenant, Base):
    """A quote as it was published: the record by which a later figure can be traced."""

    __tablename__ = "quote"
    __table_args__ = (
        Index("ix_quote_organisation_id", "organisation_id", "id"),
        Index("ix_quote_published_at", "published_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    pair: Mapped[str]
    price_usd: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    at: Mapped[datetime]
    source: Mapped[str]
    stale: Mapped[bool]
    simulated: Mapped[bool]
    height: Mapped[int]
    difficulty: Mapped[Decimal] = mapped_column(Numeric(40, 12))
    network_hashrate_ehs: Mapped[Decimal] = mapped_column(Numeric(30, 9))
    subsidy_btc: Mapped[Decimal] = mapped_column(Numeric(16, 8))
    fees_btc_per_block: Mapped[Decimal] = mapped_column(Numeric(16, 8))
    hashprice_usd_per_ths_day: Mapped[Decimal] = mapped_column(Numeric(20, 12))
    hashprice_btc_per_ths_day: Mapped[Decimal] = mapped_column(Numeric(20, 16))
    second_price_usd: Mapped[Decimal | None] = mapped_column(Numeric(20, 8))
    warnings: Mapped[list[str]]
    published_at: Mapped[datetime]
