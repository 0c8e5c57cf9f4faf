"""What hashrate earns at a quote, and how far the quote may still be believed.

Revenue is hashrate x hashprice (`spec/business.md` 1.1): what a machine at its rating earns on
average when it never stops, before the pool's fee and without luck.
"""

from datetime import datetime, timedelta
from decimal import Decimal

DAY_MINUTES = 1_440
_WATT_MINUTES_PER_KWH = 60_000
SILENCE = timedelta(minutes=15)
"""The calculator publishes every five minutes; after three that did not come it is not heard."""


def earned(
    hashrate_ths: float, hashprice_per_ths_day: Decimal, minutes: int = DAY_MINUTES
) -> Decimal:
    """Return what a hashrate earns in so many minutes, in the currency of the hashprice."""
    # A hashrate is no money: the shortest text of the float is the number that was meant.
    return Decimal(str(hashrate_ths)) * hashprice_per_ths_day * minutes / DAY_MINUTES


def energy_kwh(power_w: float, minutes: int = DAY_MINUTES) -> Decimal:
    """Return what a steady power draws in so many minutes."""
    return Decimal(str(power_w)) * minutes / _WATT_MINUTES_PER_KWH


def age_s(at: datetime, now: datetime) -> int:
    """Return the whole seconds since a quote was true; a clock that runs ahead counts as none."""
    return max(0, int((now - at).total_seconds()))


def is_stale(published_at: datetime, now: datetime, *, was_stale: bool) -> bool:
    """Return whether a quote was old when it was published, or is the last of a long silence."""
    return was_stale or now - published_at > SILENCE
