"""What the market and the network are worth at one moment, each figure with its origin and age."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Valued:
    """One figure with who said so, when, and whether it is older than it ought to be."""

    value: Decimal
    source: str
    at: datetime
    stale: bool
    simulated: bool = False

    def age_s(self, now: datetime) -> float:
        """Return the seconds since the figure was true; a clock that runs ahead counts as none."""
        return max(0.0, (now - self.at).total_seconds())


@dataclass(frozen=True, slots=True)
class Market:
    """Everything that a profitability calculation takes from outside.

    The second figures come from the other pair of providers than the first ones: they are what
    the first are checked against, never what is calculated with.
    """

    price_usd: Valued
    difficulty: Valued
    subsidy_btc: Valued
    fees_btc_per_block: Valued
    height: int | None
    second_price_usd: Valued | None
    second_network_hashrate_ehs: Valued | None
    """What the other pair's difficulty implies; a measured rate differs by the luck of blocks."""
    warnings: tuple[str, ...]
    measured_hashrate_ehs: Valued | None = None
    """What the blocks found lately tell of."""
