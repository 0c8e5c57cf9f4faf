"""Tables of the miner models and of every name they go by."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from calculator.db import Base
from common.db import Tenant
from common.ids import new_id


class MinerModel(Tenant, Base):
    """A model in one hashrate bin. Rows of the platform are shared by all organisations."""

    __tablename__ = "miner_model"
    __table_args__ = (
        Index("ix_miner_model_organisation_id", "organisation_id", "id"),
        Index(
            "uq_miner_model_catalogue_name",
            "catalogue_name",
            unique=True,
            postgresql_where=text("catalogue_name IS NOT NULL"),
        ),
        CheckConstraint("hashrate_ths > 0", name="hashrate_positive"),
        CheckConstraint("power_w > 0", name="power_positive"),
        CheckConstraint("reference_price_usd >= 0", name="reference_price_not_negative"),
        CheckConstraint("cooling IN ('air', 'hydro', 'immersion')", name="cooling_known"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    manufacturer: Mapped[str]
    aliases: Mapped[list[str]]
    hashrate_ths: Mapped[Decimal] = mapped_column(Numeric(12, 3))
    power_w: Mapped[Decimal] = mapped_column(Numeric(12, 3))
    cooling: Mapped[str]
    released_year: Mapped[int | None] = mapped_column(SmallInteger)
    reference_price_usd: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    """What one machine costs where a calculation does not say."""
    catalogue_name: Mapped[str | None]
    """The name in the catalogue that this row was seeded from."""
    catalogue_digest: Mapped[str | None]
    """What the catalogue last said; while it says the same, an Admin's changes stay."""
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    removed_at: Mapped[datetime | None]


class MinerModelName(Tenant, Base):
    """One name of a model, folded: in an organisation a name means one model."""

    __tablename__ = "miner_model_name"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    model_id: Mapped[UUID] = mapped_column(
        ForeignKey(MinerModel.id, ondelete="CASCADE"), index=True
    )
