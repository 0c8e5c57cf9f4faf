"""One price out of many: the median of fresh venues, without those that are far off."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from statistics import median

FAR_OFF = Decimal("0.02")
"""A venue further than this from the median is an outlier: arbitrage keeps real venues nearer."""


class DropReason(StrEnum):
    """Why a venue's price was not used."""

    STALE = "stale"
    OUTLIER = "outlier"
    SIMULATED = "simulated"
    """A real venue has a price; a simulated one does not count beside it."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What one venue says a bitcoin costs."""

    venue: str
    price: Decimal
    volume: Decimal
    """Bitcoin traded in the last 24 hours."""
    at: datetime | None = None
    """None: now."""
    stale_after: timedelta = timedelta(minutes=3)
    simulated: bool = False

    def is_stale(self, now: datetime) -> bool:
        """Return whether the price is too old to be used."""
        return self.at is not None and now - self.at > self.stale_after


@dataclass(frozen=True, slots=True)
class Dropped:
    """A venue that was left out."""

    venue: str
    reason: DropReason
    difference_percent: Decimal | None
    """From the median of the venues that were used; None where there is none."""


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the fresh venues say together."""

    median: Decimal
    vwap: Decimal | None
    """Weighted by volume, over the same venues; None where nobody traded."""
    volume: Decimal
    used: list[Quote]
    dropped: list[Dropped]
    agrees: bool
    """False: the venues are far apart, and there are too few to say which is wrong."""

    @property
    def simulated(self) -> bool:
        """Return whether any price used is a simulated one."""
        return any(quote.simulated for quote in self.used)


def outliers(prices: Sequence[Decimal]) -> frozenset[int]:
    """Return the places of prices more than 2 % off the median of all.

    Where no two of at least half the venues stand near the median, nobody can say who is wrong,
    and nothing is an outlier: two venues that disagree are both kept (see `disagree`).
    """
    middle = median(prices)
    off = frozenset(
        place for place, price in enumerate(prices) if abs(price - middle) > FAR_OFF * middle
    )
    near = len(prices) - len(off)
    return off if near >= max(2, len(prices) / 2) else frozenset()


def disagree(prices: Sequence[Decimal]) -> bool:
    """Return whether prices that were kept are further apart than outliers may be."""
    middle = median(prices)
    if len(prices) == 2:  # noqa: PLR2004  (their median is between them, near to both)
        return max(prices) - min(prices) > FAR_OFF * min(prices)
    return any(abs(price - middle) > FAR_OFF * middle for price in prices)


def aggregate(quotes: Iterable[Quote], now: datetime) -> Consensus | None:
    """Return the consensus of the fresh venues, or None where there is none."""
    given = list(quotes)
    stale = [quote for quote in given if quote.is_stale(now)]
    fresh = [quote for quote in given if not quote.is_stale(now)]
    real = [quote for quote in fresh if not quote.simulated]
    shadows = [quote for quote in fresh if quote.simulated] if real else []
    candidates = real or fresh
    if not candidates:
        return None
    off = outliers([quote.price for quote in candidates])
    used = [quote for place, quote in enumerate(candidates) if place not in off]
    strays = [quote for place, quote in enumerate(candidates) if place in off]
    middle = median(quote.price for quote in used)
    volume = sum((quote.volume for quote in used), Decimal(0))
    turnover = sum((quote.price * quote.volume for quote in used), Decimal(0))
    reasons = (
        (DropReason.STALE, stale),
        (DropReason.SIMULATED, shadows),
        (DropReason.OUTLIER, strays),
    )
    return Consensus(
        median=middle,
        vwap=turnover / volume if volume else None,
        volume=volume,
        used=used,
        dropped=[
            Dropped(quote.venue, reason, percent_off(quote.price, middle))
            for reason, group in reasons
            for quote in group
        ],
        agrees=not disagree([quote.price for quote in used]),
    )


def percent_off(price: Decimal, reference: Decimal) -> Decimal:
    """Return how far a price is from a reference, in percent of it, to 4 places."""
    return ((price - reference) / reference * 100).quantize(Decimal("0.0001"))
