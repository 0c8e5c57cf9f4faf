"""Samples and the latest state.

They carry no organisation: readers see them through views that are joined to `miner`; the app
role has no right on the tables themselves.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Identity, Index, Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.db import Base


class Measured:
    """The numbers of one answer; null where the miner does not say."""

    sampled_at: Mapped[datetime]
    outcome: Mapped[str]
    hashrate_5s_ths: Mapped[float | None]
    hashrate_avg_ths: Mapped[float | None]
    hashrate_30m_ths: Mapped[float | None]
    power_w: Mapped[float | None]
    power_estimated: Mapped[bool]
    chip_temp_max_c: Mapped[float | None]
    board_temp_max_c: Mapped[float | None]
    inlet_temp_c: Mapped[float | None]
    fans_rpm: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    boards: Mapped[int | None]
    chips: Mapped[int | None]
    hardware_errors: Mapped[int | None] = mapped_column(BigInteger)
    accepted: Mapped[int | None] = mapped_column(BigInteger)
    rejected: Mapped[int | None] = mapped_column(BigInteger)
    stale: Mapped[int | None] = mapped_column(BigInteger)
    mining_uptime_s: Mapped[int | None] = mapped_column(BigInteger)
    is_mining: Mapped[bool | None]
    flags: Mapped[list[str]] = mapped_column(ARRAY(Text))


class Sample(Measured, Base):
    """One row per miner and slot; a partition per day."""

    __tablename__ = "sample"
    __table_args__: Any = (
        Index("ix_sample_slot", "slot", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (slot)"},
    )

    miner_id: Mapped[UUID] = mapped_column(primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)
    up: Mapped[bool]
    late: Mapped[bool]
    """Taken in its slot, but well after the miner's turn."""
    accepted_delta: Mapped[int | None] = mapped_column(BigInteger)
    rejected_delta: Mapped[int | None] = mapped_column(BigInteger)
    stale_delta: Mapped[int | None] = mapped_column(BigInteger)
    hardware_errors_delta: Mapped[int | None] = mapped_column(BigInteger)


class MinerState(Measured, Base):
    """The latest answer of each miner, and what follows from it."""

    __tablename__ = "miner_state"
    __table_args__: Any = (Index("ix_miner_state_updated_at", "updated_at"),)

    miner_id: Mapped[UUID] = mapped_column(primary_key=True)
    up: Mapped[bool]
    firmware: Mapped[str | None]
    model: Mapped[str | None]
    mac: Mapped[str | None]
    pools: Mapped[list[Any]] = mapped_column(JSONB)
    error_codes: Mapped[list[Any]] = mapped_column(JSONB)
    known_at: Mapped[datetime | None]
    """When the miner last said something; `known_*` are its words then."""
    known_hashrate_ths: Mapped[float | None]
    known_power_w: Mapped[float | None]
    known_power_estimated: Mapped[bool]
    known_uptime_s: Mapped[int | None] = mapped_column(BigInteger)
    known_counters: Mapped[dict[str, Any]]
    online: Mapped[bool | None]
    silent_slots: Mapped[int] = mapped_column(SmallInteger)
    curtailed_since: Mapped[datetime | None]
    """Asleep by our own order since then."""
    ramping_until: Mapped[datetime | None]
    watches: Mapped[dict[str, Any]]
    """Where each alert rule stands."""
    family: Mapped[str | None]
    """Firmware family that the miner itself has shown."""
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ParkedRow(Base):
    """A row that the database refused, kept for whoever finds out why."""

    __tablename__ = "parked_row"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    miner_id: Mapped[UUID]
    slot: Mapped[datetime]
    error: Mapped[str]
    row: Mapped[str]
    parked_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
