"""Tables of the indicators. Their rows are facts of the platform, readable by everybody."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from common.auth import PLATFORM_ORGANISATION
from common.db import Tenant
from common.ids import new_id
from intelligence.db import Base
from intelligence.market.models import MarketAnalytics


class TechnicalIndicators(Tenant, Base):
    """The indicators at the moment of a snapshot of the market; null is "not defined"."""

    __tablename__ = "technical_indicators"
    __table_args__ = (CheckConstraint("signal IN ('BUY', 'SELL', 'NEUTRAL')", name="signal"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[UUID] = mapped_column(default=PLATFORM_ORGANISATION)
    analytics_id: Mapped[UUID] = mapped_column(
        ForeignKey(MarketAnalytics.id, ondelete="CASCADE"), unique=True
    )
    interval: Mapped[str]
    bar_opened_at: Mapped[datetime | None]
    """Of the last candle that had closed when the snapshot was taken."""
    rsi: Mapped[float | None] = mapped_column(Double)
    macd: Mapped[float | None] = mapped_column(Double)
    macd_signal: Mapped[float | None] = mapped_column(Double)
    bb_upper: Mapped[float | None] = mapped_column(Double)
    bb_middle: Mapped[float | None] = mapped_column(Double)
    bb_lower: Mapped[float | None] = mapped_column(Double)
    ema_12: Mapped[float | None] = mapped_column(Double)
    ema_26: Mapped[float | None] = mapped_column(Double)
    score: Mapped[float] = mapped_column(Double)
    signal: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
