"""What a provider can do wrong, and how a figure looks through each fault."""

import math
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """One way of answering badly; `refused` drops the connection without an answer."""

    HTML = "html"
    TRUNCATED = "truncated"
    HUGE_NUMBER = "huge_number"
    NEGATIVE_PRICE = "negative_price"
    FUTURE_CLOCK = "future_clock"
    HUGE_BODY = "huge_body"
    STATUS_429 = "status_429"
    STATUS_500 = "status_500"
    SLOW = "slow"
    REFUSED = "refused"
    NAN = "nan"
    EMPTY = "empty"
    OFF_BY_HALF = "off_by_half"
    GAP = "gap"
    DUPLICATES = "duplicates"
    DISORDER = "disorder"


SPOILED = {
    Fault.HUGE_NUMBER: math.inf,  # written as 1e400, see `answers.dump`
    Fault.NAN: math.nan,
    Fault.NEGATIVE_PRICE: -1.0,
}
AHEAD_S = 86400  # a clock in the future is a day ahead


def told(value: float, fault: Fault | None) -> float:
    """Return a price or difficulty as a provider with this fault tells it."""
    if fault is Fault.OFF_BY_HALF:
        return value * 0.5
    if fault is None or fault not in SPOILED:
        return value
    return value * SPOILED[fault]


def mangled(rows: list[Any], fault: Fault | None) -> list[Any]:
    """Return rows of history with a hole, repeated, or out of order."""
    count = len(rows)
    if fault is Fault.GAP:
        return rows[: count // 3] + rows[count // 2 :]
    if fault is Fault.DUPLICATES:
        return [row for index, row in enumerate(rows) for _ in range(2 if index % 5 == 0 else 1)]
    if fault is Fault.DISORDER:
        return rows[1::2] + rows[::2]
    return rows
