"""Tables of the rates, of their versions and reigns, and of the prices of an index."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Numeric,
    SmallInteger,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Tenant
from common.ids import new_id
from energy.db import Base

_PRICE = Numeric(24, 9)


class ElectricityRate(Tenant, Base):
    """A rate as its newest version says; the columns repeat of `body` what the document names."""

    __tablename__ = "electricity_rates"
    __table_args__ = (
        Index("ix_electricity_rates_organisation_id", "organisation_id", "id"),
        Index(
            "uq_electricity_rates_active_place",
            "organisation_id",
            "place",
            unique=True,
            postgresql_where=text("active"),
        ),
        CheckConstraint("NOT (active AND removed_at IS NOT NULL)", name="removed_is_not_active"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    description: Mapped[str | None]
    active: Mapped[bool]
    location: Mapped[str | None]
    site_id: Mapped[UUID | None]
    place: Mapped[str]
    """Where it holds (`places.place_of`): of a place, one rate is active."""
    timezone: Mapped[str]
    rate_type: Mapped[str]
    flat_rate_usd_per_kwh: Mapped[Decimal | None] = mapped_column(_PRICE)
    tou_schedule: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    tiered_rates: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    daily_service_charge_usd: Mapped[Decimal] = mapped_column(_PRICE)
    demand_charge_usd_per_kw: Mapped[Decimal] = mapped_column(_PRICE)
    utility_name: Mapped[str | None]
    account_number: Mapped[str | None]
    season_start_month: Mapped[int | None] = mapped_column(SmallInteger)
    season_end_month: Mapped[int | None] = mapped_column(SmallInteger)
    notes: Mapped[str | None]
    currency: Mapped[str]
    body: Mapped[dict[str, Any]]
    """All fields of the newest version, as the API takes them."""
    rate_version: Mapped[int]
    """The newest version's number: it grows when the terms change."""
    valid_from: Mapped[datetime]
    revision: Mapped[int] = mapped_column(BigInteger)
    """It grows with everything that is published of the rate, activations too."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]
    """When it was published last."""
    announced_mean: Mapped[Decimal | None] = mapped_column(_PRICE)
    """The mean price per kWh that was published then."""


class RateVersion(Tenant, Base):
    """The terms of a rate from an instant on.

    Bills refer to them: nothing that a bill depends on is ever changed, only the text about it.
    """

    __tablename__ = "electricity_rate_version"
    __table_args__ = (
        Index("ix_electricity_rate_version_organisation_id", "organisation_id", "rate_id"),
    )

    rate_id: Mapped[UUID] = mapped_column(ForeignKey(ElectricityRate.id), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    valid_from: Mapped[datetime]
    name: Mapped[str]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[UUID]


class RateActivation(Tenant, Base):
    """A stretch of time for which a rate was the active one of a place."""

    __tablename__ = "electricity_rate_activation"
    __table_args__ = (
        Index("ix_electricity_rate_activation_place", "organisation_id", "place", "active_from"),
        Index(
            "uq_electricity_rate_activation_open",
            "organisation_id",
            "place",
            unique=True,
            postgresql_where=text("active_until IS NULL"),
        ),
        CheckConstraint("active_from < active_until", name="not_empty"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    rate_id: Mapped[UUID] = mapped_column(ForeignKey(ElectricityRate.id), index=True)
    place: Mapped[str]
    active_from: Mapped[datetime]
    active_until: Mapped[datetime | None]


class IndexSeries(Tenant, Base):
    """A price that changes by the interval, as somebody published it."""

    __tablename__ = "index_series"
    __table_args__ = (Index("ix_index_series_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    currency: Mapped[str]
    source: Mapped[str]
    """`upload`, or the format that it was imported from."""
    note: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class IndexPrice(Tenant, Base):
    """The price of one interval. An open end lasts until the next price begins."""

    __tablename__ = "index_price"
    __table_args__ = (
        ForeignKeyConstraint(["series_id"], [IndexSeries.id], ondelete="CASCADE"),
        CheckConstraint("starts_at < ends_at", name="not_empty"),
    )

    series_id: Mapped[UUID] = mapped_column(primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    ends_at: Mapped[datetime | None]
    price_per_mwh: Mapped[Decimal] = mapped_column(_PRICE)
