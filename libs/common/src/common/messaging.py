"""The tables of a service that writes to people (`common.mail`) and to endpoints (`webhooks`).

A message is a row in the transaction of what it tells of; sending is a background task. A row
names its recipient by id: the address is looked up when the message leaves, and is not kept.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Index, SmallInteger, UniqueConstraint, delete, text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from common.clock import now
from common.db import ClientOwned, Tenant
from common.ids import new_id
from common.runtime import Runtime

KEPT_FOR = timedelta(days=90)
"""How long the logs remember what has left, or never will."""
_QUEUED = text("state = 'queued'")


class MailColumns(ClientOwned):
    """A letter to one person: what it says, and how far it has come. Also the send log."""

    __tablename__ = "mail"

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  (each service's table needs indexes of its own)
        """Index what waits, and each tenant's rows; the same letter is written once."""
        return (
            UniqueConstraint("organisation_id", "dedupe_key", name="uq_mail_dedupe_key"),
            Index("ix_mail_due", "next_attempt_at", postgresql_where=_QUEUED),
            Index("ix_mail_organisation_id", "organisation_id", "id"),
        )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID | None]
    """Whom it is for: a user, or else the bare address of nobody that we know."""
    address: Mapped[str | None]
    """Only of those who are no users; emptied as soon as the letter has left or never will."""
    kind: Mapped[str]
    """What it is about, in a word: people opt out by kind."""
    template: Mapped[str]
    facts: Mapped[dict[str, Any]]
    dedupe_key: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="queued")
    """queued, sent, bounced (the server knows no such mailbox), failed, suppressed."""
    reason: Mapped[str | None]
    """Why it was not sent, or how the last attempt failed."""
    transport: Mapped[str | None]
    """smtp, or folder where no server is set."""
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    sent_at: Mapped[datetime | None]


class MailOptOutColumns(Tenant):
    """Letters that somebody does not want, or that do not reach an address."""

    __tablename__ = "mail_opt_out"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    recipient: Mapped[str] = mapped_column(primary_key=True)
    """`user:<id>`, or `address:<keyed digest>`."""
    kind: Mapped[str] = mapped_column(primary_key=True)
    """The kind of letter; `*`: any."""
    reason: Mapped[str]
    """asked, or bounced."""
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class WebhookColumns(ClientOwned):
    """An endpoint of an organisation, or of one client of it, that is told what happens."""

    __tablename__ = "webhook"

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  (each service's table needs indexes of its own)
        """Index each tenant's rows."""
        return (Index("ix_webhook_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    url: Mapped[str]
    kinds: Mapped[list[str]]
    """What it wants to hear of; empty: everything."""
    salt: Mapped[str]
    """The secret follows from it, the id and the installation's key; it is stored nowhere."""
    previous_salt: Mapped[str | None]
    previous_until: Mapped[datetime | None]
    """Until then deliveries are signed with the secret before the last change as well."""
    state: Mapped[str] = mapped_column(default="active")
    """active, paused (by its owner), disabled (it did not answer for days)."""
    failing_since: Mapped[datetime | None]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class WebhookDeliveryColumns(ClientOwned):
    """One message to one endpoint. Also the delivery log."""

    __tablename__ = "webhook_delivery"

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805  (each service's table needs indexes of its own)
        """Index what waits, and each endpoint's rows; the same message is written once."""
        return (
            UniqueConstraint("webhook_id", "dedupe_key", name="uq_webhook_delivery_dedupe_key"),
            Index("ix_webhook_delivery_due", "next_attempt_at", postgresql_where=_QUEUED),
            Index("ix_webhook_delivery_webhook_id", "webhook_id", "id"),
        )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    webhook_id: Mapped[UUID]
    kind: Mapped[str]
    body: Mapped[str]
    """As it is signed and sent, byte for byte."""
    dedupe_key: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="queued")
    """queued, delivered, failed (all attempts), discarded (the endpoint is gone or off)."""
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_status: Mapped[int | None] = mapped_column(SmallInteger)
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    delivered_at: Mapped[datetime | None]


class MessagingTables(NamedTuple):
    """The tables of messages, mapped in a service's own schema."""

    mail: type[MailColumns]
    mail_opt_out: type[MailOptOutColumns]
    webhook: type[WebhookColumns]
    webhook_delivery: type[WebhookDeliveryColumns]


def messaging_tables(base: type[DeclarativeBase]) -> MessagingTables:
    """Map the tables of messages on a service's declarative base; call it once, in its db.py."""

    class Mail(MailColumns, base): ...

    class MailOptOut(MailOptOutColumns, base): ...

    class Webhook(WebhookColumns, base): ...

    class WebhookDelivery(WebhookDeliveryColumns, base): ...

    return MessagingTables(Mail, MailOptOut, Webhook, WebhookDelivery)


async def forget_old(runtime: Runtime, tables: MessagingTables) -> None:
    """Take out of the logs what is long over; what waits stays."""
    before = now() - KEPT_FOR
    async with runtime.worker_session() as session:
        for table in (tables.mail, tables.webhook_delivery):
            await session.execute(
                delete(table).where(table.state != "queued", table.created_at < before)
            )
