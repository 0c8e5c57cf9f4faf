"""Answers about curtailed energy: summaries, lead parties, hours and the country's wind."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from energy.wind_views.figures import Bitcoin, BitcoinRate, Currency, Money, Mwh, Percent
from energy.wind_views.pricing import MarketPrice

Curtailed = Annotated[Mwh, Field(description="Turned down; never negative.")]
Paid = Annotated[Money, Field(description="Positive: paid to the farms; negative: by them.")]
Taken = Annotated[Mwh | None, Field(description="Turned down; null where no period was taken in.")]
PaidIn = Annotated[
    Money | None, Field(description="Positive: paid to the farms; null as the energy is.")
]
Worth = Annotated[Money | None, Field(description="Null where no price is known: see `market`.")]
DaysMissing = Annotated[
    int, Field(description="Days until yesterday that are missing or incomplete.")
]
LeadParty = Annotated[str | None, Field(description="The lead party asked for; null: all.")]
FarmId = Annotated[str | None, Field(description="The BM unit asked for; null: all.")]


class OfDay(BaseModel):
    date: date


class OfMonth(BaseModel):
    month: str


class OfYear(BaseModel):
    year: int


class PeriodStart(BaseModel):
    settlement_period: int
    start_time: datetime


class SettlementPeriods(BaseModel):
    """The settlement periods of a day: 48, and 46 or 50 when the clocks change."""

    date: date
    items: list[PeriodStart]


class DailySummary(BaseModel):
    """A day's curtailment, and what the country's wind farms generated."""

    date: date
    total_curtailed_energy_mwh: Curtailed
    total_payment_gbp: Paid
    lead_party: LeadParty
    wind_generation_mwh: Mwh | None = Field(description="Null where not known, and for one party.")
    wind_onshore_mwh: Mwh | None
    wind_offshore_mwh: Mwh | None
    records: int
    periods_complete: int = Field(description="Settlement periods taken in, also with nothing.")
    is_complete: bool
    simulated: bool


class _Total(BaseModel):
    curtailed_energy_mwh: Curtailed
    payment_gbp: Paid


class DayTotal(_Total, OfDay):
    pass


class MonthTotal(_Total, OfMonth):
    pass


class _LongSummary(BaseModel):
    total_curtailed_energy_mwh: Curtailed
    total_payment_gbp: Paid
    lead_party: LeadParty
    wind_generation_mwh: Mwh | None = Field(description="Null where not known, and for one party.")
    wind_onshore_mwh: Mwh | None
    wind_offshore_mwh: Mwh | None
    records: int
    days_complete: int
    days_missing: DaysMissing
    is_complete: bool
    simulated: bool


class MonthlySummary(_LongSummary, OfMonth):
    """A month's curtailment, the sum of its days."""

    daily_totals: list[DayTotal]


class YearlySummary(_LongSummary, OfYear):
    """A year's curtailment, the sum of its months."""

    monthly_totals: list[MonthTotal]


class LeadPartyUnits(BaseModel):
    lead_party: str
    units: int = Field(description="Wind units that are its own now.")
    generation_capacity_mw: Mwh | None


class LeadParties(BaseModel):
    """Everybody who leads a wind unit."""

    items: list[LeadPartyUnits]


class LeadPartyDay(BaseModel):
    lead_party: str
    units: int = Field(description="Its units that were turned down.")
    curtailed_energy_mwh: Curtailed
    payment_gbp: Paid


class LeadPartiesOfDay(BaseModel):
    """Who was curtailed on a day, most energy first."""

    date: date
    items: list[LeadPartyDay]


class Hour(BaseModel):
    """One hour of the local day: on the days of the clock change one is missing or comes twice."""

    hour: str = Field(examples=["17:00"], description="Local time.")
    starts_at: datetime
    settlement_periods: list[int]
    curtailed_energy_mwh: Taken
    payment_gbp: PaidIn
    is_complete: bool


class HourlyCurtailment(BaseModel):
    """A day's curtailment by the hour."""

    date: date
    lead_party: LeadParty
    farm_id: FarmId
    total_curtailed_energy_mwh: Curtailed
    total_payment_gbp: Paid
    is_complete: bool
    items: list[Hour]


class _Compared(BaseModel):
    curtailed_energy_mwh: Taken
    payment_gbp: PaidIn
    bitcoin_mined: Bitcoin | None
    all_curtailed_energy_mwh: Taken
    share_percent: Percent | None = Field(
        description="Of all parties' energy; null without any energy."
    )


class _OfHour(BaseModel):
    hour: str
    starts_at: datetime


class HourCompared(_Compared, _OfHour):
    pass


class DayCompared(_Compared, OfDay):
    pass


class HourlyComparison(BaseModel):
    """A lead party's hours, or everybody's: energy, bitcoin, and the share of the whole."""

    date: date
    lead_party: LeadParty
    miner_model: str
    is_complete: bool
    items: list[HourCompared]


class MonthlyComparison(BaseModel):
    """A lead party's days of a month, or everybody's: energy, bitcoin, and the share."""

    month: str
    lead_party: LeadParty
    miner_model: str
    is_complete: bool
    items: list[DayCompared]


class HalfHourChoice(BaseModel):
    """What a curtailed MWh brought, and what it would have brought mining."""

    settlement_period: int
    starts_at: datetime
    curtailed_energy_mwh: Taken
    payment_gbp: PaidIn
    curtail_gbp_per_mwh: Money | None = Field(description="Payment / energy; null without energy.")
    btc_per_mwh: BitcoinRate | None = Field(description="Null where difficulty is not known.")
    bitcoin_mined: Bitcoin | None
    mine_gbp_per_mwh: Worth
    mine_value_gbp: Worth
    difference_gbp_per_mwh: Money | None = Field(description="Mining less curtailing.")
    better: Literal["mine", "curtail"] | None = Field(
        description="`mine`, `curtail`, or null where either is unknown."
    )
    system_price_gbp_per_mwh: Money | None


class CurtailOrMine(BaseModel):
    """Curtailing against mining, half-hour by half-hour, at the current price of bitcoin."""

    date: date
    miner_model: str
    lead_party: LeadParty
    farm_id: FarmId
    total_curtailed_energy_mwh: Curtailed
    total_payment_gbp: Paid
    curtail_gbp_per_mwh: Money | None
    total_bitcoin_mined: Bitcoin | None
    mine_value_gbp: Worth
    mine_gbp_per_mwh: Worth
    difference_gbp_per_mwh: Money | None
    is_complete: bool
    market: MarketPrice
    items: list[HalfHourChoice]


class MarketView(BaseModel):
    """What stands beside every value."""

    current_price: Worth
    currency: Currency = Field(description="Of `current_price` and `value_at_current_price`.")
    market: MarketPrice
