"""How rates and conversions are shown."""

from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel, Field

from energy.currencies.models import ReferenceRate
from energy.currencies.reading import Conversion
from energy.tariffs.amounts import Amount


class ConversionView(BaseModel):
    """The reference rate that figures were converted by."""

    source_currency: str
    currency: str
    rate: Amount = Field(description="Of `currency` for one `source_currency`, to 10 places.")
    rate_date: date | None = Field(
        description="The day of the reference rate; null where nothing was converted."
    )
    rate_source: str
    simulated: bool

    @classmethod
    def of(cls, made: Conversion) -> "ConversionView":
        """Return a conversion as it is shown."""
        return cls(
            source_currency=made.source_currency,
            currency=made.currency,
            rate=round(made.rate, 10),
            rate_date=made.day,
            rate_source=made.source,
            simulated=made.simulated,
        )


class ReferenceRateView(BaseModel):
    """The newest reference rate of a currency."""

    currency: str
    per_eur: Amount
    rate_date: date
    rate_source: str
    simulated: bool
    fetched_at: datetime

    @classmethod
    def of(cls, row: ReferenceRate) -> "ReferenceRateView":
        """Return a rate as it is shown."""
        return cls(
            currency=row.currency,
            per_eur=Decimal(row.per_eur),
            rate_date=row.day,
            rate_source=row.source,
            simulated=row.simulated,
            fetched_at=row.fetched_at,
        )


class ReferenceRates(BaseModel):
    """All currencies that can be converted, the euro being one of them."""

    base: str
    rates: list[ReferenceRateView]


class Converted(BaseModel):
    """An amount in another currency."""

    amount: Amount
    converted: Amount
    conversion: ConversionView
