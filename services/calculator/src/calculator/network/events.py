"""What the block epochs publish."""

from datetime import datetime
from typing import ClassVar

from calculator.quotes.schemas import DecimalText
from common.events import Event


class NetworkEpochChanged(Event):
    """An epoch as it is known: blocks in a row with one difficulty and one subsidy.

    A gap follows where no epoch with height `next_height` is known.
    """

    type: ClassVar[str] = "calculator.network-epoch.changed.v1"
    aggregate: ClassVar[str] = "height"

    height: int
    """The first block."""
    next_height: int
    """The first block after it: a retarget, or a halving of the subsidy in between."""
    started_at: datetime
    difficulty: DecimalText
    bits: int | None
    subsidy_btc: DecimalText
    source: str
    simulated: bool
