"""What curtailment publishes. Fields are only ever added."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.events import Event
from hosting.domain.curtailment import PlanStatus, PlanType

COMMANDS_PER_EVENT = 1000


class MinerCommand(BaseModel):
    """One order to one machine. The id stays the same however often the event arrives."""

    model_config = ConfigDict(frozen=True)

    command_id: UUID
    miner_id: UUID


class CurtailmentOrdered(Event):
    """Machines shall sleep, or wake; whoever holds their sockets carries it out."""

    type: ClassVar[str] = "hosting.curtailment.ordered.v1"
    aggregate: ClassVar[str] = "plan_id"

    plan_id: UUID
    site_id: UUID
    action: Literal["sleep", "wake"]
    commands: list[MinerCommand]
    reason: str
    deadline_at: datetime


class CurtailmentChanged(Event):
    """A plan has moved on, or its proven reduction has."""

    type: ClassVar[str] = "hosting.curtailment.changed.v1"
    aggregate: ClassVar[str] = "plan_id"

    plan_id: UUID
    site_id: UUID
    plan_type: PlanType
    status: PlanStatus
    target_power_reduction_mw: float
    power_reduced_mw: float
    power_reduced_estimated_mw: float
    miners_affected: int
    restore_failed_count: int
    started_at: datetime | None
    executed_at: datetime | None
    ends_at: datetime | None
    cancelled_at: datetime | None
    completed_at: datetime | None
    at: datetime
