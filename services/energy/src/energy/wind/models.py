"""Curtailed wind as it was told and sorted: units, answers, days, periods, rows.

All of it is fact of the platform: shared with every organisation, written by the worker role. The
tables and columns that document 002 names carry its names; their units stand here.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Numeric, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from common.auth import PLATFORM_ORGANISATION
from common.db import Tenant
from common.ids import new_id
from energy.db import Base


class Fact(Tenant):
    """A row that belongs to the platform and that everybody may read."""

    organisation_id: Mapped[UUID] = mapped_column(
        default=PLATFORM_ORGANISATION, server_default=text(f"'{PLATFORM_ORGANISATION}'")
    )


class BmUnit(Fact, Base):
    """A balancing-mechanism unit, its wind farm and lead party, for as long as they belonged."""

    __tablename__ = "bm_units"
    __table_args__ = (
        Index("uq_bm_units_bm_unit_valid_from", "bm_unit", "valid_from", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    bm_unit: Mapped[str]
    """Elexon's id: what document 002 calls a farm's id."""
    national_grid_bm_unit: Mapped[str | None]
    name: Mapped[str]
    farm_name: Mapped[str]
    """The wind farm that the unit is a part of."""
    farm_is_stated: Mapped[bool] = mapped_column(server_default=text("false"))
    """Somebody said so; otherwise it is guessed from the name."""
    lead_party_name: Mapped[str]
    lead_party_id: Mapped[str | None]
    fuel_type: Mapped[str | None]
    bm_unit_type: Mapped[str | None]
    generation_capacity_mw: Mapped[Decimal | None] = mapped_column(Numeric(12, 3))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    """The first day on which it is no longer so."""
    simulated: Mapped[bool]


class ElexonAnswer(Fact, Base):
    """An answer of Elexon as it came, compressed; the newest of a period is the one in force."""

    __tablename__ = "elexon_answers"
    __table_args__ = (
        Index("ix_elexon_answers_period", "settlement_date", "dataset", "settlement_period", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    dataset: Mapped[str]
    """stack/bid, stack/offer, generation, system-prices, pn, b1610/II (its run), bm-units."""
    settlement_date: Mapped[date]
    """Of an answer about no day: when it was asked for."""
    settlement_period: Mapped[int] = mapped_column(SmallInteger)
    """Of an answer about a whole day: which part of the units it is about."""
    fetched_at: Mapped[datetime]
    checked_at: Mapped[datetime]
    """When the same answer was last given."""
    run_stamp: Mapped[datetime | None]
    """The newest `createdDateTime` of its rows: it grows with each settlement run.

    Of answers whose rows have none: when they were fetched.
    """
    rows: Mapped[int]
    sha256: Mapped[bytes]
    body: Mapped[bytes]
    simulated: Mapped[bool]


class SettlementDay(Fact, Base):
    """How complete a day is."""

    __tablename__ = "settlement_days"

    settlement_date: Mapped[date] = mapped_column(primary_key=True)
    status: Mapped[str]
    """complete, or incomplete: a period failed, is missing, or is not there yet."""
    periods_expected: Mapped[int] = mapped_column(SmallInteger)
    periods_complete: Mapped[int] = mapped_column(SmallInteger)
    missing_periods: Mapped[list[Any]]
    bitcoin_status: Mapped[str]
    """complete, incomplete, difficulty_unavailable, or not_calculated."""
    miner_models: Mapped[list[str]]
    records: Mapped[int]
    excluded: Mapped[dict[str, Any]]
    """How many rows each reason kept out."""
    run_stamp: Mapped[datetime | None]
    revision: Mapped[int]
    """Grows when any number of the day changes."""
    changed_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    simulated: Mapped[bool]


class SettlementPeriod(Fact, Base):
    """What became of one period: `complete` (also with nothing in it) or `failed`, with why."""

    __tablename__ = "settlement_periods"

    settlement_date: Mapped[date] = mapped_column(primary_key=True)
    settlement_period: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    starts_at: Mapped[datetime]
    status: Mapped[str]
    error: Mapped[str | None]
    attempts: Mapped[int]
    """How often it failed since it last was complete."""
    run_stamp: Mapped[datetime | None]
    fetched_at: Mapped[datetime | None]
    rows: Mapped[int]
    records: Mapped[int]
    """Rows with the SO flag: those that count."""
    records_any: Mapped[int]
    excluded: Mapped[dict[str, Any]]
    """The reasons, each with the sequence numbers of its rows by side: {"bid": {reason: []}}."""
    simulated: Mapped[bool]


class CurtailmentRecord(Fact, Base):
    """One accepted bid of a wind unit in one period; the key is that of the stack's row."""

    __tablename__ = "curtailment_records"

    settlement_date: Mapped[date] = mapped_column(primary_key=True)
    settlement_period: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    side: Mapped[str] = mapped_column(primary_key=True)
    farm_id: Mapped[str] = mapped_column(primary_key=True)
    acceptance_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """0 where the stack has none."""
    bid_offer_pair_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    """0 where the stack has none."""
    sequence_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lead_party_name: Mapped[str]
    volume: Mapped[Decimal]
    """MWh, negative (see `energy.domain.wind`)."""
    payment: Mapped[Decimal]
    """GBP, positive to the farm."""
    original_price: Mapped[Decimal]
    """GBP/MWh."""
    final_price: Mapped[Decimal | None]
    so_flag: Mapped[bool]
    """Only rows with this flag count, unless a reader asks for all."""
    cadl_flag: Mapped[bool]
    stor_flag: Mapped[bool]
    run_stamp: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class WindGeneration(Fact, Base):
    """What the country's wind farms generated on average in a period, in MW."""

    __tablename__ = "wind_generation_data"

    settlement_date: Mapped[date] = mapped_column(primary_key=True)
    settlement_period: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    wind_onshore: Mapped[Decimal | None]
    wind_offshore: Mapped[Decimal | None]
    total_wind: Mapped[Decimal]
    data_source: Mapped[str]
    published_at: Mapped[datetime | None]
    last_updated: Mapped[datetime]
    simulated: Mapped[bool]


