"""What can be ordered: a process over some days, and how it is written down for a job."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar, Literal

from common.errors import Invalid
from energy.domain.settlement import EARLIEST_DAY, ZONE, periods_in

Kind = Literal[
    "reingest", "calculate", "verify", "reconcile", "process-missing", "backfill", "generation",
]  # fmt: skip
MOST_DAYS = 366
"""In one order that asks Elexon for every day of it: its job ends within hours, not weeks."""
_ALL_OF_HISTORY: tuple[Kind, ...] = ("backfill", "calculate", "verify")
"""Orders that may mean any days: they ask for nothing that is here, or for nothing at all."""


class OutsideHistory(Invalid):
    title: ClassVar[str] = "There are no settlement stacks of that day"


class NoSuchPeriods(Invalid):
    title: ClassVar[str] = "The day has no such settlement periods"


class BadRange(Invalid):
    title: ClassVar[str] = "The range of days cannot be processed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A process over the days from first to last."""

    kind: Kind
    first: date
    last: date
    periods: tuple[int, int] | None = None
    models: tuple[str, ...] = ()
    """Names of miner models; none means the usual ones."""
    missing_only: bool = False
    outputs: bool = True
    """Take notifications and meters as well."""
    at_once: bool = False
    """Do not wait for the off-peak window."""

    @property
    def day_count(self) -> int:
        """Return how many days are meant."""
        return (self.last - self.first).days + 1

    @property
    def fetches(self) -> bool:
        """Say whether the process asks Elexon for stacks."""
        return self.kind not in ("calculate", "verify", "generation")

    @property
    def only_missing(self) -> bool:
        """Say whether periods that are complete are left alone."""
        return self.missing_only or self.kind in ("process-missing", "backfill")

    def document(self) -> dict[str, Any]:
        """Return the order as a job's arguments."""
        return {
            "kind": self.kind,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "periods": None if self.periods is None else list(self.periods),
            "models": list(self.models),
            "missing_only": self.missing_only,
            "outputs": self.outputs,
            "at_once": self.at_once,
        }

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Order":
        """Return the order that a job's arguments are."""
        periods: Sequence[int] | None = document["periods"]
        return cls(
            kind=document["kind"],
            first=date.fromisoformat(document["first"]),
            last=date.fromisoformat(document["last"]),
            periods=None if periods is None else (periods[0], periods[1]),
            models=tuple(document["models"]),
            missing_only=document["missing_only"],
            outputs=document["outputs"],
            at_once=document["at_once"],
        )


def check_order(order: Order, today: date) -> Order:
    """Return the order if it can be carried out.

    Raises:
        OutsideHistory: a day lies before the first stacks, or in the future.
        BadRange: the range is turned round, or too long.
        NoSuchPeriods: a day has none of these numbers.
    """
    for day in (order.first, order.last):
        if not EARLIEST_DAY <= day <= today:
            raise OutsideHistory(
                f"{day} does not lie between {EARLIEST_DAY} and today, {today}.", field="date"
            )
    if order.first > order.last:
        raise BadRange(f"The range ends ({order.last}) before it begins.", field="to")
    if order.day_count > MOST_DAYS and order.kind not in _ALL_OF_HISTORY:
        raise BadRange(
            f"At most {MOST_DAYS} days can be ordered at once, and these are {order.day_count}; "
            "backfill fills in all of history.",
            field="to",
        )
    if order.periods is not None:
        _check_periods(order.periods, order)
    return order


def _check_periods(periods: tuple[int, int], order: Order) -> None:
    first, last = periods
    most = periods_in(order.first) if order.first == order.last else 50
    if not 1 <= first <= last <= most:
        where = order.first.isoformat() if order.first == order.last else "any day"
        raise NoSuchPeriods(
            f"{first}-{last} is no range of settlement periods: {where} has 1 to {most}.",
            field="periods",
        )


def read_periods(written: str) -> tuple[int, int]:
    """Return the range that `7` or `1-48` means.

    Raises:
        NoSuchPeriods: it is neither.
    """
    first, _, last = written.partition("-")
    numbers = (first, last or first)
    if not all(number.isascii() and number.isdigit() and len(number) <= 2 for number in numbers):  # noqa: PLR2004  (digits)
        raise NoSuchPeriods(f"{written[:20]!r} is not written as 7 or 1-48.", field="periods")
    return int(numbers[0]), int(numbers[1])


def until_window(window: str, at: datetime) -> timedelta:
    """Return how long it is until the window HH:MM-HH:MM of British time is open; 0 inside it."""
    opens, closes = (time.fromisoformat(part) for part in window.split("-"))
    local = at.astimezone(ZONE)
    clock = local.time()
    if opens == closes or _is_inside(clock, opens, closes):
        return timedelta(0)
    start = local.replace(hour=opens.hour, minute=opens.minute, second=0, microsecond=0)
    if start <= local:
        start += timedelta(days=1)
    return start - local


def _is_inside(clock: time, opens: time, closes: time) -> bool:
    if opens < closes:
        return opens <= clock < closes
    return clock >= opens or clock < closes
