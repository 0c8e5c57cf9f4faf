"""Requests and answers of costs.

Amounts are decimal strings in `currency`; the field names that end in `_usd` are document 003's.
"""

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from energy.tariffs.amounts import Day, Moment, Number

_MICRO = Decimal("1e-6")


def _out(value: Decimal) -> str:
    return f"{value.quantize(_MICRO, ROUND_HALF_UP):f}"


Text = Annotated[
    Decimal,
    PlainSerializer(_out, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+\.\d{6}$"}, mode="serialization"),
]
"""A decimal with six places."""
PositiveW = Annotated[Decimal, Number, Field(ge=0, le=10_000_000_000, decimal_places=6)]
PositiveKwh = Annotated[Decimal, Number, Field(ge=0, le=1_000_000_000, decimal_places=6)]


class CostRecord(BaseModel):
    """What was used in an interval and what it cost."""

    id: UUID | None
    """Null: worked out from the half-hours of a machine or client."""
    timestamp: datetime
    source: Literal["telemetry", "manual"]
    site_id: UUID | None
    client_id: UUID | None
    miner_id: UUID | None
    miner_ip: str | None
    """Null without `miner_id`: the whole fleet of the site, location or client."""
    location: str | None
    period_start: datetime
    period_end: datetime
    duration_hours: Text
    total_kwh: Text | None
    """Null: not known."""
    avg_power_kw: Text | None
    peak_power_kw: Text | None
    rate_id: UUID | None
    rate_version: int | None
    rate_name: str | None
    currency: str | None
    avg_rate_usd_per_kwh: Text | None
    energy_cost_usd: Text | None
    """Null: no tariff was in force, or the energy is not known."""
    demand_charge_usd: Text | None
    service_charge_usd: Text | None
    total_cost_usd: Text | None
    tou_breakdown_usd: dict[str, str] | None
    energy_taken_as_uniform: bool
    """The price changed inside the interval; its energy was taken to be uniform."""
    machines: int
    unknown_machines: int
    """Machines whose energy is not known: it is missing, not 0."""
    th_h: float | None
    simulated: bool


class CostList(BaseModel):
    """Records, newest first."""

    ok: Literal[True]
    costs: list[CostRecord]
    count: int
    total: int
    page: int
    pages: int
    limit: int
    period_start: datetime
    period_end: datetime


class Amounts(BaseModel):
    """What was used and what it cost, in one currency."""

    currency: str | None
    """Null: no tariff was in force."""
    total_kwh: Text
    unrated_kwh: Text
    """The part of `total_kwh` without a known cost, as no tariff was in force: it costs more."""
    energy_cost_usd: Text
    service_charge_usd: Text
    demand_charge_usd: Text
    other_charges_usd: Text
    """Coincident peak and minimum less credits and export."""
    taxes_usd: Text
    total_cost_usd: Text
    avg_rate_usd_per_kwh: Text | None
    """All charges included; null where nothing is rated."""
    avg_energy_rate_usd_per_kwh: Text | None
    num_records: int
    coverage_percent: Text | None
    """Share of machine half-hours whose energy is known."""
    unknown_half_hours: int
    uniform_half_hours: int
    """In which the price changed: their energy was taken to be uniform."""
    th_h: float
    simulated: bool


class Estimate(BaseModel):
    """What the machines would cost at their rated power, at the tariffs in force.

    Whole sites with all charges of thirty days of a month; machines and clients without.
    """

    basis: Literal["nameplate"]
    num_miners: int
    fleet_power_w: Text
    daily_cost_usd: Text
    monthly_cost_usd: Text
    """Thirty days."""
    currency: str
    rate_name: str
    """Of several rates, their names."""
    rate_version: int | None
    """Null: of several rates."""
    real_to_estimated_percent: Text | None
    """The recorded day, as a share of the estimated one."""


FixedCharges = Literal["included", "not of records by hand", "not of single machines and clients"]


class Summary(BaseModel):
    """Sums of a span. With several currencies the amounts stand in `by_currency` only."""

    ok: Literal[True]
    period_start: datetime
    period_end: datetime
    currency: str | None
    total_cost_usd: Text | None
    total_kwh: Text
    avg_rate_usd_per_kwh: Text | None
    num_records: int
    tou_breakdown_usd: dict[str, str]
    """Energy cost by the period's name."""
    energy_cost_usd: Text | None
    service_charge_usd: Text | None
    demand_charge_usd: Text | None
    other_charges_usd: Text | None
    taxes_usd: Text | None
    unrated_kwh: Text
    coverage_percent: Text | None
    estimated: bool
    """Nothing is recorded in the span: daily and monthly cost are an estimate only."""
    estimated_daily_cost_usd: Text | None
    estimated_monthly_cost_usd: Text | None
    """Thirty days."""
    estimate_basis: Literal["recorded", "nameplate"] | None
    """What the two are made of; null: nothing is recorded, and no machine or tariff is known."""
    estimate: Estimate | None
    by_currency: list[Amounts]
    uniform_half_hours: int
    fixed_charges: FixedCharges
    """Which of them are not of records by hand is said in `notes`."""
    notes: list[str]
    simulated: bool


class RecordOrder(BaseModel):
    """What a meter or an estimate says of an interval, to be recorded by hand."""

    model_config = ConfigDict(extra="forbid")

    period_start: Moment | None = None
    period_end: Moment | None = None
    """At most a day after the start. Times without offset are in the site's zone, else UTC. With
    neither it is the last whole hour. An interval over a local midnight is kept by the day."""
    power_w: PositiveW | None = None
    total_kwh: PositiveKwh | None = None
    site_id: UUID | None = None
    location: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """A site's location or name stands for the site."""
    miner_id: UUID | None = None
    miner_ip: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """As `miner_id`, where a machine is known by it."""


class Recorded(BaseModel):
    """The record, new or as it was before."""

    ok: Literal[True]
    created: bool
    """False: just this was recorded before."""
    cost: CostRecord
    """The interval; over a local midnight the sum of `costs`, without an id of its own."""
    costs: list[CostRecord]
    """As they are kept: one for each local day of the interval."""
    notes: list[str]
    """Which charges of the tariff are not in it."""


class TrendPoint(BaseModel):
    """A day, month or season."""

    label: str
    start: date
    end: date
    """Not included."""
    amounts: Amounts
    previous_year: Amounts | None
    change_percent: Text | None
    """Of the total cost against the year before."""


class Trends(BaseModel):
    """Costs over time, oldest first, by currency."""

    ok: Literal[True]
    interval: Literal["day", "month", "season"]
    compare: Literal["previous_year"] | None
    points: list[TrendPoint]
    count: int


class SiteCosts(BaseModel):
    """A site's costs."""

    site_id: UUID | None
    """Null: recorded by hand without a site."""
    name: str
    location: str | None
    amounts: list[Amounts]
    """By currency."""


class SiteComparison(BaseModel):
    """Sites, the cheapest energy first."""

    ok: Literal[True]
    first_day: date
    last_day: date
    sites: list[SiteCosts]
    count: int


class PeriodProfit(BaseModel):
    """A period of the tariff: what its energy cost and what was mined with it."""

    name: str
    currency: str | None
    total_kwh: Text
    th_h: float
    energy_cost_usd: Text | None
    bitcoin: Annotated[str | None, Field(examples=["0.00012345"])]
    revenue_usd: Text | None
    """In USD, at the quote of each day; null where no quote is known."""
    profit_usd: Text | None
    """In USD; null where a part of it is not known."""
    avg_rate_usd_per_kwh: Text | None
    revenue_usd_per_kwh: Text | None


class QuoteOfDay(BaseModel):
    """How a day's bitcoin was valued."""

    day: date
    price_usd: Text | None
    at: datetime | None
    stale: bool
    missing: bool
    simulated: bool


class PeriodProfits(BaseModel):
    """Cost against bitcoin by tariff period."""

    ok: Literal[True]
    period_start: datetime
    period_end: datetime
    periods: list[PeriodProfit]
    quotes: list[QuoteOfDay]
    conversions: list[dict[str, Any]]
    """How other currencies became USD: each day at its own reference rate."""
    notes: list[str]


class ProfitLine(BaseModel):
    """Profit and loss of a machine, client or site."""

    id: UUID | None
    """Null: of the operator itself, or of all."""
    name: str
    site_id: UUID | None
    client_id: UUID | None
    total_kwh: Text
    th_h: float
    bitcoin: str | None
    revenue_usd: Text | None
    energy_cost_usd: Text | None
    fixed_charges_usd: Text | None
    """A site's service, demand and further charges and taxes; null for machines and clients."""
    total_cost_usd: Text | None
    profit_usd: Text | None
    margin_percent: Text | None
    break_even_usd_per_kwh: Text | None
    """What a kWh may cost before nothing is left."""
    coverage_percent: Text | None
    unrated_kwh: Text


class ProfitAndLoss(BaseModel):
    """Profit and loss, in USD, the most profitable first; what is not known comes last."""

    ok: Literal[True]
    by: Literal["machine", "client", "site"]
    first_day: date
    last_day: date
    items: list[ProfitLine]
    count: int
    total: int
    page: int
    pages: int
    quotes: list[QuoteOfDay]
    conversions: list[dict[str, Any]]
    """How other currencies became USD."""
    notes: list[str]
    simulated: bool


class RerateOrder(BaseModel):
    """Which recorded days are to be rated anew; by default all."""

    model_config = ConfigDict(extra="forbid")

    site_id: UUID | None = None
    start_date: Day | None = None
    end_date: Day | None = None
    """Included."""


class RerateAccepted(BaseModel):
    """The job that does it: `/api/electricity/jobs/{job_id}`."""

    job_id: UUID
    days: int
