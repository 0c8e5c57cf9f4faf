"""The calls of the simulated Elexon: the parameters that each takes, the rows it answers."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulation.elexon import physical
from simulation.elexon.days import Britain
from simulation.elexon.faults import Resource, Row
from simulation.elexon.settlement import (
    HALF_HOUR,
    LONDON,
    MOST_PERIODS,
    Run,
    created_at,
    first_instant,
    periods_in,
    run_at,
    settlement_of,
)
from simulation.elexon.stack import Side, stack

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_DAY = date(2015, 11, 5)  # no stacks are kept from before
WIDEST = timedelta(days=7)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
BAD_REQUEST = "https://tools.ietf.org/html/rfc7231#section-6.5.1"
NOT_FOUND = "https://tools.ietf.org/html/rfc7231#section-6.5.4"


class Refusal(Exception):
    """The provider says no: an HTTP status and the problem it says it with."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        super().__init__(str(document))
        self.status = status
        self.document = document


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the world: rows of a day's stack scaled, taken out, or put in."""

    day: date
    period: int | None = None
    side: str | None = None
    unit: str | None = None
    scale: float | None = None  # 0 takes the rows out
    add: Mapping[str, Any] | None = None  # fields of one more row

    def concerns(self, day: date, period: int, side: str) -> bool:
        return self.day == day and self.period in (None, period) and self.side in (None, side)


@dataclass(slots=True)
class State:
    """What is served, apart from faults: the world, the clock, and what was changed by hand."""

    britain: Britain
    now: Callable[[], datetime]
    run: Run | None = None  # the newest by age unless one is named
    runs: dict[date, Run] = field(default_factory=dict[date, Run])
    edits: list[Edit] = field(default_factory=list[Edit])
    unpublished_is_empty: bool = False

    def run_of(self, day: date) -> Run:
        """Return the run whose figures a day has now."""
        return self.runs.get(day) or self.run or run_at(day, self.now())

    def is_out(self, day: date, period: int) -> bool:
        """Say whether a period's first figures have been published."""
        return created_at(day, period, Run.INDICATIVE) <= self.now()

    def periods_out(self, day: date) -> list[int]:
        return [period for period in range(1, periods_in(day) + 1) if self.is_out(day, period)]


@dataclass(frozen=True, slots=True)
class Ask:
    """One call: what for, of when, and the rest of its parameters."""

    resource: Resource
    state: State
    query: Mapping[str, str]
    units: frozenset[str] = frozenset()
    day: date | None = None
    period: int | None = None
    side: str | None = None


def stack_rows(ask: Ask) -> list[Row]:
    """Answer the accepted bids or offers of one period."""
    day, period = _day_and_period(ask)
    if ask.side not in list(Side):
        raise bad("bidOffer", f"The value '{ask.side}' is not valid.")
    if period > periods_in(day) or day < FIRST_DAY:
        raise missing()
    if not ask.state.is_out(day, period):
        if ask.state.unpublished_is_empty:
            return []
        raise missing()
    side = Side(ask.side)
    rows = stack(ask.state.britain, day, period, side, ask.state.run_of(day))
    for edit in ask.state.edits:
        if edit.concerns(day, period, side):
            rows = _edited(rows, edit, day, period)
    return rows


def unit_rows(ask: Ask) -> list[Row]:
    """Answer the whole registry."""
    return ask.state.britain.registry.rows()


def physical_rows(ask: Ask) -> list[Row]:
    """Answer one period's physical notifications, of all units or of those named."""
    dataset = ask.query.get("dataset", "")
    if dataset not in ("PN", "QPN"):
        raise bad("dataset", "The dataset field is required.")
    day, period = _day_and_period(ask)
    if period > periods_in(day):
        return []
    return physical.notifications(ask.state.britain, day, period, ask.units, dataset)


def physical_stream(ask: Ask) -> list[Row]:
    """Answer the physical notifications of a span."""
    return [
        row
        for day, period in _span(ask)
        for row in physical.notifications(ask.state.britain, day, period, ask.units)
    ]


def metered_rows(ask: Ask) -> list[Row]:
    """Answer one period's meter readings."""
    day, period = _day_and_period(ask)
    if period > periods_in(day):
        return []
    return physical.metered(ask.state.britain, day, period, ask.units, ask.state.run_of(day))


def metered_stream(ask: Ask) -> list[Row]:
    """Answer the meter readings of a span."""
    state = ask.state
    return [
        row
        for day, period in _span(ask)
        for row in physical.metered(state.britain, day, period, ask.units, state.run_of(day))
    ]


def type_rows(ask: Ask) -> list[Row]:
    """Answer wind and solar generation of a span, as far as it is out."""
    return _by_type(ask, None)


def agws_rows(ask: Ask) -> list[Row]:
    """Answer the same as a data set, by the time of publication."""
    return _by_type(ask, "AGWS")


def fuel_rows(ask: Ask) -> list[Row]:
    """Answer generation by fuel of a span of settlement days."""
    first = read_day(ask.query.get("settlementDateFrom"), "settlementDateFrom")
    last = read_day(ask.query.get("settlementDateTo"), "settlementDateTo")
    if last - first >= WIDEST:
        raise bad("settlementDateTo", "The date range must not exceed 7 days.")
    fuels = frozenset(ask.query.get("fuelType", "").split(",")) - {""}
    rows: list[Row] = []
    while first <= last:
        rows += physical.by_fuel(ask.state.britain, first, ask.state.periods_out(first), fuels)
        first += timedelta(days=1)
    return rows


