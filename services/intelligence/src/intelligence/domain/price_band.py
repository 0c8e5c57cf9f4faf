"""The price that is undercut in one case out of twenty, read from a forecast's band.

A forecast of the logarithm of the price is normal, so its bounds at 80 and 95 % are
exp(mu ± 1.281552 sigma) and exp(mu ± 1.959964 sigma). From each pair of bounds mu is the middle of
the logarithms and sigma their half-width over the factor; the 5 % quantile, which is also the
lower bound of the 90 % band, is exp(mu - 1.644854 sigma). Where the two pairs disagree (a band
corrected by measured errors is not exactly log-normal) the lower of the two prices counts.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

Z_80 = 1.2815515655446004
Z_95 = 1.959963984540054
Z_05 = 1.6448536269514722
_LEAST_CLOSES = 60


def five_percent_price(
    lower_80: float, upper_80: float, lower_95: float, upper_95: float
) -> Decimal | None:
    """Return the price that is undercut with a probability of 5 %; None for a senseless band."""
    candidates = [_quantile(lower_80, upper_80, Z_80), _quantile(lower_95, upper_95, Z_95)]
    known = [one for one in candidates if one is not None]
    return Decimal(repr(round(min(known), 6))) if known else None


def _quantile(lower: float, upper: float, z: float) -> float | None:
    if not (math.isfinite(lower) and math.isfinite(upper) and 0 < lower <= upper):
        return None
    mu = (math.log(lower) + math.log(upper)) / 2
    sigma = (math.log(upper) - math.log(lower)) / (2 * z)
    return math.exp(mu - Z_05 * sigma)


def historical_five_percent_price(closes: Sequence[Decimal], days: int) -> Decimal | None:
    """Return the same price from past closes alone: a random walk of the logarithm, no drift.

    It stands in for the forecast where none exists, as in a back-test, which must not look ahead.
    None with fewer than 60 closes.
    """
    if len(closes) < _LEAST_CLOSES or days <= 0:
        return None
    logs = [math.log(float(one)) for one in closes]
    steps = [after - before for before, after in pairwise(logs)]
    mean = sum(steps) / len(steps)
    variance = sum((one - mean) ** 2 for one in steps) / (len(steps) - 1)
    low = float(closes[-1]) * math.exp(-Z_05 * math.sqrt(variance * days))
    return Decimal(repr(round(low, 6)))
