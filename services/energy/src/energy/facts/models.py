"""What other services say, kept as they said it: sites, machines, models, quotes and epochs."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Index, Numeric, Text
from sqlalchemy.orm import Mapped, mapped_column

from common.auth import PLATFORM_ORGANISATION
from common.db import ClientOwned, Tenant
from energy.db import Base

_DIFFICULTY = Numeric(40, 12)


class Site(Tenant, Base):
    """Read model of hosting's sites."""

    __tablename__ = "site"
    __table_args__ = (Index("ix_site_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    location: Mapped[str]
    timezone: Mapped[str]
    removed: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)


class Miner(ClientOwned, Base):
    """Read model of hosting's machines."""

    __tablename__ = "miner"
    __table_args__ = (
        Index("ix_miner_organisation_id", "organisation_id", "id"),
        Index("ix_miner_site_id", "site_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    serial_number: Mapped[str]
    model: Mapped[str]
    ip: Mapped[str]
    status: Mapped[str]
    nameplate_hashrate_ths: Mapped[float | None]
    nameplate_power_w: Mapped[float | None]
    removed: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)


class MinerModel(Tenant, Base):
    """Read model of the calculator's miner models: shared ones, and an organisation's own."""

    __tablename__ = "miner_model"
    __table_args__ = (Index("ix_miner_model_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    manufacturer: Mapped[str]
    aliases: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    hashrate_ths: Mapped[float]
    power_w: Mapped[float]
    removed: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)


class Client(Tenant, Base):
    """Read model of identity's organisations that are somebody's clients."""

    __tablename__ = "client"
    __table_args__ = (Index("ix_client_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    active: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)


class Quote(Tenant, Base):
    """A quote of record that the calculator has published."""

    __tablename__ = "quote"
    __table_args__ = (Index("ix_quote_at", "pair", "at"),)

    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    pair: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    price_usd: Mapped[Decimal] = mapped_column(Numeric(20, 6))
    at: Mapped[datetime]
    source: Mapped[str]
    stale: Mapped[bool]
    simulated: Mapped[bool]
    difficulty: Mapped[Decimal | None] = mapped_column(_DIFFICULTY)
    subsidy_btc: Mapped[Decimal | None] = mapped_column(Numeric(16, 8))
    hashprice_usd_per_ths_day: Mapped[Decimal | None] = mapped_column(Numeric(20, 12))
    hashprice_btc_per_ths_day: Mapped[Decimal | None] = mapped_column(Numeric(24, 18))


class NetworkEpoch(Tenant, Base):
    """Blocks in a row with one difficulty and one subsidy, as the calculator knows them."""

    __tablename__ = "network_epoch"
    __table_args__ = (Index("ix_network_epoch_started_at", "started_at"),)

    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    height: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Of its first block."""
    next_height: Mapped[int]
    """The first block after it; where no epoch starts with it, a gap follows."""
    started_at: Mapped[datetime]
    difficulty: Mapped[Decimal] = mapped_column(_DIFFICULTY)
    subsidy_btc: Mapped[Decimal] = mapped_column(Numeric(16, 8))
    simulated: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)
