"""Bodies of signals, levels and back-tests."""

from pydantic import AwareDatetime, BaseModel, Field

from intelligence.domain.candles import Interval
from intelligence.domain.levels import Side
from intelligence.domain.signals import Direction, Signal, Strength
from intelligence.indicators.schemas import Opinion, Values


class Stored(BaseModel):
    """On which candles an answer rests."""

    interval: Interval
    as_of: AwareDatetime | None = Field(description="When the last candle closed.")
    close_usd: float | None = Field(description="The last close.")
    stale: bool = Field(description="Whether that is more than three candles ago, or never was.")
    simulated: bool = Field(description="Whether any candle came from a simulated venue.")


class TrendFound(BaseModel):
    """Where the price is going, by its last 50 candles."""

    direction: Direction
    strength: Strength = Field(description="ADX below 20, below 40, from 40.")
    slope_percent_per_bar: float
    fit: float = Field(description="R² of the line through the logarithms: 1 is a straight march.")


class LevelFound(BaseModel):
    """A price at which the market has turned."""

    side: Side
    price_usd: float
    touches: int
    last_touched_at: AwareDatetime
    distance_percent: float = Field(description="From the last close; negative below it.")


class NetworkSignal(BaseModel):
    """A signal of mining itself."""

    value: float | None = Field(description="Null while the history is too short.")
    signal: Signal
    reason: str


class NetworkSignals(BaseModel):
    """From daily closes and difficulty epochs, whatever the interval."""

    puell_multiple: NetworkSignal
    hash_ribbons: NetworkSignal
    hashprice_percentile: NetworkSignal


class MarketSignals(Opinion, Stored):
    """The signal of the stored index, how it came about, and what stands beside it."""

    reasons: dict[str, str] = Field(description="Why an indicator is not defined.")
    trend: TrendFound | None = Field(description="Null while it is not defined.")
    support: list[LevelFound]
    resistance: list[LevelFound]
    mining: NetworkSignals


class Levels(Stored):
    """Support and resistance, the nearest first."""

    support: list[LevelFound]
    resistance: list[LevelFound]


class PerformanceFound(BaseModel):
    """How an account did."""

    return_percent: float
    max_drawdown_percent: float = Field(description="The deepest fall from a peak.")
    sharpe: float | None = Field(description="Per year; null where the account never moved.")


class TradeFound(BaseModel):
    """One time in the market."""

    bought_at: AwareDatetime
    bought_usd: float
    sold_at: AwareDatetime | None = Field(description="Null while it is open.")
    sold_usd: float | None
    return_percent: float = Field(
        description="After costs; of an open one at the last close, before the cost of leaving."
    )


class SignalBacktest(Stored):
    """What following the signal would have brought, with costs, beside holding."""

    first_bar_at: AwareDatetime
    bars: int
    cost_percent: float = Field(description="Fee and slippage of one purchase or sale.")
    strategy: PerformanceFound
    buy_and_hold: PerformanceFound
    closed_trades: int
    win_rate_percent: float | None = Field(description="Of the closed trades; null without any.")
    exposure_percent: float = Field(description="Share of the candles spent in the market.")
    trades: list[TradeFound]
    time: list[AwareDatetime]
    equity: Values = Field(description="Value of the account at each close; 1 at the beginning.")
    held_equity: Values
