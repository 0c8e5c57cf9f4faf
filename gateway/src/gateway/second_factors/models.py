"""Second factors: a sealed secret shared with somebody's device, and codes for its loss."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from gateway.db import Base


class SecondFactor(ClientOwned, Base):
    """One person's device; it counts from the moment that a first code of it was seen."""

    __tablename__ = "second_factor"
    __table_args__ = (Index("ix_second_factor_organisation_id", "organisation_id", "user_id"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int | None]
    """The step of the last code taken; no code of it or before is taken again."""


class RecoveryCode(ClientOwned, Base):
    """The digest of a code that stands in for the device, once."""

    __tablename__ = "recovery_code"
    __table_args__ = (Index("ix_recovery_code_organisation_id", "organisation_id", "user_id"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id"), index=True)
    used_at: Mapped[datetime | None]
