"""Answers about what wind farms meant to generate, did generate, and the country's wind."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from energy.wind_views.figures import Mwh, Percent
from energy.wind_views.schemas import Curtailed, LeadParty, Taken

Notified = Annotated[
    Mwh | None, Field(description="Under the final physical notifications; null: none is known.")
]
Metered = Annotated[
    Mwh | None, Field(description="By the meters; published five days later, null until then.")
]
Share = Annotated[
    Percent | None,
    Field(description="Curtailed of notified energy, where both are known; null: not known."),
]


ShareReason = Literal["no_notifications", "nothing_notified"]


class UnitOutput(BaseModel):
    farm_id: str
    farm_name: str | None
    lead_party: str | None
    notified_mwh: Notified
    metered_mwh: Metered
    curtailed_energy_mwh: Taken
    curtailment_percent: Share


class Notifications(BaseModel):
    """What the wind units meant to generate in a settlement period, and what became of it."""

    date: date
    settlement_period: int
    starts_at: datetime
    lead_party: LeadParty
    simulated: bool
    items: list[UnitOutput]


class PeriodOutput(BaseModel):
    settlement_period: int
    starts_at: datetime
    notified_mwh: Notified
    metered_mwh: Metered
    curtailed_energy_mwh: Taken
    curtailment_percent: Share


class CurtailmentShare(BaseModel):
    """How much of what was meant to be generated was turned down on a day."""

    date: date
    lead_party: str | None
    farm_id: str | None
    farm_name: str | None
    units: int
    curtailed_energy_mwh: Curtailed
    notified_mwh: Notified
    metered_mwh: Metered
    curtailment_percent: Share
    periods_known: int = Field(description="Settlement periods with a physical notification.")
    reason: ShareReason | None = Field(description="Why the percentage is null.")
    is_complete: bool
    simulated: bool
    items: list[PeriodOutput]


class PeriodGeneration(BaseModel):
    settlement_period: int
    starts_at: datetime
    onshore_mw: Mwh | None
    offshore_mw: Mwh | None
    total_mw: Mwh | None = Field(description="The average of the half-hour; null: not known.")


class WindGenerationOfDay(BaseModel):
    """What the country's wind farms generated on a day."""

    date: date
    onshore_mwh: Mwh | None
    offshore_mwh: Mwh | None
    total_mwh: Mwh = Field(description="Of the periods that are known.")
    periods_known: int
    is_complete: bool
    sources: list[str]
    simulated: bool
    items: list[PeriodGeneration]


class GenerationCheck(BaseModel):
    """Which settlement periods of a day have the country's generation."""

    date: date
    periods_expected: int = Field(description="Until now.")
    periods_known: int
    missing_periods: list[int]
    is_complete: bool


class GenerationStatus(BaseModel):
    """How far the country's generation is known."""

    first_date: date | None
    last_date: date | None
    last_period: int | None
    days: int
    last_updated: datetime | None
    status: str | None = Field(description="Of the process that takes it in; null: it never ran.")
    error: str | None
