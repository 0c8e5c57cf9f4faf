"""Requests and answers of importing and exporting rates."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool

from energy.tariffs.amounts import Charge, Moment, Zone
from energy.tariffs.index_schemas import SeriesView
from energy.tariffs.octopus import Vat
from energy.tariffs.schedules import Name, Part
from energy.tariffs.schemas import RateView
from energy.tariffs.terms import RateFields

EXPORT_FORMAT = "hashyard-rate-1"


class ImportRequest(Part):
    """A rate in somebody's format."""

    format: Literal["urdb", "octopus", "hashyard"]
    document: dict[str, Any] | list[Any] = Field(
        description="`urdb`: a rate of the Utility Rate Database; `octopus`: an answer of its "
        "standard-unit-rates, or its results; `hashyard`: a rate exported here"
    )
    timezone: Zone | None = Field(
        default=None,
        description="The rate's zone; that of its site if left out, for octopus Europe/London",
    )
    name: Name | None = Field(default=None, description="Instead of the document's")
    location: Name | None = None
    site_id: UUID | None = None
    active: StrictBool | None = Field(
        default=None, description="Whether it is in force; if left out, where nothing else is"
    )
    valid_from: Moment | None = None
    daily_service_charge_usd: Charge | None = Field(
        default=None, description="A standing charge that the document does not hold"
    )
    vat: Vat = Field(default="included", description="octopus: which of its two values counts")
    payment_method: str | None = Field(
        default=None, max_length=64, description="octopus: whose prices, where they differ"
    )
    rate_id: UUID | None = Field(
        default=None, description="octopus: the rate whose series takes the prices; else a new one"
    )


class ImportResult(BaseModel):
    """The rate that came in."""

    ok: Literal[True] = True
    rate: RateView
    warnings: list[str]
    """What else is to be known: that the document is but a page of several."""
    series: SeriesView | None
    """The prices that came with it."""


class RateExport(BaseModel):
    """A version of a rate, as a document that can be imported."""

    format: Literal["hashyard-rate-1"]
    rate_id: UUID
    version: int
    version_from: datetime
    rate: RateFields
