"""A batch's columns: read from what was sent, and checked all at once.

A row is not a model of its own: a column is converted in one go and its range checked in numpy.
What is wrong with a row is kept with its place; the good rows go on.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, cast

import numpy as np

from calculator.calculations.limits import LIMITS, Limit
from calculator.domain.naming import fold
from calculator.domain.profitability import Column
from calculator.tariffs.pricing import FIELDS, Wanted
from common.errors import Invalid, TooLarge

MAX_ROWS = 10_000
ALIASES: Mapping[str, str] = {
    "miner_model": "model",
    "electricity_cost": "electricity_usd_per_kwh",
}
ELECTRICITY = ("electricity_usd_per_kwh", *FIELDS)
"""Of these a row gives one."""
TEXTS = ("label", "model", *FIELDS)
KNOWN = frozenset({*LIMITS, *TEXTS})
_LONGEST_TEXT = 120
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_NUMBER = 60


class EmptyBatch(Invalid):
    title: ClassVar[str] = "The batch has no rows"


class BatchTooLarge(TooLarge):
    title: ClassVar[str] = "The batch has too many rows"


class BatchUnclear(Invalid):
    title: ClassVar[str] = "The batch cannot be read as columns"


Raw = dict[str, list[Any]]
"""Cells by the name of their column: all columns of one length, None where nothing was given."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why one row cannot be calculated."""

    field: str | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as checked: NaN and None where a row says nothing."""

    length: int
    numbers: dict[str, Column]
    texts: dict[str, list[str | None]]
    faults: dict[int, RowFault] = field(default_factory=dict[int, RowFault])

    def refuse(self, row: int, name: str | None, code: str, detail: str) -> None:
        """Set a row aside; what was wrong first is what is said."""
        self.faults.setdefault(row, RowFault(name, code, detail))

    def refuse_where(self, rows: "np.ndarray[Any, Any]", name: str, code: str, detail: str) -> None:
        """Set all rows aside that a mask marks."""
        for row in np.flatnonzero(rows):
            self.refuse(int(row), name, code, detail)


def columns_of(given: Mapping[str, Any]) -> Raw:
    """Return columns sent as columns; a single value stands for every row.

    Raises:
        BatchUnclear: unknown or doubled columns, or columns of several lengths.
        EmptyBatch: there are no rows.
    """
    named = _named(given)
    lists = {
        name: cast("list[Any]", cells) for name, cells in named.items() if isinstance(cells, list)
    }
    lengths = {len(cells) for cells in lists.values()}
    if len(lengths) > 1:
        raise BatchUnclear(
            f"The columns have different lengths: {', '.join(map(str, sorted(lengths)))}.",
            field="columns",
        )
    length = lengths.pop() if lengths else 0
    _require_length(length)
    return {name: lists.get(name) or [cells] * length for name, cells in named.items()}


def columns_of_rows(rows: Sequence[Any]) -> Raw:
    """Return rows sent one by one as columns.

    Raises:
        BatchUnclear: a row is no object, or names an unknown field.
        EmptyBatch: there are no rows.
    """
    _require_length(len(rows))
    raw: Raw = {"model": [None] * len(rows)}
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise BatchUnclear(f"Row {place} is not an object.", field="rows")
        for name, cell in _named(cast("dict[str, Any]", row)).items():
            if name not in raw:
                raw[name] = [None] * len(rows)
            raw[name][place] = cell
    return raw


def with_defaults(raw: Raw, defaults: Mapping[str, Any]) -> Raw:
    """Return the columns with a value for every row that says nothing of its own.

    A row that says how its electricity is priced, in whichever way, has no default for it.
    """
    length = len(next(iter(raw.values())))
    filled = dict(raw)
    for name, default in _named(defaults).items():
        if isinstance(default, list | dict):
            raise BatchUnclear(f"The default of {name} must be a single value.", field=name)
        cells = raw.get(name, [None] * length)
        alike = ELECTRICITY if name in ELECTRICITY else (name,)
        said = [raw[one] for one in alike if one in raw]
        filled[name] = [
            cells[row] if any(column[row] not in (None, "") for column in said) else default
            for row in range(length)
        ]
    return filled


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for written, cells in given.items():
        name = ALIASES.get(written, written)
        if name not in KNOWN:
            raise BatchUnclear(
                f"There is no field {written!r}; known are {', '.join(sorted(KNOWN))}.",
                field=written,
            )
        if name in named:
            raise BatchUnclear(f"{name} is given twice.", field=name)
        named[name] = cells
    return named


def _require_length(length: int) -> None:
    if length == 0:
        raise EmptyBatch("Send at least one row.", field="rows")
    if length > MAX_ROWS:
        raise BatchTooLarge(
            f"The batch has {length:,} rows; at most {MAX_ROWS:,} fit one batch. Split it.",
            rows=length,
            maximum_rows=MAX_ROWS,
        )


def checked(raw: Raw) -> Table:
    """Return the columns as numbers and texts, with the faults of rows."""
    length = len(next(iter(raw.values())))
    table = Table(length, {}, {})
    for name in TEXTS:
        table.texts[name] = _texts(table, name, raw.get(name))
    for name, limit in LIMITS.items():
        cells = raw.get(name)
        table.numbers[name] = (
            np.full(length, np.nan) if cells is None else _numbers(table, name, limit, cells)
        )
    return table


def _texts(table: Table, name: str, cells: list[Any] | None) -> list[str | None]:
    if cells is None:
        return [None] * table.length
    kept: list[str | None] = []
    for row, cell in enumerate(cells):
        if cell is None or cell == "":
            kept.append(None)
        elif isinstance(cell, str) and len(cell) <= _LONGEST_TEXT:
            kept.append(cell)
        elif isinstance(cell, int | Decimal) and not isinstance(cell, bool):
            kept.append(str(cell))
        else:
            kept.append(None)
            detail = f"must be a text of at most {_LONGEST_TEXT} characters"
            table.refuse(row, name, "invalid_text", detail)
    return kept


def _numbers(table: Table, name: str, limit: Limit, cells: list[Any]) -> Column:
    found = np.full(table.length, np.nan)
    given = np.zeros(table.length, dtype=np.bool_)
    for row, cell in enumerate(cells):
        if cell is None or cell == "":
            continue
        given[row] = True
        try:
            found[row] = _number(cell)
        except ValueError as error:
            table.refuse(row, name, "not_a_number", str(error))
    table.refuse_where(given & ~np.isfinite(found), name, "not_finite", "must be a finite number")
    _check_range(table, name, limit, found)
    return found


def _number(cell: Any) -> float:
    if isinstance(cell, str):
        text = cell.strip()
        if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
            msg = "must be a number, with a point for decimals"
            raise ValueError(msg)
        return float(text)
    if isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
        try:
            return float(cell)
        except OverflowError:
            return float("inf")
    msg = "must be a number"
    raise ValueError(msg)


def _check_range(table: Table, name: str, limit: Limit, found: Column) -> None:
    bounds = (
        (limit.least, np.less, "at least"),
        (limit.above, np.less_equal, "more than"),
        (limit.most, np.greater, "at most"),
        (limit.below, np.greater_equal, "less than"),
    )
    for bound, outside, words in bounds:
        if bound is not None:
            told = f"must be {words} {bound:,g}"
            table.refuse_where(outside(found, bound), name, "out_of_range", told)
    if limit.whole:
        broken = np.isfinite(found) & (found != np.floor(found))
        table.refuse_where(broken, name, "not_whole", "must be a whole number")


def model_names(table: Table) -> set[str]:
    """Return the models that the rows name, folded."""
    return {fold(name) for name in table.texts["model"] if name is not None}


def tariffs_named(table: Table) -> set[Wanted]:
    """Return the tariffs that the rows ask for."""
    return {Wanted(name, cell) for name in FIELDS for cell in table.texts[name] if cell is not None}