class WindOutput(Fact, Base):
    """What a wind unit meant to generate in a period, and what its meter says, in MWh."""

    __tablename__ = "wind_outputs"
    __table_args__ = (Index("ix_wind_outputs_farm_id", "farm_id", "settlement_date"),)

    settlement_date: Mapped[date] = mapped_column(primary_key=True)
    settlement_period: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    farm_id: Mapped[str] = mapped_column(primary_key=True)
    notified_mwh: Mapped[Decimal | None] = mapped_column(Numeric(16, 6))
    """Under its final physical notification (PN)."""
    metered_mwh: Mapped[Decimal | None] = mapped_column(Numeric(16, 6))
    """B1610; published five days later, and refreshed by later settlement runs."""
    simulated: Mapped[bool]


class SystemPrice(Fact, Base):
    """The imbalance price of a period, GBP/MWh."""

    __tablename__ = "system_prices"

    settlement_date: Mapped[date] = mapped_column(primary_key=True)
    settlement_period: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    system_price: Mapped[Decimal]
    net_imbalance_volume: Mapped[Decimal | None]
    """MWh."""
    run_stamp: Mapped[datetime | None]
    simulated: Mapped[bool]


class IngestionProgress(Fact, Base):
    """How far each process that goes on for ever has come."""

    __tablename__ = "ingestion_progress"

    process: Mapped[str] = mapped_column(primary_key=True)
    """live, reconcile/daily, reconcile/monthly, integrity, bm-units, generation, …."""
    last_processed_date: Mapped[date | None]
    status: Mapped[str]
    error_message: Mapped[str | None]
    updated_at: Mapped[datetime]


class IngestionRun(Fact, Base):
    """One run of a process over some days, and its report."""

    __tablename__ = "ingestion_runs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    """reingest, calculate, verify, reconcile, process-missing, backfill, live, integrity."""
    ordered_by: Mapped[str]
    """job, command or schedule."""
    first_date: Mapped[date]
    last_date: Mapped[date]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    status: Mapped[str]
    """running, complete, incomplete, failed, or interrupted: its process ended before it did."""
    report: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]
