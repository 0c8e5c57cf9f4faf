"""Budgets, and which of their thresholds have been spoken of."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Date, Index, Numeric, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned
from common.ids import new_id
from energy.db import Base

_MONEY = Numeric(20, 6)


class Budget(ClientOwned, Base):
    """What electricity may cost in a month: of an organisation, a site, a client, or both."""

    __tablename__ = "budget"
    __table_args__ = (Index("ix_budget_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    site_id: Mapped[UUID | None]
    name: Mapped[str]
    monthly_amount: Mapped[Decimal] = mapped_column(_MONEY)
    currency: Mapped[str]
    timezone: Mapped[str]
    """In which months begin and end."""
    thresholds: Mapped[list[Any]]
    """Percentages of the amount, ascending, at each of which somebody is told once a month."""
    forecast_percent: Mapped[int | None] = mapped_column(SmallInteger)
    """The same for the forecast of the month's end; None: nobody is told of it."""
    first_month: Mapped[date] = mapped_column(Date)
    last_month: Mapped[date | None] = mapped_column(Date)
    recipients: Mapped[list[str]]
    mail: Mapped[bool]
    webhook: Mapped[bool]
    active: Mapped[bool]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    version: Mapped[int] = mapped_column(default=1)


class BudgetNotice(ClientOwned, Base):
    """A threshold of a budget that was reached in a month: at most one row, one message."""

    __tablename__ = "budget_notice"
    __table_args__ = (
        Index("ix_budget_notice_organisation_id", "organisation_id", "budget_id", "month"),
    )

    budget_id: Mapped[UUID] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    basis: Mapped[str] = mapped_column(primary_key=True)
    """actual or forecast."""
    percent: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    amount: Mapped[Decimal] = mapped_column(_MONEY)
    """The cost, or the forecast of it, at that moment."""
    at: Mapped[datetime]
