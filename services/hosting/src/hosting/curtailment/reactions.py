"""What telemetry reports about our orders."""

from collections import defaultdict
from datetime import datetime
from typing import get_args
from uuid import UUID

from pydantic import BaseModel, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.consumer import Reactions, Received
from hosting.curtailment import progress
from hosting.curtailment.progress import Answer
from hosting.domain.curtailment_target import CommandState

reactions = Reactions(group="plans")
"""Consumed apart: a plan's progress must not wait behind a blackout's machines."""


class CommandResult(BaseModel):
    """How far one order has come. Results without a plan belong to orders given by hand."""

    command_id: UUID
    miner_id: UUID
    plan_id: UUID | None = None
    state: CommandState | None
    """None: a state that this version does not know; the order is still on its way."""
    detail: str | None = None
    at: datetime
    power_before_w: float | None = None
    power_after_w: float | None = None
    power_estimated: bool = False

    @field_validator("state", mode="before")
    @classmethod
    def _known(cls, state: object) -> object:
        return state if state in get_args(CommandState) else None


class CommandProgressed(BaseModel):
    """telemetry.command.progressed.v1, as far as plans care."""

    results: list[CommandResult]


@reactions.on("telemetry.command.progressed.v1")
async def plan_progressed(session: AsyncSession, event: Received[CommandProgressed]) -> None:
    """Move the targets and plans that the results belong to."""
    by_plan: defaultdict[UUID, list[Answer]] = defaultdict(list)
    for result in event.data.results:
        if result.plan_id is None or result.state is None:
            continue
        by_plan[result.plan_id].append(
            Answer(
                command_id=result.command_id,
                miner_id=result.miner_id,
                state=result.state,
                detail=result.detail,
                at=result.at,
                power_before_w=result.power_before_w,
                power_after_w=result.power_after_w,
                power_estimated=result.power_estimated,
            )
        )
    # One order of plans for everybody, so that two consumers never wait for each other.
    for plan_id in sorted(by_plan):
        await progress.apply(session, plan_id, by_plan[plan_id], now())
