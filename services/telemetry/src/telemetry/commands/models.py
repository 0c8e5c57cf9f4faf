"""Commands to machines and how far they have come."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from telemetry.db import Base


class Command(ClientOwned, Base):
    """One order to one machine. The row is there before anything is sent."""

    __tablename__ = "command"
    __table_args__: Any = (
        Index("ix_command_organisation_id", "organisation_id", "id"),
        Index(
            "ix_command_open", "partition", "created_at", "id",
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("ix_command_miner_id", "miner_id", "created_at"),
        {
            "postgresql_with": {"fillfactor": "70"},
        },
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    miner_id: Mapped[UUID]
    plan_id: Mapped[UUID | None]
    action: Mapped[str]
    reason: Mapped[str | None]
    state: Mapped[str]
    detail: Mapped[str | None]
    partition: Mapped[int] = mapped_column(SmallInteger)
    deadline_at: Mapped[datetime]
    created_at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]
    claimed_by: Mapped[UUID | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    sent_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    power_before_w: Mapped[float | None]
    power_after_w: Mapped[float | None]
    power_estimated: Mapped[bool] = mapped_column(default=False, server_default="false")
    uptime_before_s: Mapped[int | None] = mapped_column(BigInteger)
    correlation_id: Mapped[str]


class CurtailmentInterval(Base):
    """When a machine slept by our own order: the cause of its missing work."""

    __tablename__ = "curtailment_interval"
    __table_args__: Any = (Index("ix_curtailment_interval_miner_id", "miner_id", "starts_at"),)

    command_id: Mapped[UUID] = mapped_column(primary_key=True)
    miner_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
