"""The mail and the webhooks of this service: whom to tell, and in which words."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import webhooks
from common.errors import Invalid
from common.mail import Post
from common.messaging import forget_old
from common.runtime import Runtime
from common.webhook_delivery import Courier
from energy.messages.models import MESSAGING, Person

KINDS = {
    "cost_alert": "high costs of electricity",
    "budget": "budgets for electricity",
}
"""What letters and messages to endpoints are about."""
_FORGET_EVERY_S = 6 * 3600
OPT_OUT_PATH = "/api/electricity/messages/opt-out"


class UnknownRecipient(Invalid):
    title = "Nobody of this id can be written to"


async def address_of(session: AsyncSession, organisation_id: UUID, user_id: UUID) -> str | None:
    """Return where a user of an organisation is written to."""
    return await session.scalar(
        select(Person.email).where(
            Person.id == user_id, Person.organisation_id == organisation_id, Person.active
        )
    )


POST = Post(
    MESSAGING,
    letters=Path(__file__).parent / "letters",
    kinds=KINDS,
    address_of=address_of,
    opt_out_path=OPT_OUT_PATH,
)


async def send_letters(runtime: Runtime) -> None:
    """Send the letters that wait, for ever."""
    await POST.deliver(runtime)


async def send_to_endpoints(runtime: Runtime) -> None:
    """Deliver what waits for webhooks, for ever."""
    await Courier(MESSAGING).deliver(runtime)


async def forget_messages(runtime: Runtime) -> None:
    """Take out of the logs what is long over, now and then."""
    while not runtime.stopping.is_set():
        await forget_old(runtime, MESSAGING)
        await asyncio.sleep(_FORGET_EVERY_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who is told: people by letter, endpoints by message."""

    organisation_id: UUID
    client_id: UUID | None
    recipients: Sequence[str]
    """Users; none: the Owners, or the people of the client."""
    mail: bool
    webhook: bool


async def tell(
    session: AsyncSession,
    audience: Audience,
    *,
    kind: str,
    template: str,
    facts: Mapping[str, Any],
    dedupe_key: str,
) -> None:
    """Write to an audience in the session's transaction; the same `dedupe_key` tells once.

    People read the template with `facts` in it, endpoints get `facts` as they are.
    """
    for user_id in await readers(session, audience) if audience.mail else ():
        await POST.send(
            session,
            organisation_id=audience.organisation_id,
            client_id=audience.client_id,
            to=user_id,
            kind=kind,
            template=template,
            facts=facts,
            dedupe_key=f"{dedupe_key}:{user_id}",
        )
    if audience.webhook:
        await webhooks.announce(
            session,
            MESSAGING,
            organisation_id=audience.organisation_id,
            client_id=audience.client_id,
            kind=kind,
            facts=facts,
            dedupe_key=dedupe_key,
        )


async def readers(session: AsyncSession, audience: Audience) -> list[UUID]:
    """Return whom a letter goes to: people of the organisation, or of the client it is about.

    Where all who were named have left, it goes to those who would get it without a name.
    """
    query = (
        select(Person.id)
        .where(Person.organisation_id == audience.organisation_id, Person.active)
        .order_by(Person.id)
    )
    if audience.recipients:
        chosen = [UUID(one) for one in audience.recipients]
        theirs = or_(Person.client_id.is_(None), Person.client_id == audience.client_id)
        found = list(await session.scalars(query.where(Person.id.in_(chosen), theirs)))
        if found:
            return found
    if audience.client_id is not None:
        return list(await session.scalars(query.where(Person.client_id == audience.client_id)))
    owners = query.where(Person.client_id.is_(None), Person.role == "Owner")
    return list(await session.scalars(owners))


async def check_recipients(
    session: AsyncSession, recipients: Sequence[UUID], client_id: UUID | None
) -> None:
    """Let letters go only to people whom the caller may know of.

    Raises:
        UnknownRecipient: one is a stranger here.
    """
    theirs = or_(Person.client_id.is_(None), Person.client_id == client_id)
    known = set(
        await session.scalars(
            select(Person.id).where(Person.id.in_(recipients), Person.active, theirs)
        )
    )
    strangers = [one for one in recipients if one not in known]
    if strangers:
        raise UnknownRecipient(
            f"{strangers[0]} is no active user of this organisation.", field="recipients"
        )
