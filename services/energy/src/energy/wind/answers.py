"""Reading what Elexon answers. It is hostile input until it has been read here.

Numbers are read from their text. An answer that is about another day or period, that says a thing
twice, or that holds something of a wrong kind is no answer.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from common import strict_json
from common.errors import Problem
from energy.domain.settlement import periods_in
from energy.domain.wind import StackRow, energy_of_levels

Row = dict[str, Any]
_MOST_ROWS = 100_000
_LONGEST_TEXT = 200
_MOST_AMOUNT = Decimal(10) ** 7
"""More than any volume (MWh), price (GBP/MWh) or power (MW) can be."""
_MOST_DIGITS = 40
_MOST_INTEGER = 2**62
_MOST_PAIR = 6
"""Pairs of bid and offer are numbered from -6 to 6."""
_FIRST_YEAR, _LAST_YEAR = 2000, 2099
"""What happens in settlement happens between them."""
_MOST_BODY = 64 * 1024 * 1024


class Nonsense(Exception):
    """What was answered cannot be true, or is not what was asked for; the text says why."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A balancing-mechanism unit, as the register has it."""

    bm_unit: str
    national_grid_bm_unit: str | None
    name: str
    lead_party_name: str
    lead_party_id: str | None
    fuel_type: str | None
    bm_unit_type: str | None
    generation_capacity_mw: Decimal | None


@dataclass(frozen=True, slots=True)
class Generation:
    """What wind farms generated in a period on average, in MW."""

    day: date
    period: int
    onshore_mw: Decimal | None
    offshore_mw: Decimal | None
    published_at: datetime | None

    @property
    def total_mw(self) -> Decimal | None:
        """Return both together; None where one of them is not known."""
        if self.onshore_mw is None or self.offshore_mw is None:
            return None
        return self.onshore_mw + self.offshore_mw


@dataclass(frozen=True, slots=True)
class Output:
    """Energy of a unit in a period, in MWh."""

    day: date
    period: int
    bm_unit: str
    mwh: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """The imbalance price of a period in GBP/MWh, and the net imbalance in MWh."""

    period: int
    price: Decimal
    net_imbalance_volume: Decimal | None
    run_stamp: datetime | None


def read_stack(body: bytes, day: date, period: int) -> list[StackRow]:
    """Return the rows of one side of a stack.

    Raises:
        Nonsense: it is not the stack of this period.
    """
    return _stack(_data(_parsed(body)), day, period)


def stored_stack(packed: bytes, day: date, period: int) -> list[StackRow]:
    """Return the rows of a stack that was read before, and kept: the same, but quicker."""
    body = zlib.decompressobj().decompress(packed, _MOST_BODY)
    try:
        document = json.loads(body, parse_float=Decimal)
    except ValueError:
        # An integer of thousands of digits, in a field that nobody reads, is too long for it.
        document = _parsed(body)
    return _stack(document["data"], day, period)


def packed(body: bytes) -> bytes:
    """Return an answer as it is kept."""
    return zlib.compress(body, 1)


def _stack(rows: list[Any], day: date, period: int) -> list[StackRow]:
    read = [_stack_row(_row(row), day.isoformat(), period) for row in rows]
    if len({row.key for row in read}) < len(read):
        raise Nonsense("a row is there twice")
    return read


def _stack_row(row: Row, day: str, period: int) -> StackRow:
    _check_place(row, day, period)
    sequence = row.get("sequenceNumber")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or not 0 <= sequence < 2**31:
        raise Nonsense("a row has no sequence number")
    unit = row.get("id")
    return StackRow(
        sequence_number=sequence,
        # Actions outside the mechanism have a number or nothing for an id: never a unit.
        unit=_text(unit) if isinstance(unit, str) and not unit.isdigit() else None,
        acceptance_id=_integer(row, "acceptanceId"),
        pair_id=_pair(row),
        volume_mwh=_amount(row, "volume"),
        original_price=_amount(row, "originalPrice"),
        final_price=_amount(row, "finalPrice", needed=False),
        so_flag=_flag(row, "soFlag"),
        cadl_flag=_flag(row, "cadlFlag"),
        stor_flag=_flag(row, "storProviderFlag") or _flag(row, "storFlag"),
        created_at=_moment(row.get("createdDateTime")),
    )


