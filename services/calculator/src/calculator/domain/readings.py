"""What outside parties say about the market, and whether it can be true."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class Kind(StrEnum):
    """What a reading is about."""

    PRICE_USD = "price_usd"
    DIFFICULTY = "difficulty"
    HEIGHT = "height"
    FEES_BTC_PER_BLOCK = "fees_btc_per_block"
    HASHRATE_EHS = "hashrate_ehs"


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure from one party."""

    kind: Kind
    source: str
    value: Decimal
    at: datetime
    """When it was true, as the party says."""
    asked_at: datetime
    """When the party was asked."""
    simulated: bool = False


_LIMITS: dict[Kind, tuple[Decimal, Decimal]] = {
    Kind.PRICE_USD: (Decimal("0.01"), Decimal(10**9)),
    Kind.DIFFICULTY: (Decimal(1), Decimal(10**24)),
    Kind.HEIGHT: (Decimal(0), Decimal(10**8)),
    Kind.FEES_BTC_PER_BLOCK: (Decimal(0), Decimal(1000)),
    Kind.HASHRATE_EHS: (Decimal("0.000000001"), Decimal(10**12)),
}
"""What a figure could ever be: outside of it an answer is a mistake or an attack."""

AHEAD = timedelta(seconds=120)
"""How far another party's clock may run before ours."""


def objection(reading: Reading) -> str | None:
    """Return why a reading cannot be believed, or None."""
    least, most = _LIMITS[reading.kind]
    if not reading.value.is_finite() or not least <= reading.value <= most:
        return f"{reading.kind} is {reading.value:.6g}, outside {least:.6g} to {most:.6g}"
    if reading.at > reading.asked_at + AHEAD:
        return f"{reading.kind} is of {reading.at.isoformat()}, which has not come yet"
    return None
