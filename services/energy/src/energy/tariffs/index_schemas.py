"""Requests and answers of the index series."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from energy.tariffs.amounts import Amount, Currency, Moment, PricePerMwh, Zone
from energy.tariffs.schedules import Name, Part

MOST_PRICES = 20_000


class PriceRow(Part):
    """The price of an interval."""

    start: Moment
    end: Moment | None = Field(default=None, description="Until the next price, if left out")
    price_per_mwh: PricePerMwh

    @field_validator("end")
    @classmethod
    def _after_its_start(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start: datetime | None = info.data.get("start")
        if start is None or end is None:
            return end
        if (start.tzinfo is None) != (end.tzinfo is None):
            msg = "start and end both have an offset, or both have none"
            raise ValueError(msg)
        if end <= start:
            msg = "must lie after its start"
            raise ValueError(msg)
        return end


Prices = Annotated[list[PriceRow], Field(max_length=MOST_PRICES)]


class NewSeries(Part):
    """A series of prices."""

    name: Name
    currency: Currency = "USD"
    note: Annotated[str, StringConstraints(max_length=1000)] | None = None
    timezone: Zone = Field(default="UTC", description="Of times without offset")
    prices: Prices = Field(default_factory=list[PriceRow])


class MorePrices(Part):
    """Prices to be added to a series; one that starts when another does replaces it."""

    timezone: Zone = Field(default="UTC", description="Of times without offset")
    prices: Annotated[list[PriceRow], Field(min_length=1, max_length=MOST_PRICES)]


class SeriesView(BaseModel):
    """A series of prices, as far as it is known."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    currency: str
    source: str
    note: str | None
    prices: int
    """How many there are."""
    first_start: datetime | None
    last_start: datetime | None
    created_at: datetime
    updated_at: datetime


class SeriesAnswer(BaseModel):
    """One series."""

    ok: Literal[True] = True
    series: SeriesView


class SeriesList(BaseModel):
    """Series of prices, by name."""

    ok: Literal[True] = True
    series: list[SeriesView]
    count: int
    total: int
    """How many there are beside this page."""


class PriceView(BaseModel):
    """A price of a series."""

    start: datetime
    end: datetime | None
    price_per_mwh: Amount


class PriceList(BaseModel):
    """Prices of a series, in order."""

    ok: Literal[True] = True
    prices: list[PriceView]
    count: int
    next_start: datetime | None
    """Where to go on; null at the end."""


class SeriesRemoved(BaseModel):
    """A series that is no more."""

    ok: Literal[True] = True
    id: UUID
