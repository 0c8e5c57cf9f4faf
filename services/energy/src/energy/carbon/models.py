"""The tables of carbon intensity, and of where a site's electricity comes from."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from common.auth import PLATFORM_ORGANISATION
from common.db import Tenant
from energy.db import Base


class CarbonIntensity(Tenant, Base):
    """Grams of CO2 per kWh of a region in a half-hour, forecast and (where there is one) actual."""

    __tablename__ = "carbon_intensity"

    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    region: Mapped[str] = mapped_column(primary_key=True)
    """`GB`, or `GB-1` to `GB-17`, a region of its distribution networks."""
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    forecast_g_per_kwh: Mapped[Decimal | None] = mapped_column(Numeric(10, 3))
    actual_g_per_kwh: Mapped[Decimal | None] = mapped_column(Numeric(10, 3))
    source: Mapped[str]
    simulated: Mapped[bool]
    fetched_at: Mapped[datetime]


class CarbonSetting(Tenant, Base):
    """Whence a site's carbon intensity: a region of a provider, or one stated figure."""

    __tablename__ = "carbon_setting"
    __table_args__ = (Index("ix_carbon_setting_organisation_id", "organisation_id", "site_id"),)

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    region: Mapped[str | None]
    stated_g_per_kwh: Mapped[Decimal | None] = mapped_column(Numeric(10, 3))
    stated_source: Mapped[str | None]
    """Who says so, where the figure is stated."""
    updated_by: Mapped[UUID]
    updated_at: Mapped[datetime]
