"""A calculated batch as rows: for JSON, for CSV and xlsx, and as it is kept."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from calculator.batches.columns import Raw, RowFault
from calculator.batches.rating import Answered
from common.tabular import write_csv, write_xlsx

_QUICK = 1
"""zlib's level: a batch of 10,000 rows takes 30 ms, and half the space of level 9's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows as they were sent."""

    raw: Raw
    lines: list[int] | None

    @property
    def length(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.raw.values())))

    def part(self, start: int, stop: int) -> "Asked":
        """Return some of the rows."""
        raw = {name: cells[start:stop] for name, cells in self.raw.items()}
        return Asked(raw, None if self.lines is None else self.lines[start:stop])


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a batch as sent and, once calculated, as answered."""

    asked: Asked
    answered: Answered | None


def pack_asked(asked: Asked) -> bytes:
    """Return rows as they are kept; numbers of any size, decimals as text."""
    return zlib.compress(json.dumps(asdict(asked), default=str).encode(), _QUICK)


def unpack_asked(packed: bytes) -> Asked:
    """Return kept rows."""
    return Asked(**json.loads(zlib.decompress(packed)))


def pack_answered(answered: Answered) -> bytes:
    """Return results as they are kept."""
    faults = {str(row): asdict(fault) for row, fault in answered.faults.items()}
    document = {
        "length": answered.length,
        "labels": answered.labels,
        "models": answered.models,
        "figures": answered.figures,
        "faults": faults,
    }
    return zlib.compress(orjson.dumps(document), _QUICK)


def unpack_answered(packed: bytes) -> Answered:
    """Return kept results."""
    document: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    faults = {int(row): RowFault(**fault) for row, fault in document.pop("faults").items()}
    return Answered(**document, faults=faults)


def joined(asked: Sequence[Asked]) -> Asked:
    """Return the rows of all parts in one."""
    names = {name: None for one in asked for name in one.raw}
    raw: Raw = {
        name: [cell for one in asked for cell in one.raw.get(name, [None] * one.length)]
        for name in names
    }
    lines = [line for one in asked for line in one.lines or ()]
    return Asked(raw, lines or None)


def result_rows(parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
    """Yield every calculated row: its place, and its result or its error."""
    index = 0
    for part in parts:
        answered = part.answered
        if answered is None:
            continue
        lines = part.asked.lines
        names = list(answered.figures)
        for place, values in enumerate(zip(*answered.figures.values(), strict=True)):
            fault = answered.faults.get(place)
            yield {
                "index": index,
                "line": None if lines is None else lines[place],
                "label": answered.labels[place],
                "model": answered.models[place],
                "result": dict(zip(names, values, strict=True)) if fault is None else None,
                "error": None if fault is None else asdict(fault),
            }
            index += 1


def csv_of(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return rows as CSV; no cell is a formula."""
    columns, lines = _lines(rows)
    return write_csv(columns, lines)


def xlsx_of(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return rows as an xlsx workbook; no cell is a formula."""
    columns, lines = _lines(rows)
    return write_xlsx(columns, lines)


def _lines(rows: Iterable[dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    figures: list[str] = []
    found = list(rows)
    for row in found:
        if row["result"] is not None:
            figures = list(row["result"])
            break
    columns = ["index", "line", "label", "model", *figures, "error_field", "error"]
    return columns, [_line(row, figures) for row in found]


def _line(row: dict[str, Any], figures: Sequence[str]) -> list[Any]:
    result: dict[str, Any] = row["result"] or {}
    error: dict[str, Any] = row["error"] or {}
    cells = [
        *(row[name] for name in ("index", "line", "label", "model")),
        *(result.get(name) for name in figures),
        error.get("field"),
        error.get("detail"),
    ]
    return ["" if cell is None else cell for cell in cells]
