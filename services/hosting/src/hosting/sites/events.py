"""What the site feature publishes."""

from typing import ClassVar
from uuid import UUID

from common.events import Event


class SiteChanged(Event):
    """The whole public state of a site, on a compacted topic."""

    type: ClassVar[str] = "hosting.site.changed.v1"
    aggregate: ClassVar[str] = "site_id"

    site_id: UUID
    name: str
    timezone: str
    location: str
    capacity_mw: float
    power_limit_mw: float | None
    allowed_cidrs: list[str]
    credentials: dict[str, str]
    """Firmware family to sealed credential (see `hosting.sites.sealing`)."""
    removed: bool
