"""What identity says about people: whom to write to, and whom to forget."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.consumer import Erased, Reactions, Received
from energy.messages.models import MailOptOut, Person

reactions = Reactions()


class UserChanged(BaseModel):
    id: UUID
    client_id: UUID | None = None
    role: str
    email: str
    active: bool = True


@reactions.on("identity.user.changed.v1")
async def person_known(session: AsyncSession, event: Received[UserChanged]) -> None:
    """Keep a person's address and role."""
    await _keep(session, event, event.data.model_dump())


@reactions.on_tombstone("identity.user.erased.v1")
async def person_erased(session: AsyncSession, event: Erased) -> None:
    """Forget a person. What stays is the id, lest an older event brings the address back."""
    person = {
        "id": UUID(event.key),
        "client_id": None,
        "role": "",
        "email": "",
        "active": False,
    }
    await _keep(session, event, person)
    await session.execute(delete(MailOptOut).where(MailOptOut.recipient == f"user:{event.key}"))


async def _keep(
    session: AsyncSession, event: Received[Any] | Erased, person: dict[str, Any]
) -> None:
    """Write a person's row, unless a newer one is there."""
    row = person | {"organisation_id": event.organisation_id, "version": event.version}
    statement = insert(Person).values(row)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={name: statement.excluded[name] for name in row if name != "id"},
            where=Person.version < statement.excluded.version,
        )
    )
