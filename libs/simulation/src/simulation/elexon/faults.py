"""What the simulated Elexon can do wrong, and where."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

Row = dict[str, Any]


class Fault(StrEnum):
    """One way of answering badly; `missing` is 404, `refused` drops the connection."""

    STATUS_429 = "status_429"
    STATUS_500 = "status_500"
    STATUS_503 = "status_503"
    MISSING = "missing"
    HTML = "html"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    REFUSED = "refused"
    SLOW = "slow"
    HUGE_BODY = "huge_body"
    NULL_DATA = "null_data"
    NO_DATA = "no_data"
    NO_ROWS = "no_rows"
    WRONG_SHAPE = "wrong_shape"
    WRONG_TYPES = "wrong_types"
    LOST_FIELDS = "lost_fields"
    LOST_ROWS = "lost_rows"
    DUPLICATES = "duplicates"
    DISORDER = "disorder"
    OTHER_DATE = "other_date"
    OTHER_PERIOD = "other_period"
    NAN = "nan"
    HUGE_NUMBER = "huge_number"


class Resource(StrEnum):
    """What a call asks for."""

    STACK = "stack"
    UNITS = "units"
    PHYSICAL = "physical"
    METERED = "metered"
    BY_TYPE = "by_type"
    BY_FUEL = "by_fuel"
    PRICES = "prices"


@dataclass(slots=True)
class FaultRule:
    """A fault, the calls it befalls (none named = all), and how often it still does."""

    fault: Fault
    resource: Resource | None = None
    day: date | None = None
    period: int | None = None
    side: str | None = None
    times: int | None = None
    retry_after_s: float = 1.0

    def befalls(
        self, resource: Resource, day: date | None, period: int | None, side: str | None
    ) -> bool:
        """Say whether this rule is about a call, not counting it."""
        return (
            self.times != 0
            and self.resource in (None, resource)
            and self.day in (None, day)
            and self.period in (None, period)
            and self.side in (None, side)
        )

    def happen(self) -> None:
        """Count one time that it befell a call."""
        if self.times is not None:
            self.times -= 1


def spoiled(rows: list[Row], fault: Fault | None) -> list[Row]:
    """Return rows as this fault tells them; of what is spoiled, every third row is."""
    if fault is Fault.NO_ROWS:
        return []
    if fault is Fault.DUPLICATES:
        return [row for index, row in enumerate(rows) for _ in range(2 if index % 3 == 0 else 1)]
    if fault is Fault.LOST_ROWS:
        return [row for index, row in enumerate(rows) if index % 3 != 0]
    if fault is Fault.DISORDER:
        return rows[1::2] + rows[::2]
    if fault is None:
        return rows
    return [_spoil(row, fault) if index % 3 == 0 else row for index, row in enumerate(rows)]


def wrapped(rows: Sequence[Row], fault: Fault | None, *, bare: bool, dataset: str | None) -> object:
    """Return the whole document: a bare list, or an envelope, as the path has it."""
    if fault is Fault.NULL_DATA:
        return None if bare else {"data": None}
    if fault is Fault.NO_DATA:
        return {"message": "Nothing to see (simulated)"}
    if bare is (fault is not Fault.WRONG_SHAPE):
        return rows
    if dataset is None:
        return {"data": rows}
    return {"metadata": {"datasets": [dataset]}, "data": rows}


def _spoil(row: Row, fault: Fault) -> Row:
    row = dict(row)
    amounts = [
        name
        for name in (
            "volume",
            "originalPrice",
            "quantity",
            "levelFrom",
            "generation",
            "systemSellPrice",
        )
        if name in row
    ]
    if fault is Fault.WRONG_TYPES:
        row.update(dict.fromkeys(amounts, "a lot"))
        row.update({name: "yes" for name in ("soFlag", "settlementPeriod") if name in row})
    elif fault is Fault.LOST_FIELDS:
        for name in (*amounts, "soFlag", "settlementPeriod"):
            row.pop(name, None)
    elif fault is Fault.NAN:
        row.update(dict.fromkeys(amounts, math.nan))
    elif fault is Fault.HUGE_NUMBER:
        row.update(dict.fromkeys(amounts, math.inf))  # written as 1e400
    elif fault is Fault.OTHER_DATE and "settlementDate" in row:
        told = date.fromisoformat(row["settlementDate"])
        row["settlementDate"] = (told - timedelta(days=1)).isoformat()
    elif fault is Fault.OTHER_PERIOD and "settlementPeriod" in row:
        row["settlementPeriod"] += 1
    return row
