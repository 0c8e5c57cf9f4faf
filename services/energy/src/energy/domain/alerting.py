"""When a figure is too high, without crying twice: it must fall below by a margin first."""

from decimal import Decimal
from typing import Literal

Change = Literal["fire", "clear"]


def change(
    value: Decimal, threshold: Decimal, clear_percent: Decimal, *, firing: bool
) -> Change | None:
    """Return what a figure changes: above the threshold it fires, below by the margin it clears."""
    if not firing:
        return "fire" if value > threshold else None
    return "clear" if value <= threshold - abs(threshold) * clear_percent / 100 else None
