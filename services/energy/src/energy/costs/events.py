"""What is published of costs."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel

from common.events import Event


class MonthCharges(BaseModel):
    """What a site pays in a month beside energy and daily charges, so far."""

    month: str
    demand_charge: str
    service_charge: str
    """By the month."""
    other_charges: str
    taxes: str
    peak_kw: str


class CostRated(Event):
    """What a client's machines at a site used and cost on a local day; a revision replaces.

    The operator's own machines (no client) stand in the event that also carries what the site pays
    beside energy: once, and in no client's.
    """

    type: ClassVar[str] = "energy.cost.rated.v1"
    aggregate: ClassVar[str] = "cost_id"

    cost_id: str
    """`<site>:<client, or own>:<day>`."""
    site_id: UUID
    client_id: UUID | None
    day: date
    timezone: str
    kwh: str
    """Known energy."""
    unrated_kwh: str
    """The part of it for which no tariff was in force."""
    energy_cost: str | None
    """Null: nothing of the day is rated."""
    currency: str | None
    service_charge: str
    """Of the site for the day; only in the operator's own, 0 in a client's."""
    month_charges: MonthCharges | None
    """Only in the operator's own."""
    th_h: float
    half_hours: int
    """Of the local day."""
    told_half_hours: int
    """Of which telemetry has told anything."""
    coverage_percent: str | None
    """Share of the reported machine half-hours whose energy is known."""
    rate_id: UUID | None
    rate_version: int | None
    rate_name: str | None
    split_half_hours: int
    """Half-hours in which the price changed: their energy is taken as uniform."""
    revision: int
    simulated: bool