def read_units(body: bytes) -> list[Unit]:
    """Return the units that have an id of Elexon; one told twice (by an alias) counts once.

    What one of its rows leaves out, another may fill in.


    Raises:
        Nonsense: it is no register, or an empty one.
    """
    rows = _parsed(body)
    if isinstance(rows, dict):
        rows = cast("Row", rows).get("data")
    if not isinstance(rows, list) or not rows:
        raise Nonsense("the register of units is not a list, or is empty")
    found: dict[str, Row] = {}
    for row in map(_row, cast("list[Any]", rows)[:_MOST_ROWS]):
        unit = _text(row.get("elexonBmUnit"))
        if unit is not None:
            filled = {name: value for name, value in row.items() if value not in (None, "")}
            found[unit] = filled | found.get(unit, {})
    return [_unit(unit, row) for unit, row in found.items()]


def _unit(bm_unit: str, row: Row) -> Unit:
    capacity = row.get("generationCapacity")
    return Unit(
        bm_unit=bm_unit,
        national_grid_bm_unit=_text(row.get("nationalGridBmUnit")),
        name=_text(row.get("bmUnitName")) or bm_unit,
        lead_party_name=_text(row.get("leadPartyName")) or "Unknown",
        lead_party_id=_text(row.get("leadPartyId")),
        fuel_type=_text(row.get("fuelType")),
        bm_unit_type=_text(row.get("bmUnitType")),
        generation_capacity_mw=None if capacity is None else _decimal(capacity, "capacity"),
    )


def read_generation(body: bytes, first: date, last: date) -> list[Generation]:
    """Return wind generation by period; other types are left out.

    Raises:
        Nonsense: it is not about these days.
    """
    found: dict[tuple[date, int], dict[str, Any]] = {}
    for row in map(_row, _data(_parsed(body))):
        kind = {"Wind Onshore": "onshore", "Wind Offshore": "offshore"}.get(str(row.get("psrType")))
        if kind is None:
            continue
        day, period = _place(row, first, last)
        one = found.setdefault((day, period), {})
        if kind in one:
            raise Nonsense(f"{day} period {period} is there twice")
        one[kind] = _amount(row, "quantity")
        one["at"] = _moment(row.get("publishTime"))
    return [
        Generation(day, period, one.get("onshore"), one.get("offshore"), one["at"])
        for (day, period), one in sorted(found.items())
    ]


def read_prices(body: bytes, day: date) -> list[Price]:
    """Return the prices of a day.

    Raises:
        Nonsense: they are not.
    """
    found: dict[int, Price] = {}
    for row in map(_row, _data(_parsed(body))):
        _, period = _place(row, day, day)
        if period in found:
            raise Nonsense(f"{day} period {period} is there twice")
        price = _amount(row, "systemSellPrice")
        if price is not None:
            volume = _amount(row, "netImbalanceVolume", needed=False)
            found[period] = Price(period, price, volume, _moment(row.get("createdDateTime")))
    return list(found.values())


def read_notified(body: bytes, day: date) -> list[Output]:
    """Return the energy under the units' physical notifications; a period may have several lines.

    Raises:
        Nonsense: they are not those of this day.
    """
    return _outputs(body, day, _notified)


def read_metered(body: bytes, day: date) -> list[Output]:
    """Return what meters counted.

    Raises:
        Nonsense: it is not of this day.
    """
    return _outputs(body, day, lambda row: _needed(_amount(row, "quantity"), "quantity"))


def _outputs(body: bytes, day: date, energy: Callable[[Row], Decimal]) -> list[Output]:
    document: Any = _parsed(body)
    rows: Any = {"data": cast("list[Any]", document)} if type(document) is list else document
    found: dict[tuple[int, str], Decimal] = {}
    seen: set[tuple[Any, ...]] = set()
    for row in map(_row, _data(rows)):
        _, period = _place(row, day, day)
        unit = _text(row.get("bmUnit"))
        if unit is None:
            continue
        line = (period, unit, str(row.get("timeFrom")))
        if line in seen:
            raise Nonsense(f"{unit} in period {period} is there twice")
        seen.add(line)
        found[period, unit] = found.get((period, unit), Decimal()) + energy(row)
    return [
        Output(day, period, unit, _bounded(mwh, "energy")) for (period, unit), mwh in found.items()
    ]


