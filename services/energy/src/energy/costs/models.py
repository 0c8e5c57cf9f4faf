"""What machines used and what it cost: the half-hours as they came, and what follows from them.

Machines' figures are columns (packed numbers beside a list of machines), split by client, and are
only ever read whole; so a wall by client stands before each of them.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from common.db import ClientOwned
from common.ids import new_id
from energy.db import Base

_UUIDS: TypeEngine[Any] = ARRAY(Uuid())
_AMOUNT = Numeric(20, 9)
_ENERGY = Numeric(20, 6)


class Roster(ClientOwned, Base):
    """A list of machines of one client at a site, in an order to which packed numbers refer."""

    __tablename__ = "roster"
    __table_args__ = (
        Index(
            "uq_roster_site_id",
            "site_id",
            "client_id",
            "digest",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_roster_organisation_id", "organisation_id", "id"),
        Index("ix_roster_miner_ids", "miner_ids", postgresql_using="gin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    site_id: Mapped[UUID]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    miner_ids: Mapped[list[UUID]] = mapped_column(_UUIDS)


class HalfHourPart(ClientOwned, Base):
    """One client's machines in one event of telemetry's ledger, as it came."""

    __tablename__ = "half_hour_part"
    __table_args__ = (
        Index("ix_half_hour_part_site_id", "site_id", "starts_at"),
        Index("ix_half_hour_part_organisation_id", "organisation_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    """Of two parts with one revision the later one counts."""
    site_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    revision: Mapped[int]
    simulated: Mapped[bool]
    roster_id: Mapped[int] = mapped_column(BigInteger)
    kwh_e6: Mapped[bytes] = mapped_column(LargeBinary)
    """int32, little-endian, millionths of a kWh; -1: not known."""
    th_h: Mapped[bytes] = mapped_column(LargeBinary)
    """float32, little-endian; NaN: not known."""


class RatingDue(ClientOwned, Base):
    """A local day of a site whose cost does not follow from its half-hours and tariffs yet."""

    __tablename__ = "rating_due"
    __table_args__ = (Index("ix_rating_due_organisation_id", "organisation_id", "site_id", "day"),)

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    """Not before it: a day whose rating failed waits a little."""
    reason: Mapped[str]


class ElectricityCost(ClientOwned, Base):
    """What a whole site used in a half-hour and what it cost, or a record made by hand."""

    __tablename__ = "electricity_costs"
    __table_args__ = (
        Index(
            "uq_electricity_costs_period_start",
            "organisation_id",
            "site_id",
            "location",
            "miner_id",
            "miner_ip",
            "period_start",
            "period_end",
            "source",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_electricity_costs_organisation_id", "organisation_id", "period_start", "id"),
        Index("ix_electricity_costs_site_id", "site_id", "period_start"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    timestamp: Mapped[datetime] = mapped_column(server_default=text("now()"))
    source: Mapped[str]
    """`telemetry`: a closed half-hour of a site. `manual`: recorded by a person."""
    site_id: Mapped[UUID | None]
    miner_id: Mapped[UUID | None]
    miner_ip: Mapped[str | None]
    """None: the whole fleet of the site or location."""
    location: Mapped[str | None]
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    duration_hours: Mapped[Decimal] = mapped_column(_ENERGY)
    total_kwh: Mapped[Decimal] = mapped_column(_ENERGY)
    """Of the machines whose energy is known."""
    avg_power_kw: Mapped[Decimal] = mapped_column(_ENERGY)
    peak_power_kw: Mapped[Decimal] = mapped_column(_ENERGY)
    rate_id: Mapped[UUID | None]
    """None: no tariff was in force; such a half-hour is kept and costs nothing known."""
    rate_version: Mapped[int | None]
    rate_name: Mapped[str | None]
    currency: Mapped[str | None]
    avg_rate_usd_per_kwh: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    energy_cost_usd: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    demand_charge_usd: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    service_charge_usd: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    total_cost_usd: Mapped[Decimal | None] = mapped_column(_AMOUNT)
    """All amounts are in `currency`; the names are document 003's."""
    tou_breakdown_usd: Mapped[dict[str, Any] | None]
    split: Mapped[bool]
    """Whether the price changed inside the interval: energy is then taken as uniform in it."""
    machines: Mapped[int] = mapped_column(Integer)
    unknown: Mapped[int] = mapped_column(Integer)
    """Machines whose energy is not known: missing from the sum, never guessed."""
    th_h: Mapped[float] = mapped_column(Double)
    simulated: Mapped[bool]
    superseded: Mapped[bool]
    """A record by hand where telemetry has reported since: kept, and not counted."""


