"""Bodies of the indicators."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import numpy as np
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from intelligence.domain.candles import Interval
from intelligence.domain.indicators import Bars, Column
from intelligence.domain.signals import Signal
from intelligence.market.schemas import Usd

MAX_CANDLES = 10_000
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
Values = list[float | None]


def _missing(value: Any) -> Any:
    """Read NaN as a missing value; JSON has none, but programs write it as text."""
    written = isinstance(value, str) and value.strip().lower() == "nan"
    return None if written or value != value else value  # noqa: PLR0124  (only NaN is not itself)


_Price = Annotated[Annotated[float, Field(gt=0, le=1e12)] | None, BeforeValidator(_missing)]
_Volume = Annotated[Annotated[float, Field(ge=0, le=1e18)] | None, BeforeValidator(_missing)]


class Candle(BaseModel):
    """One bar. Null (or NaN) is a missing value: it is left out, never taken for 0."""

    time: AwareDatetime = Field(
        ge=_EARLIEST, lt=_LATEST, description="When it opened; text, or seconds or ms since 1970."
    )
    open: _Price = None
    high: _Price = None
    low: _Price = None
    close: _Price
    volume: _Volume = None

    @field_validator("low")
    @classmethod
    def _not_above_the_high(cls, low: float | None, info: ValidationInfo) -> float | None:
        high = info.data.get("high")
        if low is not None and high is not None and high < low:
            msg = f"the low {low:g} is above the high {high:g}"
            raise ValueError(msg)
        return low


class CandleSeries(BaseModel):
    """A series of the caller's own, in any order."""

    candles: list[Candle] = Field(min_length=1, max_length=MAX_CANDLES)

    def bars(self) -> Bars:
        """Return the candles as columns, as they were sent."""
        return Bars(
            time_s=np.array([one.time.timestamp() for one in self.candles]),
            open=_column([one.open for one in self.candles]),
            high=_column([one.high for one in self.candles]),
            low=_column([one.low for one in self.candles]),
            close=_column([one.close for one in self.candles]),
            volume=_column([one.volume for one in self.candles]),
        )


def _column(values: Values) -> Column:
    return np.array(values, dtype=np.float64)  # None becomes NaN


class Part(BaseModel):
    """What one part adds to the score; null where it is not defined."""

    name: str
    lean: float | None = Field(description="From -1 (sell) to +1 (buy).")
    weight: float | None = Field(description="Trend or range, each weighs by how much of it is.")
    points: float | None = Field(description="Lean times weight.")


class Opinion(BaseModel):
    """The signal at the last candle, and what it consists of."""

    signal: Signal = Field(description="BUY from a score of +50, SELL from -50.")
    score: float = Field(description="From -100 to +100, the sum of the parts.")
    parts: list[Part]


class IndicatorArrays(Opinion):
    """Arrays of one length, in the order of time; null where an indicator is not defined."""

    time: list[AwareDatetime]
    rsi: Values = Field(description="14 bars, Wilder.")
    macd: Values = Field(description="EMA 12 less EMA 26.")
    macd_signal: Values = Field(description="EMA 9 of the MACD.")
    macd_histogram: Values
    bb_upper: Values = Field(description="SMA 20 and two population standard deviations.")
    bb_middle: Values
    bb_lower: Values
    ema_12: Values
    ema_20: Values
    ema_26: Values
    sma_20: Values
    stoch_k: Values = Field(description="14 bars, smoothed by 3.")
    stoch_d: Values = Field(description="Mean of three %K.")
    adx: Values = Field(description="14 bars.")
    plus_di: Values
    minus_di: Values
    atr: Values = Field(description="14 bars, Wilder.")
    obv: Values = Field(description="On-balance volume; begins with the first bar's volume.")
    vwap: Values = Field(
        description="Mean of the typical price by volume since 00:00 UTC; for candles of a day or "
        "more, since the first of the month."
    )
    ichimoku_conversion: Values = Field(description="Middle of the range of 9 bars.")
    ichimoku_base: Values = Field(description="Middle of the range of 26 bars.")
    ichimoku_span_a: Values = Field(description="Shown 26 bars later.")
    ichimoku_span_b: Values = Field(description="Of 52 bars, shown 26 bars later.")
    ichimoku_lagging: Values = Field(description="The close 26 bars later: only for drawing.")
    reasons: dict[str, str] = Field(
        description="For every indicator that is null at the last candle: why."
    )


class ComputedIndicators(IndicatorArrays):
    """The indicators of the caller's series: one member per candle sent."""

    warnings: list[str] = Field(description="What was amiss with the series.")


class StoredIndicators(IndicatorArrays):
    """The indicators of the stored index, the median of the venues."""

    interval: Interval
    close: Values
    simulated: bool = Field(description="Whether any candle came from a simulated venue.")


class Recorded(BaseModel):
    """The indicators at a snapshot of the market."""

    analytics_id: UUID
    at: AwareDatetime = Field(description="When the snapshot was taken.")
    btc_price: Usd
    interval: Interval
    bar_opened_at: AwareDatetime | None = Field(description="The last candle closed by then.")
    rsi: float | None
    macd: float | None
    macd_signal: float | None
    bb_upper: float | None
    bb_middle: float | None
    bb_lower: float | None
    ema_12: float | None
    ema_26: float | None
    score: float
    signal: Signal
    simulated: bool = Field(description="Whether the snapshot's price came from simulated venues.")


class RecordedIndicators(BaseModel):
    """Snapshots, the newest first; ask again with the last one's time as `before`."""

    items: list[Recorded]
