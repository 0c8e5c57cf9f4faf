"""What telemetry says about alerts."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from common.events import Event


class AlertFired(Event):
    """A rule fired for a miner. At most one alert per rule and miner is open."""

    type: ClassVar[str] = "telemetry.alert.fired.v1"
    aggregate: ClassVar[str] = "miner_id"
    alert_id: UUID
    miner_id: UUID
    site_id: UUID
    rule: str
    severity: str
    value: float | None
    threshold: float | None
    at: datetime


class AlertCleared(Event):
    """An open alert is over."""

    type: ClassVar[str] = "telemetry.alert.cleared.v1"
    aggregate: ClassVar[str] = "miner_id"
    alert_id: UUID
    miner_id: UUID
    site_id: UUID
    rule: str
    severity: str
    value: float | None
    threshold: float | None
    at: datetime
