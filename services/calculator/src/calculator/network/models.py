"""The table of block epochs."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from calculator.db import Base
from common.db import Tenant


class NetworkEpoch(Tenant, Base):
    """Blocks in a row with one difficulty and one subsidy, known by the first of them."""

    __tablename__ = "network_epoch"
    __table_args__ = (
        Index("ix_network_epoch_organisation_id", "organisation_id", "height"),
        Index("ix_network_epoch_started_at", "started_at"),
        CheckConstraint("difficulty >= 1", name="difficulty_possible"),
        CheckConstraint("subsidy_btc >= 0", name="subsidy_possible"),
    )

    height: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    started_at: Mapped[datetime]
    difficulty: Mapped[Decimal] = mapped_column(Numeric(40, 12))
    bits: Mapped[int | None] = mapped_column(BigInteger)
    subsidy_btc: Mapped[Decimal] = mapped_column(Numeric(16, 8))
    source: Mapped[str]
    simulated: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger, default=1)
