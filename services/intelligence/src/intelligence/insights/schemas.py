"""Bodies of the insights."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from intelligence.domain.findings import Severity

Kind = Literal[
    "efficiency-drift",
    "efficiency-below-nameplate",
    "load-change",
    "cost-anomaly",
    "missed-curtailment-value",
    "churn-risk",
]


class Period(BaseModel):
    """Local days, both included."""

    first_day: date
    last_day: date


class Finding(BaseModel):
    """Something worth knowing: a sentence with its numbers."""

    kind: Kind
    severity: Severity
    sentence: str
    site_id: UUID
    site_name: str
    unit: str
    value: float
    usual: float
    """What it is compared with."""
    low: float | None
    """Where the usual range (median ± 3 scaled MAD) begins; null against a rating."""
    high: float | None
    change_percent: float
    period: Period
    compared_from: date | None
    link: str
    simulated: bool


class Waiting(BaseModel):
    """A kind of finding that cannot be made yet."""

    kind: Kind
    waits_for: list[str]
    """The events that it needs."""
    reason: str


class Insights(BaseModel):
    """The findings about what the caller may see, the gravest first."""

    items: list[Finding]
    looked_at: int
    """Sites with enough whole days to say anything."""
    too_young: int
    """Sites with fewer."""
    waiting: list[Waiting]
    rule: str
    at: datetime
