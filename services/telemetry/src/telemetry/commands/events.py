"""How far commands have come."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from common.events import Event

MAX_RESULTS = 500
Progress = Literal[
    "accepted", "verified", "unverified", "refused", "unreachable", "unsupported", "expired"
]


class CommandResult(BaseModel):
    """One machine's command.

    `accepted`: the machine took it. `verified`: its later answers prove the effect. `unverified`:
    the deadline passed without proof. The others: it was not carried out, `detail` says why.
    """

    command_id: UUID
    miner_id: UUID
    plan_id: UUID | None
    action: str
    state: Progress
    detail: str | None
    at: datetime
    power_before_w: float | None
    power_after_w: float | None
    power_estimated: bool


class CommandProgressed(Event):
    """Commands at one site have come further; at most 500 in one event."""

    type: ClassVar[str] = "telemetry.command.progressed.v1"
    aggregate: ClassVar[str] = "site_id"
    site_id: UUID
    results: list[CommandResult] = Field(max_length=MAX_RESULTS)
