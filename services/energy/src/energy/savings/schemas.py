"""Bodies of the savings ledger."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from energy.currencies.schemas import ConversionView
from energy.tariffs.amounts import Amount, Day

State = Literal["running", "provisional", "final"]
Kind = Literal["curtailment", "shift"]


class NewShift(BaseModel):
    """Days in which energy was moved to other hours, and days that show the usual hours."""

    model_config = ConfigDict(extra="forbid")

    site_id: UUID
    start_date: Day = Field(description="In the site's zone.")
    end_date: Day = Field(description="Inclusive.")
    baseline_start_date: Day
    baseline_end_date: Day = Field(description="Inclusive.")
    note: Annotated[str, Field(max_length=500)] | None = None


class SavingView(BaseModel):
    """What a curtailment or a shift saved, and what it is judged against."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: Kind
    source_id: UUID = Field(description="Of the plan; of a shift, of the ledger alone.")
    scope: Literal["site", "client"] = Field(
        description="The site as a whole, or one client's machines in a plan."
    )
    client_id: UUID | None
    site_id: UUID
    starts_at: datetime
    ends_at: datetime | None = Field(description="Null while it runs.")
    state: State = Field(
        description="`running`: up to now. `provisional`: half-hours or the month's bill may still "
        "change. `final`: nothing will."
    )
    machines: int | None
    avoided_kwh: Amount | None = Field(description="Against the baseline; null for a shift.")
    currency: str | None
    energy_cost_avoided: Amount | None
    other_cost_avoided: Amount | None = Field(
        description="Demand, steps, minimum, taxes: by how much the month's bill would have been "
        "dearer beside the energy's price. The site's, so null for a client."
    )
    cost_avoided: Amount | None
    btc_not_mined: Amount | None = Field(
        description="Expected at the difficulty and subsidy of each half-hour, before pool fees; "
        "negative where a shift brought more."
    )
    revenue_lost_usd: Amount | None = Field(description="At the quote of each half-hour.")
    cost_avoided_usd: Amount | None
    net_usd: Amount | None = Field(description="Cost avoided less revenue lost.")
    reasons: list[str] = Field(
        description="Why something is null: `no_tariff`, `several_currencies`, `no_index_price`, "
        "`half_hours_missing`, `power_unknown`, `hashrate_unknown`, `no_epoch`, `no_quote`, "
        "`no_reference_rate`, `other_charges_are_the_sites`."
    )
    baseline: dict[str, Any] = Field(description="What it is judged against, and how well known.")
    provenance: dict[str, Any] = Field(
        description="Versions of the tariffs, epochs, quotes and reference rate used."
    )
    simulated: bool
    settled_at: datetime


class SavingsSum(BaseModel):
    """The sum of a ledger's lines."""

    site_id: UUID | None
    start_date: date | None
    end_date: date | None
    entries: int
    unknown: int = Field(description="Lines whose net is not known; they are in no sum of money.")
    running: int
    avoided_kwh: Amount
    btc_not_mined: Amount
    cost_avoided: Amount = Field(description="Of the lines whose net is known.")
    revenue_lost: Amount
    net: Amount
    currency: str
    conversion: ConversionView = Field(description="From US dollars, at the rate of the last day.")
    simulated: bool
