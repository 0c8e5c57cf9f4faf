"""Plans, and a row per machine in them. All of a plan's state is here: a restart loses nothing."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import now
from common.db import Tenant
from common.ids import new_id
from hosting.db import Base
from hosting.domain.curtailment import PlanStatus, PlanType
from hosting.domain.curtailment_target import DesiredState, TargetState
from hosting.miners.holds import HOLDS_ITS_MINER

ONE_PLAN_PER_MINER = "uq_curtailment_target_active_miner_id"

_MEGAWATTS = Numeric(12, 6)


class CurtailmentPlan(Tenant, Base):
    """One reduction of one site's load, from the wish to the last machine back at work."""

    __tablename__ = "curtailment_plan"
    __table_args__ = (
        CheckConstraint(
            "status IN ('pending', 'approved', 'executing', 'executed', 'partially_executed', "
            "'failed', 'restoring', 'completed', 'cancelled')",
            name="status",
        ),
        CheckConstraint("target_power_reduction_mw > 0", name="target"),
        Index("ix_curtailment_plan_organisation_id", "organisation_id", "id"),
        Index("ix_curtailment_plan_site_id", "site_id", "id"),
        # The scheduler looks at these every second; finished plans stay out of its way.
        Index(
            "ix_curtailment_plan_alive",
            "status",
            postgresql_where=text("status NOT IN ('completed', 'cancelled')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    site_id: Mapped[UUID]
    plan_type: Mapped[PlanType] = mapped_column(Text)
    strategy: Mapped[str]
    objective: Mapped[str]
    status: Mapped[PlanStatus] = mapped_column(Text)
    target_power_reduction_mw: Mapped[Decimal] = mapped_column(_MEGAWATTS)
    duration_minutes: Mapped[int | None] = mapped_column(Integer)
    scheduled_time: Mapped[datetime]
    started_at: Mapped[datetime | None]
    executed_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    miners_affected: Mapped[int] = mapped_column(Integer, default=0)
    power_reduced_mw: Mapped[Decimal] = mapped_column(_MEGAWATTS, default=Decimal(0))
    power_reduced_estimated_mw: Mapped[Decimal] = mapped_column(_MEGAWATTS, default=Decimal(0))
    restore_failed_count: Mapped[int] = mapped_column(Integer, default=0)
    restore_batch_size: Mapped[int] = mapped_column(Integer)
    restore_interval_s: Mapped[int] = mapped_column(Integer)
    next_restore_at: Mapped[datetime | None]
    watched_at: Mapped[datetime | None]
    decision_snapshot: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_by: Mapped[UUID]
    approved_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    version: Mapped[int] = mapped_column(Integer, default=1)


class CurtailmentTarget(Tenant, Base):
    """One machine of a plan: what it shall do, what it does, what that took off the meter."""

    __tablename__ = "curtailment_target"
    __table_args__ = (
        Index("ix_curtailment_target_organisation_id", "organisation_id", "plan_id"),
        # A machine is in one live plan at most; of two racing triggers one gets a 409.
        Index(
            ONE_PLAN_PER_MINER,
            "miner_id",
            unique=True,
            postgresql_where=text(HOLDS_ITS_MINER),
        ),
    )

    plan_id: Mapped[UUID] = mapped_column(
        ForeignKey(CurtailmentPlan.id, ondelete="CASCADE"), primary_key=True
    )
    miner_id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[TargetState] = mapped_column(Text)
    desired_state: Mapped[DesiredState] = mapped_column(Text)
    may_be_down: Mapped[bool]
    baseline_power_w: Mapped[float]
    baseline_hashrate_ths: Mapped[float]
    observed_power_w: Mapped[float | None]
    power_estimated: Mapped[bool]
    stop_command_id: Mapped[UUID | None]
    stop_attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    restore_command_id: Mapped[UUID | None]
    restore_attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    reason: Mapped[str | None]
    ordered_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    restore_ordered_at: Mapped[datetime | None]
    restored_at: Mapped[datetime | None]


def holds_its_miner() -> ColumnElement[bool]:
    """Return the condition of the unique index: the target keeps its machine from other plans."""
    return (CurtailmentTarget.state == "pending") | (
        CurtailmentTarget.may_be_down & (CurtailmentTarget.state != "restore_failed")
    )


class CurtailmentPolicy(Tenant, Base):
    """How one site curtails. A site without a row uses the defaults of the installation."""

    __tablename__ = "curtailment_policy"
    __table_args__ = (Index("ix_curtailment_policy_organisation_id", "organisation_id", "site_id"),)

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    four_eyes: Mapped[bool]
    restore_batch_size: Mapped[int] = mapped_column(Integer)
    restore_interval_s: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
