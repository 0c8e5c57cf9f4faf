"""What the gateway publishes about organisations: their whole public state."""

from typing import ClassVar
from uuid import UUID

from common.events import Event


class OrganisationChanged(Event):
    """An organisation as it is now. `organisation_id` is the tenant: a client's operator."""

    type: ClassVar[str] = "identity.organisation.changed.v1"
    aggregate: ClassVar[str] = "id"

    id: UUID
    parent_id: UUID | None
    kind: str
    name: str
    active: bool
