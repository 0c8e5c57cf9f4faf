"""API keys: shown once, kept as an HMAC."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from common.ids import new_id
from gateway.db import Base


class ApiKey(ClientOwned, Base):
    """A key acts for its creator's organisation, never with more rights than its creator has."""

    __tablename__ = "api_key"
    __table_args__ = (Index("ix_api_key_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    prefix: Mapped[str] = mapped_column(unique=True)
    """The key's public part, by which it is found."""
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str]
    scopes: Mapped[list[str]]
    cidrs: Mapped[list[str]]
    created_by: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