class CostDay(ClientOwned, Base):
    """A local day of one client's machines at a site (or of the operator's own: no client)."""

    __tablename__ = "cost_day"
    __table_args__ = (
        Index(
            "uq_cost_day_site_id",
            "site_id",
            "day",
            "client_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_cost_day_organisation_id", "organisation_id", "day"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    site_id: Mapped[UUID]
    day: Mapped[date]
    """In `timezone`."""
    timezone: Mapped[str]
    starts_at: Mapped[datetime]
    """Of the day's first half-hour."""
    ends_at: Mapped[datetime]
    revision: Mapped[int]
    """Counts what has been published of this day."""
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    """Of what was published: the same again is not."""
    currency: Mapped[str | None]
    rate_id: Mapped[UUID | None]
    """The tariff of the day's last rated half-hour."""
    rate_version: Mapped[int | None]
    rate_name: Mapped[str | None]
    kwh: Mapped[Decimal] = mapped_column(_ENERGY)
    unrated_kwh: Mapped[Decimal] = mapped_column(_ENERGY)
    """The part of `kwh` for which no tariff was in force."""
    energy_cost: Mapped[Decimal] = mapped_column(_AMOUNT)
    th_h: Mapped[float] = mapped_column(Double)
    machine_half_hours: Mapped[int] = mapped_column(Integer)
    unknown_half_hours: Mapped[int] = mapped_column(Integer)
    simulated: Mapped[bool]
    roster_id: Mapped[int] = mapped_column(BigInteger)
    machine_kwh_e6: Mapped[bytes] = mapped_column(LargeBinary)
    """int64 per machine of the roster; so the next two."""
    machine_unrated_e6: Mapped[bytes] = mapped_column(LargeBinary)
    machine_cost_nano: Mapped[bytes] = mapped_column(LargeBinary)
    machine_th_h: Mapped[bytes] = mapped_column(LargeBinary)
    """float64 per machine."""
    machine_told: Mapped[bytes] = mapped_column(LargeBinary)
    """int16 per machine: half-hours that telemetry reported."""
    machine_unknown: Mapped[bytes] = mapped_column(LargeBinary)
    """int16 per machine: of these, without a known energy."""
    half_hour_kwh_e6: Mapped[bytes] = mapped_column(LargeBinary)
    """int64 per half-hour of the day; so the next."""
    half_hour_cost_nano: Mapped[bytes] = mapped_column(LargeBinary)
    """The least int64: no tariff was in force."""
    half_hour_th_h: Mapped[bytes] = mapped_column(LargeBinary)
    """float64 per half-hour."""
    half_hour_machines: Mapped[bytes] = mapped_column(LargeBinary)
    """int32 per half-hour: machines reported."""
    half_hour_unknown: Mapped[bytes] = mapped_column(LargeBinary)
    """int32 per half-hour: of these, without a known energy."""
    half_hour_split: Mapped[bytes] = mapped_column(LargeBinary)
    """uint8 per half-hour: 1 where the price changes inside it."""
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SiteCharge(ClientOwned, Base):
    """What a site pays beside energy, once: for a local day, or for a local month.

    No client owns one: it is the operator's.
    """

    __tablename__ = "site_charge"
    __table_args__ = (
        Index("uq_site_charge_site_id", "site_id", "kind", "starts_on", "currency", unique=True),
        Index("ix_site_charge_organisation_id", "organisation_id", "starts_on"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    site_id: Mapped[UUID]
    kind: Mapped[str]
    """`day`: daily service charge. `month`: demand and what else a bill adds, so far."""
    starts_on: Mapped[date]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    currency: Mapped[str]
    """`XXX`, no currency: no tariff was in force."""
    service_charge: Mapped[Decimal] = mapped_column(_AMOUNT)
    demand_charge: Mapped[Decimal] = mapped_column(_AMOUNT)
    other_charges: Mapped[Decimal] = mapped_column(_AMOUNT)
    """Coincident peak and minimum less credits and export."""
    taxes: Mapped[Decimal] = mapped_column(_AMOUNT)
    peak_kw: Mapped[Decimal] = mapped_column(_ENERGY)
    lines: Mapped[list[Any]]
    """How the amounts come about, for each tariff version that held."""
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
