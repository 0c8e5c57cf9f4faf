"""Whom this service can write to: a read model of identity's users, and the messages' tables."""

from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from common.messaging import messaging_tables
from energy.db import Base

MESSAGING = messaging_tables(Base)
Mail, MailOptOut, Webhook, WebhookDelivery = MESSAGING


class Person(ClientOwned, Base):
    """Somebody who may be written to. The row goes with the person (`identity.user.erased`)."""

    __tablename__ = "person"
    __table_args__ = (Index("ix_person_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    role: Mapped[str]
    email: Mapped[str]
    active: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)
