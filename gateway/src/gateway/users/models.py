"""People who log in. E-mail addresses live here, and nowhere else but in identity.user."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from common.ids import new_id
from gateway.db import Base


class User(ClientOwned, Base):
    """A person's membership of one organisation, with a role."""

    __tablename__ = "user_account"
    __table_args__ = (
        CheckConstraint("role IN ('Admin', 'Owner', 'Host', 'Client')", name="role"),
        CheckConstraint("(role = 'Client') = (client_id IS NOT NULL)", name="client"),
        Index("ix_user_account_organisation_id", "organisation_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    member_of: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    email: Mapped[str] = mapped_column(unique=True)
    """Normalised: NFKC, lower case."""
    password_hash: Mapped[str]
    role: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    epoch: Mapped[int] = mapped_column(default=1)
    """Counts what makes issued access tokens void: role, password, deactivation."""
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
