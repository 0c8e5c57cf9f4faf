"""Answers about bitcoin that curtailed energy would have mined."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from energy.wind_views.figures import Bitcoin, Difficulty, Mwh, Percent
from energy.wind_views.schemas import (
    Curtailed,
    FarmId,
    LeadParty,
    MarketView,
    OfDay,
    OfMonth,
    OfYear,
    Paid,
    Worth,
)
from energy.wind_views.spans import Timeframe

BitcoinReason = Literal["not_calculated", "difficulty_unavailable", "partly_calculated"]
Share = Annotated[
    Percent | None, Field(description="Of all curtailed energy of the span; null without any.")
]
Mined = Annotated[Bitcoin | None, Field(description="Null where it is not calculated.")]
MeanDifficulty = Annotated[
    Difficulty | None,
    Field(
        description="The mean over the settlement periods (of months and years: days) calculated."
    ),
]
WhyBitcoin = Annotated[
    BitcoinReason | None,
    Field(description="Why bitcoin is null, or the sum of some of the periods only."),
]


class Potential(BaseModel):
    """Energy, and what it would have mined."""

    curtailed_energy_mwh: Curtailed
    total_payment_gbp: Paid
    bitcoin_mined: Mined
    value_at_current_price: Worth


class _Whole(Potential, MarketView):
    miner_model: str
    lead_party: LeadParty
    farm_id: FarmId
    difficulty: MeanDifficulty
    bitcoin_reason: WhyBitcoin
    is_complete: bool = Field(description="Whether every settlement period so far was taken in.")
    simulated: bool = Field(description="Whether some of it comes from a simulated party.")


class DayPotential(Potential, OfDay):
    pass


class MonthPotential(Potential, OfMonth):
    pass


class DailyPotential(_Whole, OfDay):
    """What a day's curtailed energy would have mined."""


class MonthlyPotential(_Whole, OfMonth):
    """What a month's curtailed energy would have mined."""

    days: list[DayPotential]


class YearlyPotential(_Whole, OfYear):
    """What a year's curtailed energy would have mined."""

    months: list[MonthPotential]


class _Farm(BaseModel):
    farm_id: str
    farm_name: str | None
    lead_party: str
    periods: int = Field(description="Half-hours in which it was turned down, a flagged row each.")


class FarmPotential(Potential, _Farm):
    """A farm's potential. A farm's id is its BM unit's; several units may be one wind farm."""

    share_percent: Share


class _Party(BaseModel):
    lead_party: str
    farms: int


class LeadPartyPotential(Potential, _Party):
    share_percent: Share


class _Ranked(MarketView):
    timeframe: Timeframe
    value: str
    miner_model: str
    difficulty: MeanDifficulty
    bitcoin_reason: WhyBitcoin
    is_complete: bool
    simulated: bool


class FarmPotentials(_Ranked):
    """What the farms' curtailed energy would have mined, most bitcoin first."""

    lead_party: LeadParty
    items: list[FarmPotential]


class LeadPartyPotentials(_Ranked):
    """What the lead parties' curtailed energy would have mined, most bitcoin first."""

    items: list[LeadPartyPotential]


class _Of(BaseModel):
    value: str = Field(description="Of a month's days or a year's months; a day stands for itself.")


class SpanPotential(Potential, _Of):
    pass


class OneFarm(_Whole):
    """What one farm's curtailed energy would have mined, and when."""

    timeframe: Timeframe
    value: str
    farm_name: str | None
    generation_capacity_mw: Mwh | None
    items: list[SpanPotential]


class FarmGroup(Potential):
    """A lead party and its farms."""

    lead_party: str
    share_percent: Share
    farms: list[FarmPotential]


class FarmTables(_Ranked):
    """Farms grouped by their lead parties; totals are of all groups."""

    curtailed_energy_mwh: Curtailed
    total_payment_gbp: Paid
    bitcoin_mined: Mined
    value_at_current_price: Worth
    items: list[FarmGroup]
