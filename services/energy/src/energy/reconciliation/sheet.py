"""A utility's bill as a table: its lines, in the words and numbers of many utilities."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import ClassVar, Literal

from common.errors import Invalid
from common.tabular import Row, RowError, read_table
from energy.reconciliation.comparing import KINDS, BillLine, Kind

MAX_LINES = 1000
DecimalMark = Literal["point", "comma"]
_BY_NAME: dict[str, Kind] = {kind: kind for kind in KINDS}
_MOST = Decimal(10) ** 12
_PLACES = Decimal("0.000001")
_NAMES = ("description", "name", "item", "line", "charge")
_QUANTITIES = ("quantity", "usage", "qty", "units_used")
_RATES = ("rate", "price", "unit_price", "tariff")
_TO_UNIT: dict[str, tuple[Kind, Decimal]] = {
    "kwh": ("energy", Decimal(1)),
    "mwh": ("energy", Decimal(1000)),
    "wh": ("energy", Decimal("0.001")),
    "kw": ("demand", Decimal(1)),
    "mw": ("demand", Decimal(1000)),
}
_WORDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("tax", re.compile(r"\b(tax|vat|gst|hst|levy|duty|surtax)\b")),
    ("credit", re.compile(r"\b(credit|rebate|discount|refund)\b")),
    ("demand", re.compile(r"\b(demand|capacity|peak kw)\b")),
    ("fixed", re.compile(r"\b(service|standing|customer|meter|fixed|basic|connection)\b")),
    ("energy", re.compile(r"\b(energy|consumption|usage|supply|electricity|kwh)\b")),
)
_OUTRANK: tuple[Kind, ...] = ("tax", "credit")
"""A tax per kWh is a tax."""
_TOTAL = re.compile(r"^(grand |sub)?total\b|^(amount|balance) due\b")
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?|-?\d+(\.\d+)?|-?\.\d+")
_DECORATION = re.compile(r"[\s'’$€£¥]")  # noqa: RUF001  (Swiss thousands)
_CODE = re.compile(r"^[A-Z]{3}(?=[-\d.(])|(?<=[\d)])[A-Z]{3}$")


class BillUnreadable(Invalid):
    title: ClassVar[str] = "The bill's lines cannot be read"


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines of an uploaded bill."""

    lines: list[BillLine]
    stated_total: Decimal | None
    """Of a line that calls itself the total; it is none of the lines."""


def read(content: bytes, decimal: DecimalMark) -> Sheet:
    """Read a bill's lines: a column `amount`, and what else there is of it.

    Raises:
        BillUnreadable: there is no line, too many, or some are not clear.
        Unreadable, TooManyRows: it is no table.
    """
    rows = read_table(content, required=("amount",))
    if not rows or len(rows) > MAX_LINES:
        raise BillUnreadable(f"A bill has 1 to {MAX_LINES} lines; this has {len(rows)}.")
    lines: list[BillLine] = []
    totals: list[Decimal] = []
    errors: list[RowError] = []
    for row in rows:
        try:
            line = _line(row, decimal)
        except _NotClear as error:
            errors.append(RowError(row.number, error.column, str(error)))
            continue
        if _TOTAL.search(line.name.casefold()) and not row.cells.get("kind"):
            totals.append(line.amount)
        else:
            lines.append(line)
    _refuse(errors, lines)
    return Sheet(lines, totals[-1] if totals else None)


def _refuse(errors: Sequence[RowError], lines: Sequence[BillLine]) -> None:
    if errors:
        first = [f"row {one.row}, {one.column}: {one.detail}" for one in errors[:20]]
        told = [
            {"pointer": f"/{one.row}/{one.column}", "detail": one.detail, "code": "not_clear"}
            for one in errors[:100]
        ]
        raise BillUnreadable("; ".join(first), errors=told)
    if not lines:
        raise BillUnreadable("There is a total, but no line of the bill.")


class _NotClear(Exception):
    def __init__(self, column: str, why: str) -> None:
        super().__init__(why)
        self.column = column


def _line(row: Row, decimal: DecimalMark) -> BillLine:
    name = _first(row, _NAMES)[1][:200]
    amount = _number(row.cells.get("amount", ""), "amount", decimal)
    if amount is None:
        raise _NotClear("amount", "every line has an amount")
    unit = row.cells.get("unit", "").strip().casefold()
    of_unit = _TO_UNIT.get(unit)
    kind = _kind(row.cells.get("kind", ""), name, None if of_unit is None else of_unit[0])
    quantity = _number(_first(row, _QUANTITIES)[1], "quantity", decimal)
    rate = _number(_first(row, _RATES)[1], "rate", decimal)
    if of_unit is None or of_unit[0] != kind:
        # Days, months, kVA: not what our bill counts in, so the amount stands alone.
        known_by_kind = kind in ("energy", "demand") and not unit
        quantity = quantity if known_by_kind else None
    elif quantity is not None:
        quantity *= of_unit[1]
        rate = None if rate is None else rate / of_unit[1]
    if kind == "credit" and amount > 0:
        amount = -amount  # some print what they take off without a sign
    return BillLine(kind, name or kind, quantity, rate, amount)


def _first(row: Row, names: Sequence[str]) -> tuple[str, str]:
    return next(((name, row.cells[name]) for name in names if row.cells.get(name)), ("", ""))


def _kind(stated: str, name: str, of_unit: Kind | None) -> Kind:
    """Return a line's kind: as stated, else by its unit, else by its words."""
    wanted = stated.strip().casefold()
    if wanted:
        if wanted not in _BY_NAME:
            raise _NotClear("kind", f"one of {', '.join(KINDS)}, not {wanted[:40]}")
        return _BY_NAME[wanted]
    words = name.casefold()
    by_word: Kind | None = next((kind for kind, pattern in _WORDS if pattern.search(words)), None)
    if by_word is None:
        return of_unit or "unknown"
    if of_unit is None or by_word in _OUTRANK:
        return by_word
    return of_unit


def _number(text: str, column: str, decimal: DecimalMark) -> Decimal | None:
    """Return a number as people write it, None where there is none.

    `1,234.50`, `$ 12`, `(3.20)` for a negative; with a decimal comma `1.234,50`.
    """
    bare = _CODE.sub("", _DECORATION.sub("", text)).replace("−", "-")  # noqa: RUF001  (a true minus)
    if not bare:
        return None
    negative = bare.startswith("(") and bare.endswith(")")
    bare = bare.strip("()")
    if decimal == "comma":
        bare = bare.translate(str.maketrans(".,", ",."))
    if not _THOUSANDS.fullmatch(bare):
        hint = "" if decimal == "comma" else "; for a decimal comma say decimal=comma"
        raise _NotClear(column, f"{text[:40]} is no number{hint}")
    try:
        number = Decimal(bare.replace(",", ""))
    except InvalidOperation:
        raise _NotClear(column, f"{text[:40]} is no number") from None
    if abs(number) >= _MOST or number != number.quantize(_PLACES):
        raise _NotClear(column, f"{text[:40]} is too large, or has more than six places")
    return -number if negative else number
