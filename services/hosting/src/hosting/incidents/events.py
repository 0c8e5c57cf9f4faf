"""What incidents publish: revisable intervals with a cause."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from common.events import Event
from hosting.incidents.models import Cause


class IncidentOpened(Event):
    """A cause keeps machines of a site from running.

    Published again, under a higher version and with all of its machines, when more have joined.
    """

    type: ClassVar[str] = "hosting.incident.opened.v1"
    aggregate: ClassVar[str] = "incident_id"

    incident_id: UUID
    site_id: UUID
    cause: Cause
    starts_at: datetime
    ends_at: datetime | None
    miner_ids: list[UUID]


class IncidentClosed(IncidentOpened):
    """The last machine has left; the interval is complete."""

    type: ClassVar[str] = "hosting.incident.closed.v1"
