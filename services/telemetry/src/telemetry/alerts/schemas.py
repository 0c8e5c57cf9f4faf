"""Alerts as they are answered."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Alert(BaseModel):
    """An alert; open while `cleared_at` is null."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    miner_id: UUID
    site_id: UUID
    rule: str
    severity: str
    value: float | None
    threshold: float | None
    fired_at: datetime
    cleared_at: datetime | None