def price_rows(ask: Ask) -> list[Row]:
    """Answer the system prices of a day, as far as they are out."""
    day = ask.day
    if day is None:
        raise bad("settlementDate", "The settlementDate field is required.")
    state = ask.state
    return physical.system_prices(state.britain, day, state.periods_out(day), state.run_of(day))


def read_day(text: str | None, name: str) -> date:
    """Read a day in the one form the provider takes."""
    if text is not None and DAY.fullmatch(text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise bad(name, f"The value '{text}' is not valid.")


def read_period(text: str | None) -> int:
    """Read a settlement period, 1 to 50."""
    if text is None or not text.isdecimal() or not 1 <= int(text) <= MOST_PERIODS:
        raise bad("settlementPeriod", "The field settlementPeriod must be between 1 and 50.")
    return int(text)


def bad(name: str, message: str) -> Refusal:
    """Return the provider's answer to a parameter that it does not take."""
    title = "One or more validation errors occurred."
    return Refusal(
        400, {"type": BAD_REQUEST, "title": title, "status": 400, "errors": {name: [message]}}
    )


def missing() -> Refusal:
    """Return the provider's answer where there is nothing."""
    return Refusal(404, {"type": NOT_FOUND, "title": "Not Found", "status": 404})


def _by_type(ask: Ask, dataset: str | None) -> list[Row]:
    periods: dict[date, list[int]] = {}
    for day, period in _span(ask):
        if ask.state.is_out(day, period):
            periods.setdefault(day, []).append(period)
    return [
        row
        for day, numbers in periods.items()
        for row in physical.by_type(ask.state.britain, day, numbers, dataset)
    ]


def _day_and_period(ask: Ask) -> tuple[date, int]:
    if ask.day is None:
        raise bad("settlementDate", "The settlementDate field is required.")
    if ask.period is None:
        raise bad("settlementPeriod", "The settlementPeriod field is required.")
    return ask.day, ask.period


def _span(ask: Ask) -> Iterator[tuple[date, int]]:
    """Yield the periods that begin in [from, to], both written as instants or as days.

    With settlementPeriodFrom and settlementPeriodTo the two are days of settlement.
    """
    names = (
        ("publishDateTimeFrom", "publishDateTimeTo")
        if "publishDateTimeFrom" in ask.query
        else ("from", "to")
    )
    texts = [ask.query.get(name) for name in names]
    numbers = [ask.query.get(name) for name in ("settlementPeriodFrom", "settlementPeriodTo")]
    if all(numbers):
        days = [read_day((text or "")[:10], name) for text, name in zip(texts, names, strict=True)]
        first = first_instant(days[0]) + (read_period(numbers[0]) - 1) * HALF_HOUR
        last = first_instant(days[1]) + (read_period(numbers[1]) - 1) * HALF_HOUR
    else:
        first, last = (read_instant(text, name) for text, name in zip(texts, names, strict=True))
    if last < first or last - first > WIDEST:
        raise bad(names[1], "The date range must not exceed 7 days.")
    moment = EPOCH - (EPOCH - first) // HALF_HOUR * HALF_HOUR  # the first half-hour not before
    while moment <= last:
        yield settlement_of(moment)
        moment += HALF_HOUR


def read_instant(text: str | None, name: str) -> datetime:
    """Read an instant; a day alone is its midnight in London, no zone means UTC."""
    if text is not None and DAY.fullmatch(text):
        return datetime.combine(read_day(text, name), datetime.min.time(), LONDON).astimezone(UTC)
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        raise bad(name, f"The value '{text}' is not valid.") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _edited(rows: list[Row], edit: Edit, day: date, period: int) -> list[Row]:
    if edit.scale == 0:
        rows = [row for row in rows if edit.unit not in (None, row["id"])]
    elif edit.scale is not None:
        rows = [
            {**row, "volume": row["volume"] * edit.scale} if edit.unit in (None, row["id"]) else row
            for row in rows
        ]
    if edit.add is not None:
        rows = [*rows, _row_added(edit.add, day, period, len(rows) + 1)]
    return rows


def _row_added(fields: Mapping[str, Any], day: date, period: int, number: int) -> Row:
    row: Row = {
        "settlementDate": day.isoformat(),
        "settlementPeriod": period,
        "startTime": physical.iso(physical.start_of(day, period)),
        "createdDateTime": None,
        "sequenceNumber": number,
        "id": None,
        "acceptanceId": 1,
        "bidOfferPairId": -1,
        "cadlFlag": False,
        "soFlag": True,
        "storProviderFlag": False,
        "repricedIndicator": False,
        "reserveScarcityPrice": None,
        "originalPrice": -50.0,
        "volume": -10.0,
        "dmatAdjustedVolume": None,
        "arbitrageAdjustedVolume": None,
        "nivAdjustedVolume": None,
        "parAdjustedVolume": None,
        "finalPrice": None,
        "transmissionLossMultiplier": None,
        "tlmAdjustedVolume": None,
        "tlmAdjustedCost": None,
    }
    return {**row, **fields}
