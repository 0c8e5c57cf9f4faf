"""The fields of Elexon's answers, each read as what it must be, or not at all."""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from common import strict_json
from common.errors import Problem
from energy.domain.settlement import periods_in

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


class Nonsense(Exception):
    """What was answered cannot be true, or is not what was asked for; the text says why."""


def parsed(body: bytes) -> Any:
    """Return the document that an answer is. Every reader here raises `Nonsense`."""
    try:
        return strict_json.loads(body)
    except (ValueError, RecursionError, Problem) as error:
        raise Nonsense(f"the answer is no JSON that can be read: {body[:60]!r}") from error


def enveloped(document: Any) -> Any:
    """Return a document with its rows under `data`; a stream answers a bare list."""
    return {"data": cast("list[Any]", document)} if isinstance(document, list) else document


def rows_in(document: Any) -> list[Any]:
    """Return the rows of a document."""
    found = cast("Row", document).get("data") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise Nonsense("the answer has no list of data")
    rows = cast("list[Any]", found)
    if len(rows) > _MOST_ROWS:
        raise Nonsense(f"more than {_MOST_ROWS} rows")
    return rows


def as_row(value: Any) -> Row:
    """Return a row as one."""
    if not isinstance(value, dict):
        raise Nonsense("a row is no object")
    return cast("Row", value)


def place(row: Row, first: date, last: date) -> tuple[date, int]:
    """Return the settlement day and period of a row, which lies between two days."""
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


def check_place(row: Row, day: str, period: int) -> None:
    """Check that a row is about a period."""
    if row.get("settlementDate") != day or row.get("settlementPeriod") != period:
        told = f"{row.get('settlementDate')!r:.20} period {row.get('settlementPeriod')!r:.20}"
        raise Nonsense(f"a row is about {told}")


def amount(row: Row, name: str, *, may_be_absent: bool = False) -> Decimal | None:
    """Return a number that may be null; its name must be there, unless it may be absent."""
    value = row.get(name)
    if value is None:
        if not may_be_absent and name not in row:
            raise Nonsense(f"a row has no {name}")
        return None
    if isinstance(value, str):
        raise Nonsense(f"{name} is a text")
    return decimal(value, name)


def decimal(value: Any, name: str) -> Decimal:
    """Return a number, also one that is written as a text."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise Nonsense(f"{name} is no number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Nonsense(f"{name} is no number") from None
    return bounded(number, name)


def bounded(number: Decimal, name: str) -> Decimal:
    """Return a number that an amount can have."""
    # `copy_abs` because `abs` rounds, and fails for an exponent that no number of ours can have.
    small = number.is_finite() and number.copy_abs() <= _MOST_AMOUNT
    if not small or _digits(number) > _MOST_DIGITS:
        raise Nonsense(f"{name} cannot be {number:.6g}")
    return number


def _digits(number: Decimal) -> int:
    """Return how many places a number takes behind the point."""
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def needed(number: Decimal | None, name: str) -> Decimal:
    """Return a number that must not be null."""
    if number is None:
        raise Nonsense(f"{name} is missing")
    return number


def integer(row: Row, name: str) -> int | None:
    """Return an integer that may be null."""
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MOST_INTEGER:
        raise Nonsense(f"{name} is no integer")
    return value


def pair(row: Row) -> int | None:
    """Return the number of the pair of bid and offer, which may be null."""
    number = integer(row, "bidOfferPairId")
    if number is not None and abs(number) > _MOST_PAIR:
        raise Nonsense(f"there is no pair {number}")
    return number


def flag(row: Row, name: str) -> bool:
    """Return a flag; null is not set."""
    value = row.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Nonsense(f"{name} is no flag")
    return value


def text(value: Any) -> str | None:
    """Return a text; an empty one is None."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or "\0" in value:
        raise Nonsense("a text is no text, or too long")
    return value


def moment(value: Any) -> datetime | None:
    """Return an instant in UTC; one without a zone is in UTC already."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise Nonsense(f"{value!r:.40} is no time")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
