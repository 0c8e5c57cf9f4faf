"""Stored forecasts: those of market and network are the platform's, those of a site its owner's."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from common.ids import new_id
from intelligence.db import Base


class Forecast(ClientOwned, Base):
    """One forecast: what was known at its origin, and what was expected from there on.

    Kept, so that what was said can be compared with what came. No client owns one: a client sees
    the platform's, and none of a site.
    """

    __tablename__ = "forecast"
    __table_args__ = (
        UniqueConstraint("organisation_id", "series", "subject", "origin_at"),
        Index("ix_forecast_latest", "series", "subject", "origin_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    series: Mapped[str]
    subject: Mapped[str] = mapped_column(default="", server_default=text("''"))
    """Which one of several such series: the site's id. Empty where there is but one."""
    unit: Mapped[str]
    origin_at: Mapped[datetime]
    origin_value: Mapped[float]
    step_s: Mapped[int]
    horizon: Mapped[int]
    history_points: Mapped[int]
    """How much was known: a longer past is a reason to fit again."""
    fitted: Mapped[dict[str, Any]]
    simulated: Mapped[bool]
    fitted_at: Mapped[datetime]
