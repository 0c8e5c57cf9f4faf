"""What telemetry says about the presence of miners."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from common.events import Event


class WentOffline(Event):
    """A miner was silent for three slots. Published once per transition."""

    type: ClassVar[str] = "telemetry.miner-state.went-offline.v1"
    aggregate: ClassVar[str] = "miner_id"
    miner_id: UUID
    site_id: UUID
    timestamp: datetime


class CameOnline(Event):
    """A miner that was offline answers again."""

    type: ClassVar[str] = "telemetry.miner-state.came-online.v1"
    aggregate: ClassVar[str] = "miner_id"
    miner_id: UUID
    site_id: UUID
    timestamp: datetime
