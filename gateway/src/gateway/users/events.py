"""What the gateway publishes about people: ids, role, and the address to write to."""

from typing import ClassVar
from uuid import UUID

from common.events import Event


class UserChanged(Event):
    """A person's membership as it is now."""

    type: ClassVar[str] = "identity.user.changed.v1"
    aggregate: ClassVar[str] = "id"

    id: UUID
    client_id: UUID | None
    role: str
    email: str
    active: bool


class UserErased(Event):
    """A tombstone: whoever keeps what it knew of a person forgets it."""

    type: ClassVar[str] = "identity.user.erased.v1"
    aggregate: ClassVar[str] = "id"

    id: UUID

    def is_tombstone(self) -> bool:
        """Erase the key from the compacted topic."""
        return True
