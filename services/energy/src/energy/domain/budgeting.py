"""Budgets: how much of one is used, and which thresholds have been reached."""

from collections.abc import Sequence
from decimal import Decimal


def used_percent(amount: Decimal, budget: Decimal) -> Decimal:
    """Return how much of a budget an amount is."""
    return amount * 100 / budget


def reached(amount: Decimal, budget: Decimal, percents: Sequence[int]) -> list[int]:
    """Return the thresholds that an amount has reached, ascending; exactly at one is reached."""
    return [percent for percent in sorted(percents) if amount * 100 >= budget * percent]


def run_rate(so_far: Decimal, past: Decimal, past_hours: Decimal, hours_left: Decimal) -> Decimal:
    """Return what a month will cost if the rest goes as some past hours did."""
    return so_far + past / past_hours * hours_left
