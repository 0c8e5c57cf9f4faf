"""What is published of the rates."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from common.events import Event

DecimalText = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$", examples=["0.052"])]


class TariffChanged(Event):
    """A rate as it now is. `version` orders the events, `rate_version` is what a bill names."""

    type: ClassVar[str] = "energy.tariff.changed.v1"
    aggregate: ClassVar[str] = "rate_id"

    rate_id: UUID
    rate_version: int
    site_id: UUID | None
    location: str | None
    name: str
    active: bool
    """Whether it is the rate in force of its site or location; with neither, the default one."""
    rate_type: Literal["flat", "tou", "tiered", "index"]
    currency: str
    timezone: str
    tariff: dict[str, Any]
    """All fields, as the API shows them, but for notes and the account's number."""
    mean_usd_per_kwh: DecimalText | None
    """Mean energy price of the week to come for an even load, in `currency`; null where the price
    depends on an index or on how much is used."""
    valid_from: datetime
    """Since when this version says what it says."""
    removed: bool
    changed_at: datetime
    """When this was said: a mean that changes by itself is said again, at least once a week."""


class IndexPricesChanged(Event):
    """Prices of an index that have come, or are others than before."""

    type: ClassVar[str] = "energy.index-prices.changed.v1"
    aggregate: ClassVar[str] = "series_id"

    series_id: UUID
    starts_at: datetime
    """From here on a price may be another."""
    ends_at: datetime | None
    """Until here: the next price that was there before. None: without end."""
    changed_at: datetime
