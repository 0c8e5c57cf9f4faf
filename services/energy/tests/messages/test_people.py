"""Whom the service can write to, and that it forgets whom it must."""

from typing import Any

from sqlalchemy import select, text

from common.ids import new_id
from common.testing import TenantSessions
from energy.messages.models import MailOptOut, Person

CHANGED = "identity.user.changed.v1"
ERASED = "identity.user.erased.v1"


async def test_a_person_is_known_by_the_newest_word(
    deliver: Any, tenant_session: TenantSessions
) -> None:
    person = new_id()
    data = {"id": person, "client_id": None, "role": "Owner", "email": "new@example.org"}
    await deliver(CHANGED, data, version=2)
    await deliver(CHANGED, data | {"email": "old@example.org"}, version=1)
    async with tenant_session() as session:
        found = await session.get(Person, person)
    assert found is not None
    assert (found.email, found.role, found.active) == ("new@example.org", "Owner", True)


async def test_an_erased_person_is_forgotten_for_good(
    deliver: Any, tenant_session: TenantSessions, organisation: Any
) -> None:
    person = new_id()
    data = {"id": person, "client_id": None, "role": "Owner", "email": "gone@example.org"}
    await deliver(CHANGED, data, version=1)
    async with tenant_session() as session:
        session.add(
            MailOptOut(
                organisation_id=organisation,
                recipient=f"user:{person}",
                kind="cost_alert",
                reason="asked",
            )
        )
    await deliver(ERASED, None, key=str(person), version=2)
    await deliver(CHANGED, data, version=1)  # an old dead letter, tried again
    async with tenant_session() as session:
        everything = str(
            [
                dict(row)
                for row in (await session.execute(text("SELECT * FROM energy.person"))).mappings()
            ]
        )
        assert str(person) in everything
        assert "gone@example.org" not in everything
        assert list(await session.scalars(select(MailOptOut))) == []
