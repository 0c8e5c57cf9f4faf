"""The ledger's half-hours as they are published."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, Field

from common.events import Event

MAX_ROWS = 500


class HalfHourRow(BaseModel):
    """One machine's half-hour. `kwh` is null where nothing is known: never zero for that."""

    miner_id: UUID
    client_id: UUID | None
    kwh: float | None
    th_h: float | None
    state: str
    cause: str | None
    coverage: float


class HalfHourClosed(Event):
    """A half-hour of a site, at most 500 machines in one event.

    A later revision holds the machines whose row has changed; of two rows for a machine and
    half-hour the one with the higher revision counts.
    """

    type: ClassVar[str] = "telemetry.half-hour.closed.v1"
    aggregate: ClassVar[str] = "site_id"
    site_id: UUID
    starts_at: datetime
    revision: int
    simulated: bool
    rows: list[HalfHourRow] = Field(max_length=MAX_ROWS)
