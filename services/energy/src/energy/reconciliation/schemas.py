"""Reconciliations as they are shown."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from energy.reconciliation.comparing import Kind
from energy.tariffs.amounts import Amount


class LineView(BaseModel):
    """A line of either bill."""

    kind: Kind
    name: str
    quantity: Amount | None = Field(description="In kWh or kW; null in any other unit.")
    rate: Amount | None
    amount: Amount
    note: str | None


class DifferenceView(BaseModel):
    """One kind of line (of one name, where both bills use it) on either side."""

    kind: Kind
    name: str | None
    unit: str | None
    their_quantity: Amount | None
    our_quantity: Amount | None
    their_rate: Amount | None
    our_rate: Amount | None
    their_amount: Amount
    our_amount: Amount
    difference: Amount = Field(description="Theirs less ours.")
    causes: dict[str, Amount]


class ReconciliationSummary(BaseModel):
    """How a utility's bill compares with ours."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    site_id: UUID
    period_start: date
    period_end: date = Field(description="The first day that is not billed any more.")
    timezone: str
    utility_name: str | None
    invoice_number: str | None
    currency: str
    their_total: Amount
    our_total: Amount
    difference: Amount = Field(description="Theirs less ours.")
    causes: dict[str, Amount] = Field(
        description="They add up to the difference: `energy_kwh` (other energy at our rate), "
        "`energy_rate`, `demand_kw`, `demand_rate`, `without_quantity` (the bill states none), "
        "`fixed_charges`, `taxes`, `credits`, `unknown_lines`."
    )
    created_at: datetime


class ReconciliationView(ReconciliationSummary):
    """A reconciliation with both bills' lines."""

    differences: list[DifferenceView]
    their_lines: list[LineView]
    our_lines: list[LineView]
    provenance: dict[str, Any] = Field(
        description="Versions of the rate, coverage of the half-hours, the total that the bill "
        "itself states."
    )
