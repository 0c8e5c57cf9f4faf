"""Tables of the market. Their rows are facts of the platform, readable by every organisation."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, Numeric, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.auth import PLATFORM_ORGANISATION
from common.db import Tenant
from common.ids import new_id
from intelligence.db import Base

_PRICE = Numeric(20, 8)
_VOLUME = Numeric(24, 8)
_DIFFICULTY = Numeric(40, 12)


class Candle(Tenant, Base):
    """One closed bar of a venue; the venue `index` is the median of the others."""

    __tablename__ = "candle"
    __table_args__ = (Index("ix_candle_interval", "interval", "opened_at"),)

    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    venue: Mapped[str] = mapped_column(primary_key=True)
    interval: Mapped[str] = mapped_column(primary_key=True)
    opened_at: Mapped[datetime] = mapped_column(primary_key=True)
    open: Mapped[Decimal] = mapped_column(_PRICE)
    high: Mapped[Decimal] = mapped_column(_PRICE)
    low: Mapped[Decimal] = mapped_column(_PRICE)
    close: Mapped[Decimal] = mapped_column(_PRICE)
    volume: Mapped[Decimal] = mapped_column(_VOLUME)
    venues: Mapped[int] = mapped_column(SmallInteger)
    """Of how many venues it is the median."""
    disputed: Mapped[bool]
    simulated: Mapped[bool]
    stored_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Ticker(Tenant, Base):
    """What a venue last said, and how well it can be reached."""

    __tablename__ = "ticker"

    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    venue: Mapped[str] = mapped_column(primary_key=True)
    pair: Mapped[str]
    price_usd: Mapped[Decimal | None] = mapped_column(_PRICE)
    bid_usd: Mapped[Decimal | None] = mapped_column(_PRICE)
    ask_usd: Mapped[Decimal | None] = mapped_column(_PRICE)
    volume_btc_24h: Mapped[Decimal | None] = mapped_column(_VOLUME)
    at: Mapped[datetime | None]
    """The venue's own time of the price."""
    simulated: Mapped[bool]
    failures: Mapped[int] = mapped_column(Integer)
    """How often in a row it could not be asked."""
    failing_since: Mapped[datetime | None]
    last_error: Mapped[str | None]
    updated_at: Mapped[datetime]


class MarketAnalytics(Tenant, Base):
    """A snapshot of the market, every five minutes."""

    __tablename__ = "market_analytics"
    __table_args__ = (Index("ix_market_analytics_created_at", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    btc_price: Mapped[Decimal] = mapped_column(_PRICE)
    """USD, the median of fresh venues."""
    vwap_usd: Mapped[Decimal | None] = mapped_column(_PRICE)
    network_hashrate: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    """EH/s; none where the calculator has said none yet."""
    network_difficulty: Mapped[Decimal | None] = mapped_column(_DIFFICULTY)
    volume_24h: Mapped[Decimal] = mapped_column(_VOLUME)
    """Bitcoin, over the venues used."""
    venues: Mapped[list[Any]] = mapped_column(JSONB)
    dropped: Mapped[list[Any]] = mapped_column(JSONB)
    agrees: Mapped[bool]
    simulated: Mapped[bool]
    created_at: Mapped[datetime]


class CalculatorQuote(Tenant, Base):
    """A quote that the calculator has published."""

    __tablename__ = "calculator_quote"
    __table_args__ = (Index("ix_calculator_quote_at", "pair", "at"),)

    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    pair: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    price_usd: Mapped[Decimal] = mapped_column(_PRICE)
    at: Mapped[datetime]
    source: Mapped[str]
    stale: Mapped[bool]
    simulated: Mapped[bool]
    difficulty: Mapped[Decimal | None] = mapped_column(_DIFFICULTY)
    network_hashrate_ehs: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    subsidy_btc: Mapped[Decimal | None] = mapped_column(Numeric(16, 8))
    fees_btc_per_block: Mapped[Decimal | None] = mapped_column(Numeric(16, 8))
    hashprice_usd_per_ths_day: Mapped[Decimal | None] = mapped_column(Numeric(20, 12))
    hashprice_btc_per_ths_day: Mapped[Decimal | None] = mapped_column(Numeric(24, 18))


class NetworkEpoch(Tenant, Base):
    """A difficulty epoch of 2,016 blocks, as the calculator publishes it."""

    __tablename__ = "network_epoch"

    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    height: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Of its first block."""
    started_at: Mapped[datetime]
    difficulty: Mapped[Decimal] = mapped_column(_DIFFICULTY)
    bits: Mapped[str | None]
    subsidy_btc: Mapped[Decimal] = mapped_column(Numeric(16, 8))
    simulated: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(BigInteger)
