"""How figures leave: JSON numbers, rounded; what is not defined is null.

BTC to 12 places (with 8, the day of one machine would have three or four digits), USD, kWh, EH/s
and percent to 6, USD per kWh to 8.
"""

import math
from collections.abc import Mapping

import numpy as np

from calculator.domain.profitability import Column

BTC_PLACES = 12
USD_PLACES = 6
RATE_PLACES = 8
PLACES: Mapping[str, int] = {
    "btc_per_day": BTC_PLACES,
    "revenue_usd_per_day": USD_PLACES,
    "energy_kwh_per_day": USD_PLACES,
    "electricity_usd_per_day": USD_PLACES,
    "cost_usd_per_day": USD_PLACES,
    "profit_usd_per_day": USD_PLACES,
    "margin_percent": USD_PLACES,
    "break_even_usd_per_kwh": RATE_PLACES,
    "break_even_btc_price_usd": USD_PLACES,
    "roi_percent_per_year": USD_PLACES,
    "break_even_days": USD_PLACES,
}
"""Places of each figure of a row."""


def rounded(value: float, places: int) -> float | None:
    """Return a figure as it leaves, or None where it is not defined."""
    return round(value, places) + 0.0 if math.isfinite(value) else None


def plain(value: float, places: int) -> float:
    """Return a figure that is always defined, rounded; never -0."""
    return round(value, places) + 0.0


def rounded_column(values: Column, places: int) -> list[float | None]:
    """Return a column as it leaves."""
    with np.errstate(invalid="ignore", over="ignore"):
        kept = np.round(values, places) + 0.0
    whole: list[float | None] = kept.tolist()
    for place in np.flatnonzero(~np.isfinite(kept)):
        whole[int(place)] = None
    return whole
