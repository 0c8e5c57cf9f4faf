"""Logins: a session is a family of refresh tokens, each used once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from common.ids import new_id
from gateway.db import Base


class LoginSession(ClientOwned, Base):
    """One login of one person, until logout, reuse or age ends it."""

    __tablename__ = "login_session"
    __table_args__ = (Index("ix_login_session_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_because: Mapped[str | None]
    second_factor: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Whether a second factor was proven in this login."""


class RefreshToken(ClientOwned, Base):
    """The digest of a refresh token. Its successor is derived from it, never stored."""

    __tablename__ = "refresh_token"
    __table_args__ = (Index("ix_refresh_token_organisation_id", "organisation_id", "session_id"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(
        ForeignKey("login_session.id", ondelete="CASCADE"), index=True
    )
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    successor: Mapped[bytes | None] = mapped_column(LargeBinary)
