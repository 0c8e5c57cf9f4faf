"""Bodies of the carbon intensity."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from energy.carbon.footprint import Basis
from energy.carbon.footprint import Footprint as Computed
from energy.tariffs.amounts import Amount, Number

Region = Annotated[
    str,
    Field(
        pattern=r"^GB(-([1-9]|1[0-7]))?$",
        description="`GB`: Great Britain, with actual figures. `GB-1` to `GB-14`: a region of its "
        "distribution networks; `GB-15` England, `GB-16` Scotland, `GB-17` Wales: forecasts only.",
        examples=["GB-13"],
    ),
]


class NewCarbonSetting(BaseModel):
    """Where a site's intensity comes from: a region, or one stated figure with its source."""

    model_config = ConfigDict(extra="forbid")

    region: Region | None = None
    stated_g_per_kwh: (
        Annotated[Amount, Number, Field(ge=0, le=2000, decimal_places=3, allow_inf_nan=False)]
        | None
    ) = None
    stated_source: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, examples=["Electricity Maps, Quebec, 2025"]
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "NewCarbonSetting":
        if (self.region is None) == (self.stated_g_per_kwh is None):
            msg = "give a region or stated_g_per_kwh, one of them"
            raise ValueError(msg)
        if (self.stated_g_per_kwh is None) != (self.stated_source is None):
            msg = "a stated figure needs stated_source, and only that does"
            raise ValueError(msg)
        return self


class CarbonSettingView(BaseModel):
    """Where a site's intensity comes from."""

    model_config = ConfigDict(from_attributes=True)

    site_id: UUID
    region: str | None
    stated_g_per_kwh: Amount | None
    stated_source: str | None
    updated_at: datetime


class IntensityRow(BaseModel):
    """A half-hour of a region."""

    starts_at: datetime
    forecast_g_per_kwh: Amount | None
    actual_g_per_kwh: Amount | None = Field(description="Null until the half-hour is over.")
    source: str
    simulated: bool
    fetched_at: datetime


class Intensities(BaseModel):
    """A region's half-hours; those that nobody has told are absent."""

    region: str
    items: list[IntensityRow]
    missing: int = Field(description="Half-hours of the span without a figure.")


class FootprintFigures(BaseModel):
    """Energy and the CO2 of its generation."""

    kwh: Amount
    kg_co2: Amount | None = Field(description="Null where no intensity at all is known.")
    kwh_without_intensity: Amount = Field(description="Not in `kg_co2`.")
    g_per_kwh: Amount | None
    basis: Basis = Field(
        description="Whether the intensities are `actual`, `forecast`, `mixed` or `stated`."
    )
    simulated: bool

    @classmethod
    def figures(cls, made: Computed) -> dict[str, object]:
        """Return the figures of a footprint by name."""
        return {name: getattr(made, name) for name in FootprintFigures.model_fields}


class FootprintRow(FootprintFigures):
    """One half-hour or local day."""

    day: date | None = Field(description="Null in rows of half-hours.")
    starts_at: datetime | None = Field(description="Null in rows of days.")


class FootprintAnswer(BaseModel):
    """What a site's, a client's or a machine's electricity emitted."""

    site_id: UUID
    client_id: UUID | None
    miner_id: UUID | None
    timezone: str
    interval: Literal["day", "half_hour"]
    region: str | None
    stated_source: str | None
    total: FootprintFigures
    items: list[FootprintRow]
    missing_half_hours: int = Field(
        description="Half-hours of the span in which nobody has told of energy."
    )


class MachineDayView(BaseModel):
    """A machine's local day."""

    model_config = ConfigDict(from_attributes=True)

    miner_id: UUID
    client_id: UUID | None
    kwh: Amount
    kwh_without_intensity: Amount
    kg_co2: Amount | None = Field(description="Null where no intensity is known.")
