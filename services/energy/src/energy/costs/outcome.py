"""What rating works out for a local day of a site, and where such days and months begin and end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from energy.costs.charges import Charges, Span
from energy.costs.ledger import Flags, OwnerDay, SiteLoad
from energy.costs.packing import Ints
from energy.costs.pricing import HALF_HOUR_S, PricedHalfHours
from energy.domain.zone import YearMonth, day_start, number_of


@dataclass(frozen=True, slots=True)
class LocalDay:
    """A local day of a site on the grid of half-hours."""

    day: date
    span: Span
    starts_s: Ints
    """A half-hour belongs to the day in which it starts."""

    def month(self) -> YearMonth:
        """Return its calendar month."""
        return YearMonth(self.day.year, self.day.month)


@dataclass(frozen=True, slots=True)
class RatedDay:
    """What has come out for a day."""

    local: LocalDay
    load: SiteLoad
    priced: PricedHalfHours
    owners: Sequence[OwnerDay]
    charges: Mapping[str, Charges]
    """Daily charges of the site so far, by currency."""
    split: Flags
    """By half-hour of the day: whether the price changes inside it."""
    currency: str | None
    """Of the day's last rated half-hour; what is rated in another is not in `owners`."""
    simulated: bool


def local_day(timezone: str, day: date, until: datetime) -> LocalDay:
    """Return a day's bounds in a zone; `until`: how far time has gone."""
    start, end = _bounds(timezone, day, day + timedelta(days=1))
    first = -(-start // HALF_HOUR_S) * HALF_HOUR_S
    starts = np.arange(first, end, HALF_HOUR_S, dtype=np.int64)
    return LocalDay(day, _span(start, end, until), starts)


def local_month(timezone: str, month: YearMonth, until: datetime) -> Span:
    """Return a month's bounds in a zone."""
    after = month.after(1)
    first, last = date(month.year, month.month, 1), date(after.year, after.month, 1)
    return _span(*_bounds(timezone, first, last), until)


def _bounds(timezone: str, first: date, last: date) -> tuple[int, int]:
    return day_start(timezone, number_of(first)), day_start(timezone, number_of(last))


def _span(start_s: int, end_s: int, until: datetime) -> Span:
    gone = int(until.timestamp()) // HALF_HOUR_S * HALF_HOUR_S
    return Span(start_s, end_s, min(end_s, max(gone, start_s)))


def instant_of(second: int) -> datetime:
    """Return UTC seconds as an instant."""
    return datetime.fromtimestamp(second, UTC)
