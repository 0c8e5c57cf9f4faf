"""Requests and answers of the quote routes."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from calculator.domain.market import Valued

DecimalText = Annotated[
    Decimal,
    PlainSerializer(lambda value: f"{value:f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, mode="serialization"),
]
"""A decimal number as text, never with an exponent."""


def places(value: Decimal, count: int) -> Decimal:
    """Return a number with so many decimal places."""
    return Decimal(f"{value:.{count}f}")


class Figure(BaseModel):
    """A figure, who said it, and how old it is."""

    value: DecimalText
    source: str
    at: datetime
    age_s: float
    stale: bool
    simulated: bool


def figure_of(valued: Valued, now: datetime, count: int) -> Figure:
    """Return a figure as it is shown, with so many decimal places."""
    return Figure(
        value=places(valued.value, count),
        source=valued.source,
        at=valued.at,
        age_s=round(valued.age_s(now), 1),
        stale=valued.stale,
        simulated=valued.simulated,
    )


class ManualQuote(BaseModel):
    """Figures recorded by a person, for an installation that reaches no source."""

    model_config = ConfigDict(extra="forbid")

    price_usd: Decimal = Field(
        ge=Decimal("0.01"), le=10**9, allow_inf_nan=False, max_digits=20, examples=["97250.50"]
    )
    at: AwareDatetime | None = Field(default=None, description="When it was true; now if left out")
    note: str = Field(
        min_length=1, max_length=200, description="Where the figures are from", examples=["Reuters"]
    )
    difficulty: Decimal | None = Field(
        default=None, ge=1, le=10**24, allow_inf_nan=False, max_digits=40
    )
    height: int | None = Field(default=None, ge=0, le=10**8)
    fees_btc_per_block: Decimal | None = Field(
        default=None, ge=0, le=1000, allow_inf_nan=False, max_digits=20
    )


class RecordedQuote(BaseModel):
    """What was recorded by hand."""

    source: str
    note: str
    figures: dict[str, Figure]


class QuoteView(BaseModel):
    """A quote of the record."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    pair: str
    price_usd: DecimalText
    at: datetime
    source: str
    stale: bool
    simulated: bool
    height: int
    difficulty: DecimalText
    network_hashrate_ehs: float
    subsidy_btc: DecimalText
    fees_btc_per_block: DecimalText
    hashprice_usd_per_ths_day: DecimalText
    hashprice_btc_per_ths_day: DecimalText
    second_price_usd: DecimalText | None
    warnings: list[str]
    published_at: datetime
