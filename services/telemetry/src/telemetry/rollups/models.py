"""Samples rolled up into 5 minutes and hours; rebuilt whole from what is stored, so repeatable."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.db import Base


class Bucket:
    miner_id: Mapped[UUID] = mapped_column(primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    samples: Mapped[int]
    up_samples: Mapped[int]
    powered_samples: Mapped[int]
    """Samples that carry watts; those that carry a hashrate are `hashed_samples`."""
    hashed_samples: Mapped[int]
    hashrate_ths_min: Mapped[float | None]
    hashrate_ths_avg: Mapped[float | None]
    hashrate_ths_max: Mapped[float | None]
    power_w_min: Mapped[float | None]
    power_w_avg: Mapped[float | None]
    power_w_max: Mapped[float | None]
    chip_temp_c_max: Mapped[float | None]
    board_temp_c_max: Mapped[float | None]
    inlet_temp_c_max: Mapped[float | None]
    fan_rpm_max: Mapped[int | None]
    accepted: Mapped[int | None] = mapped_column(BigInteger)
    rejected: Mapped[int | None] = mapped_column(BigInteger)
    stale: Mapped[int | None] = mapped_column(BigInteger)
    hardware_errors: Mapped[int | None] = mapped_column(BigInteger)


class Rollup5m(Bucket, Base):
    __tablename__ = "rollup_5m"
    __table_args__: Any = (Index("ix_rollup_5m_starts_at", "starts_at", postgresql_using="brin"),)


class Rollup1h(Bucket, Base):
    __tablename__ = "rollup_1h"
    __table_args__: Any = (Index("ix_rollup_1h_starts_at", "starts_at", postgresql_using="brin"),)


class RollupDirty(Base):
    """5-minute buckets that received rows since they were last built."""

    __tablename__ = "rollup_dirty"

    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
