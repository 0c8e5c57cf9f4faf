"""Bodies of the market's routes."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, field_validator

from intelligence.domain.aggregate import DropReason
from intelligence.domain.candles import Interval


def _fixed(places: int) -> Any:
    """Write an amount with a fixed number of places, as a string: never through a float."""
    quantum = Decimal(1).scaleb(-places)

    def write(value: Decimal) -> str:
        return f"{value.quantize(quantum, ROUND_HALF_UP):f}"

    return PlainSerializer(write, return_type=str)


Usd = Annotated[Decimal, _fixed(6)]
Btc = Annotated[Decimal, _fixed(8)]
Percent = Annotated[Decimal, _fixed(4)]
FinePercent = Annotated[Decimal, _fixed(6)]


class VenueDropped(BaseModel):
    """A venue whose price was not used, and why."""

    venue: str
    reason: DropReason
    difference_percent: Percent | None


class VenuePrice(BaseModel):
    """What one venue last said."""

    venue: str
    pair: str
    price_usd: Usd | None
    volume_btc_24h: Btc | None
    at: datetime | None
    age_s: float | None
    stale: bool
    simulated: bool
    used: bool


class MarketPrice(BaseModel):
    """The price of a bitcoin by all venues together."""

    pair: Literal["BTC/USD"]
    median_usd: Usd
    vwap_usd: Usd | None = Field(description="Weighted by 24 h volume; null where none is told.")
    volume_btc_24h: Btc
    at: datetime = Field(description="The oldest price used.")
    age_s: float
    stale: bool = Field(
        description="False: stale venues are left out, and where all are, the answer is a 503 "
        "with what was last known."
    )
    simulated: bool
    agrees: bool = Field(
        description="False: the venues used are more than 2 % apart, and too few to say which errs."
    )
    warnings: list[str]
    venues: list[VenuePrice]
    dropped: list[VenueDropped]


class Candle(BaseModel):
    """One closed bar."""

    time: datetime = Field(description="When it opened.")
    open: Usd
    high: Usd
    low: Usd
    close: Usd
    volume: Btc = Field(description="Bitcoin; for the index, of the venues used together.")
    venues: int = Field(description="Of how many venues it is the median.")
    disputed: bool = Field(description="Whether those were more than 2 % apart.")
    simulated: bool


class MissingCandles(BaseModel):
    """Bars that no venue has: left out, never made up."""

    starts_at: datetime
    ends_at: datetime
    bars: int


class Candles(BaseModel):
    """Closed bars in the order of time."""

    pair: Literal["BTC/USD"]
    venue: str
    interval: Interval
    simulated: bool
    stale: bool = Field(description="Whether bars that should have come since have not.")
    age_s: float | None = Field(description="Since the last bar closed; null without any.")
    candles: list[Candle]
    holes: list[MissingCandles]
    venues: list[str] = Field(description="Whose candles of this interval can be asked for.")


class VenueVolume(BaseModel):
    """What was traded on one venue within 24 hours."""

    venue: str
    pair: str
    volume_btc_24h: Btc | None
    volume_usd_24h: Usd | None
    share_percent: Percent | None
    at: datetime | None
    age_s: float | None
    stale: bool
    simulated: bool


class MarketVolume(BaseModel):
    """What was traded on all fresh venues within 24 hours."""

    total_btc_24h: Btc
    total_usd_24h: Usd
    simulated: bool
    venues: list[VenueVolume]


class ExchangeRow(BaseModel):
    """How one venue compares."""

    venue: str
    pair: str
    status: Literal["ok", "stale", "failing", "silent"]
    price_usd: Usd | None
    bid_usd: Usd | None
    ask_usd: Usd | None
    spread_percent: FinePercent | None = Field(description="Ask less bid, of their middle.")
    difference_percent: Percent | None = Field(description="From the median of all.")
    volume_btc_24h: Btc | None
    at: datetime | None
    age_s: float | None
    stale: bool
    simulated: bool
    failures: int = Field(description="How often in a row it could not be asked.")
    failing_since: datetime | None
    last_error: str | None


class Exchanges(BaseModel):
    """The venues beside each other."""

    median_usd: Usd | None = Field(description="Null where no venue is fresh.")
    highest: str | None
    lowest: str | None
    difference_usd: Usd | None = Field(description="Between the highest and the lowest.")
    difference_percent: Percent | None
    simulated: bool
    exchanges: list[ExchangeRow]


class VenueQuote(BaseModel):
    """A price that the caller has."""

    model_config = ConfigDict(extra="forbid")

    venue: str = Field(min_length=1, max_length=50)
    price: Decimal = Field(gt=0, le=1_000_000_000, allow_inf_nan=False, examples=["97250.50"])
    volume: Decimal = Field(
        default=Decimal(0),
        ge=0,
        le=1_000_000_000_000,
        allow_inf_nan=False,
        description="Bitcoin traded; the weight in the VWAP.",
    )
    at: AwareDatetime | None = Field(
        default=None, description="When it was true; more than three minutes ago is stale."
    )


class QuotesToAggregate(BaseModel):
    """Prices of several venues."""

    quotes: list[VenueQuote] = Field(min_length=1, max_length=500)

    @field_validator("quotes")
    @classmethod
    def _each_venue_once(cls, quotes: list[VenueQuote]) -> list[VenueQuote]:
        if len({quote.venue for quote in quotes}) != len(quotes):
            msg = "a venue is named twice"
            raise ValueError(msg)
        return quotes


class AggregatedQuotes(BaseModel):
    """One price out of them."""

    median_usd: Usd
    vwap_usd: Usd | None = Field(description="Null where nothing was traded.")
    volume_btc: Btc
    venues_used: list[str]
    dropped: list[VenueDropped]
    agrees: bool
    warnings: list[str]


class RowError(BaseModel):
    """What is wrong with one row of a file."""

    row: int
    """The line of the file, the headings being line 1."""
    field: str | None
    detail: str


class CandleImport(BaseModel):
    """What became of a file of candles, or would."""

    dry_run: bool
    venue: str
    interval: Interval
    rows: int
    valid: int
    imported: int
    refused: bool
    """Whether errors kept the whole file out, or would."""
    duplicates: int
    out_of_order: int
    unfinished: int
    """Bars that have not closed yet: left out."""
    holes: list[MissingCandles]
    """The first 100."""
    errors_total: int
    errors: list[RowError]
    """The first 500."""
    ignored_columns: list[str]