def _notified(row: Row) -> Decimal:
    start, end = _moment(row.get("timeFrom")), _moment(row.get("timeTo"))
    if start is None or end is None or not 0 < (end - start).total_seconds() <= 1800:  # noqa: PLR2004  (a half-hour)
        raise Nonsense("a notification has no span within a half-hour")
    first = _needed(_amount(row, "levelFrom"), "levelFrom")
    last = _needed(_amount(row, "levelTo"), "levelTo")
    return energy_of_levels(first, last, int((end - start).total_seconds()))


def _parsed(body: bytes) -> Any:
    try:
        return strict_json.loads(body)
    except (ValueError, RecursionError, Problem) as error:
        raise Nonsense(f"the answer is no JSON that can be read: {body[:60]!r}") from error


def _data(document: Any) -> list[Any]:
    found = cast("Row", document).get("data") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise Nonsense("the answer has no list of data")
    rows = cast("list[Any]", found)
    if len(rows) > _MOST_ROWS:
        raise Nonsense(f"more than {_MOST_ROWS} rows")
    return rows


def _row(value: Any) -> Row:
    if not isinstance(value, dict):
        raise Nonsense("a row is no object")
    return cast("Row", value)


def _place(row: Row, first: date, last: date) -> tuple[date, int]:
    try:
        day = date.fromisoformat(str(row.get("settlementDate")))
    except ValueError as error:
        raise Nonsense("a row has no settlement date") from error
    if not first <= day <= last:
        raise Nonsense(f"a row is about {day}, which was not asked for")
    period = row.get("settlementPeriod")
    if type(period) is not int or not 1 <= period <= periods_in(day):
        raise Nonsense(f"{day} has no period {period!r:.20}")
    return day, period


def _check_place(row: Row, day: str, period: int) -> None:
    if row.get("settlementDate") != day or row.get("settlementPeriod") != period:
        told = f"{row.get('settlementDate')!r:.20} period {row.get('settlementPeriod')!r:.20}"
        raise Nonsense(f"a row is about {told}")


def _amount(row: Row, name: str, *, needed: bool = True) -> Decimal | None:
    """Return a number that may be null; where it is needed, its name must at least be there."""
    value = row.get(name)
    if value is None:
        if needed and name not in row:
            raise Nonsense(f"a row has no {name}")
        return None
    if isinstance(value, str):
        raise Nonsense(f"{name} is a text")
    return _decimal(value, name)


def _decimal(value: Any, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise Nonsense(f"{name} is no number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Nonsense(f"{name} is no number") from None
    return _bounded(number, name)


def _bounded(number: Decimal, name: str) -> Decimal:
    # `copy_abs` because `abs` rounds, and fails for an exponent that no number of ours can have.
    small = number.is_finite() and number.copy_abs() <= _MOST_AMOUNT
    if not small or _digits(number) > _MOST_DIGITS:
        raise Nonsense(f"{name} cannot be {number:.6g}")
    return number


def _digits(number: Decimal) -> int:
    """Return how many places a number takes behind the point."""
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _needed(number: Decimal | None, name: str) -> Decimal:
    if number is None:
        raise Nonsense(f"{name} is missing")
    return number


def _integer(row: Row, name: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MOST_INTEGER:
        raise Nonsense(f"{name} is no integer")
    return value


def _pair(row: Row) -> int | None:
    pair = _integer(row, "bidOfferPairId")
    if pair is not None and abs(pair) > _MOST_PAIR:
        raise Nonsense(f"there is no pair {pair}")
    return pair


def _flag(row: Row, name: str) -> bool:
    value = row.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Nonsense(f"{name} is no flag")
    return value


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or "\0" in value:
        raise Nonsense("a text is no text, or too long")
    return value


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise Nonsense(f"{value!r:.40} is no time")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
