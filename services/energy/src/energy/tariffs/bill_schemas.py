"""Requests and answers of what asks for a price or a bill; nothing of it is stored."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, SkipValidation, TypeAdapter, model_validator

from energy.domain.tariff import RateType
from energy.tariffs.amounts import Amount, Kwh, Moment, PowerW, PricePerMwh, Rounded, Whole
from energy.tariffs.schedules import Name, Part
from energy.tariffs.terms import RateInput

MOST_READINGS = 110_000
"""A year of five-minute readings."""
Location = Annotated[str, Field(min_length=1, max_length=128)]
Year = Annotated[Whole, Field(ge=2000, le=2100)]


class Reading(Part):
    """What was used in an interval: energy or mean power."""

    start: Moment
    end: Moment
    kwh: Kwh | None = None
    power_w: PowerW | None = None
    price_usd_per_mwh: PricePerMwh | None = Field(
        default=None, description="The index's price, for a rate of type index"
    )


Readings = Annotated[list[Reading], Field(min_length=1, max_length=MOST_READINGS)]
_readings = TypeAdapter(Readings)


def readings_of(given: object) -> list[Reading]:
    """Return the readings of a request.

    Raises:
        ValidationError: they are none.
    """
    return _readings.validate_python(given)


class InlineRate(RateInput):
    """A rate that is sent along and not stored."""

    name: Name = "Inline rate"
    active: object = Field(default=None, exclude=True, description="Without meaning here")


class Use(Part):
    """A load: a constant power over a span, or readings."""

    power_w: PowerW | None = None
    intervals: SkipValidation[Readings] | None = None
    """As they came: `readings_of` reads them, on another thread where they are many."""
    start_time: Moment | None = Field(
        default=None,
        description="Start of what is billed. A time without offset is in the rate's own zone. "
        "Beside intervals it may be left out",
    )
    end_time: Moment | None = None


def _exclusive(given: Any, *names: str) -> None:
    found = [name for name in names if getattr(given, name) is not None]
    if len(found) > 1:
        msg = f"{found[1]}: only one of {', '.join(names)} may be given"
        raise ValueError(msg)


class Calculation(Use):
    """What would this load cost, under which rate?"""

    rate_id: UUID | None = None
    rate: InlineRate | None = None
    location: Location | None = None
    site_id: UUID | None = None

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        _exclusive(self, "rate_id", "rate", "location")
        _exclusive(self, "rate_id", "rate", "site_id")
        return self


class Comparison(Use):
    """What would this load cost under each of some rates?"""

    rate_ids: Annotated[list[UUID], Field(min_length=1, max_length=50)] | None = Field(
        default=None, description="All of the organisation's, at most 50, if left out"
    )
    rates: Annotated[list[InlineRate], Field(min_length=1, max_length=20)] | None = Field(
        default=None, description="Rates that are sent along"
    )


class RateUsed(BaseModel):
    """The rate that a price or a bill is made by."""

    id: UUID | None
    """None: it was sent along."""
    version: int | None
    name: str
    rate_type: RateType
    location: str | None
    site_id: UUID | None
    timezone: str
    currency: str


class LineView(BaseModel):
    """A line of a bill. The amounts of all lines are the total."""

    kind: str
    name: str
    month: str
    quantity: Rounded
    unit: str
    rate: Amount
    amount_usd: Rounded
    note: str | None


class BillView(BaseModel):
    """What a load costs. Money is in `currency`, whatever the names of the fields say."""

    ok: Literal[True] = True
    currency: str
    start_time: datetime
    end_time: datetime
    duration_hours: Rounded
    total_kwh: Rounded
    exported_kwh: Rounded
    energy_cost_usd: Rounded
    service_charge_usd: Rounded
    demand_charge_usd: Rounded
    coincident_charge_usd: Rounded
    minimum_top_up_usd: Rounded
    credits_usd: Rounded
    """What is taken off, as a positive amount."""
    taxes_usd: Rounded
    export_credit_usd: Rounded
    total_cost_usd: Rounded
    avg_rate_usd_per_kwh: Rounded | None
    """The total per kWh; null where nothing is used."""
    avg_energy_rate_usd_per_kwh: Rounded | None
    tou_breakdown_usd: dict[str, Rounded]
    peaks_kw: dict[str, Rounded]
    """The demand that each month is billed for."""
    lines: list[LineView]
    split_intervals: int
    """Readings inside which the price changes: their energy was taken to be uniform."""
    notes: list[str]
    rate_used: RateUsed


class Compared(BaseModel):
    """The load's cost under one rate."""

    rate_used: RateUsed
    rank: int | None
    """1 is the cheapest; among rates of one currency. Null where there is no bill."""
    total_cost_usd: Rounded | None
    more_than_cheapest_usd: Rounded | None
    avg_rate_usd_per_kwh: Rounded | None
    energy_cost_usd: Rounded | None
    service_charge_usd: Rounded | None
    demand_charge_usd: Rounded | None
    tou_breakdown_usd: dict[str, Rounded]
    problem: str | None
    """Why there is no bill."""


class ComparisonView(BaseModel):
    """The load's cost under each rate, the cheapest first."""

    ok: Literal[True] = True
    start_time: datetime
    end_time: datetime
    total_kwh: Rounded | None
    comparisons: list[Compared]
    count: int


class TierView(BaseModel):
    """A step of a volume-based price."""

    up_to_kwh: Amount | None
    rate: Amount


class CurrentRate(BaseModel):
    """What a kWh costs at an instant. Money is in `currency`."""

    ok: Literal[True] = True
    timestamp: datetime
    period: str
    rate_usd_per_kwh: Amount | None
    """The price of the next kWh of a large consumer; null where the index has no price yet."""
    tiers: list[TierView]
    """The steps, where the price depends on how much is used."""
    currency: str
    starts_at: datetime | None
    """Since when this price holds; null: for more than a year."""
    ends_at: datetime | None
    rate: RateUsed


class SpanView(BaseModel):
    """Hours of a kind of day in a month."""

    month: int
    day: str
    """A weekday's name; `holiday` for a day of the rate's list."""
    start: str
    end: str
    names: list[str]
    """The periods that claim it, eight at most."""


class CoverageQuestion(Part):
    """Which hours of a year does a schedule leave out, which does it name twice?"""

    rate: InlineRate
    year: Year


class CoverageView(BaseModel):
    """The hours that a schedule leaves out, and those that it names twice."""

    ok: Literal[True] = True
    year: int
    complete: bool
    """Neither holes nor overlaps."""
    has_fallback: bool
    """Holes have a price: that of `flat_rate_usd_per_kwh`, of `tiered_rates` or of the index."""
    holes: list[SpanView]
    """The first thousand."""
    holes_total: int
    overlaps: list[SpanView]
    """The first thousand."""
    overlaps_total: int
    rate: RateUsed
