"""Requests and answers about high costs."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from energy.tariffs.amounts import Amount, Currency, Number

Metric = Literal["price_now", "cost_per_hour", "cost_per_day", "forecast_day"]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
Threshold = Annotated[
    Decimal, Number, Field(ge=0, le=1_000_000_000, decimal_places=9, examples=["0.25"])
]
Margin = Annotated[Decimal, Number, Field(ge=0, le=50, decimal_places=2)]
Recipients = Annotated[list[UUID], Field(max_length=20)]
_MEANING = (
    "price_now: per kWh, at each site by itself; cost_per_hour: energy of the last closed hour; "
    "cost_per_day: of the local day so far, with its charges; forecast_day: of the whole local day"
)


class NewCostRule(BaseModel):
    """When to say that power is dear."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    metric: Metric = Field(description=_MEANING)
    threshold: Threshold
    currency: Currency = "USD"
    site_id: UUID | None = None
    """null: each site by itself for a price, all sites together for a cost."""
    clear_percent: Margin = Decimal(5)
    """How far below the threshold the figure must fall before the alert ends."""
    recipients: Recipients = []
    """Users who get a letter; none: the organisation's Owners."""
    mail: bool = True
    webhook: bool = True
    active: bool = True


class CostRuleChange(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    threshold: Threshold | None = None
    currency: Currency | None = None
    clear_percent: Margin | None = None
    recipients: Recipients | None = None
    mail: bool | None = None
    webhook: bool | None = None
    active: bool | None = None


class CostRuleView(BaseModel):
    """A rule."""

    id: UUID
    name: str
    metric: Metric
    threshold: Amount
    currency: str
    site_id: UUID | None
    clear_percent: Amount
    recipients: list[UUID]
    mail: bool
    webhook: bool
    active: bool
    created_at: datetime
    version: int


class CostAlertView(BaseModel):
    """A time of high costs."""

    id: UUID
    rule_id: UUID
    rule_name: str
    site_id: UUID | None
    metric: Metric
    state: Literal["firing", "cleared"]
    value: Amount
    """When it fired."""
    highest: Amount
    threshold: Amount
    currency: str
    details: dict[str, Any]
    fired_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None
