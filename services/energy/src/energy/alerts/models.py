"""Rules about high costs, and what they have found."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from common.ids import new_id
from energy.db import Base

_AMOUNT = Numeric(24, 9)


class CostRule(ClientOwned, Base):
    """When to say that power is dear: a figure, a limit, and whom to tell."""

    __tablename__ = "cost_rule"
    __table_args__ = (Index("ix_cost_rule_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    site_id: Mapped[UUID | None]
    """None: each site by itself for a price, all sites together for a cost."""
    name: Mapped[str]
    metric: Mapped[str]
    threshold: Mapped[Decimal] = mapped_column(_AMOUNT)
    currency: Mapped[str]
    clear_percent: Mapped[Decimal] = mapped_column(Numeric(5, 2))
    """How far below the threshold the figure must fall before the alert ends."""
    recipients: Mapped[list[str]]
    """Users; none: the organisation's Owners."""
    mail: Mapped[bool]
    webhook: Mapped[bool]
    active: Mapped[bool]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    version: Mapped[int] = mapped_column(default=1)


class CostAlert(ClientOwned, Base):
    """A time during which a rule's figure was above its threshold."""

    __tablename__ = "cost_alert"
    __table_args__ = (
        Index(
            "uq_cost_alert_open",
            "rule_id",
            "site_id",
            unique=True,
            postgresql_where=text("cleared_at IS NULL"),
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_cost_alert_organisation_id", "organisation_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    rule_id: Mapped[UUID]
    rule_name: Mapped[str]
    site_id: Mapped[UUID | None]
    metric: Mapped[str]
    threshold: Mapped[Decimal] = mapped_column(_AMOUNT)
    currency: Mapped[str]
    value: Mapped[Decimal] = mapped_column(_AMOUNT)
    """When it fired."""
    highest: Mapped[Decimal] = mapped_column(_AMOUNT)
    details: Mapped[dict[str, Any]]
    """What the figure was computed from."""
    fired_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[UUID | None]
