"""Commands as they are answered."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Command(BaseModel):
    """One order to one machine and how far it has come.

    `state`: pending, sending, sent (the answer was lost, telemetry decides), accepted, verified,
    unverified, refused, unreachable, unsupported, expired.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    miner_id: UUID
    site_id: UUID
    plan_id: UUID | None
    action: str
    reason: str | None
    state: str
    detail: str | None
    created_at: datetime
    deadline_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    finished_at: datetime | None
    power_before_w: float | None
    power_after_w: float | None
    power_estimated: bool
