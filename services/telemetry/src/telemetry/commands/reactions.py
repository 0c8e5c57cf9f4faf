"""Orders from hosting become command rows; the worker that holds the machine carries them out."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.consumer import Reactions, Received
from telemetry.commands.wake import CHANNEL
from telemetry.domain.partition import partition_of

reactions = Reactions(group="orders")
"""Consumed apart: an order must not wait behind the changes of a whole fleet."""

_INSERT = text(
    "INSERT INTO telemetry.command (id, organisation_id, client_id, site_id, miner_id, plan_id, "
    "action, reason, state, partition, deadline_at, created_at, correlation_id) "
    "SELECT t.id, :organisation_id, m.client_id, :site_id, t.miner_id, :plan_id, :action, :reason, "
    "'pending', t.partition, :deadline_at, clock_timestamp(), :correlation_id "
    "FROM (SELECT unnest(CAST(:ids AS uuid[])) AS id, "
    "unnest(CAST(:miner_ids AS uuid[])) AS miner_id, "
    "unnest(CAST(:partitions AS smallint[])) AS partition) t "
    "LEFT JOIN telemetry.miner m ON m.id = t.miner_id ON CONFLICT (id) DO NOTHING"
)
_WAKE = text("SELECT pg_notify(:channel, '')")


class OrderedCommand(BaseModel):
    command_id: UUID
    miner_id: UUID


class CommandsOrdered(BaseModel):
    site_id: UUID
    plan_id: UUID | None = None
    action: Literal["sleep", "wake", "reboot"]
    commands: list[OrderedCommand]
    reason: str | None = None
    deadline_at: datetime


@reactions.on("hosting.curtailment.ordered.v1", "hosting.command.ordered.v1")
async def commands_ordered(session: AsyncSession, event: Received[CommandsOrdered]) -> None:
    """Write the commands of one order. The workers are woken when this commits."""
    order = event.data
    miners = [command.miner_id for command in order.commands]
    parameters: dict[str, Any] = {
        "organisation_id": event.organisation_id,
        "site_id": order.site_id,
        "plan_id": order.plan_id,
        "action": order.action,
        "reason": (order.reason or "")[:500] or None,
        "deadline_at": order.deadline_at,
        "correlation_id": event.correlation_id,
        "ids": [command.command_id for command in order.commands],
        "miner_ids": miners,
        "partitions": [partition_of(miner_id) for miner_id in miners],
    }
    await session.execute(_INSERT, parameters)
    await session.execute(_WAKE, {"channel": CHANNEL})
