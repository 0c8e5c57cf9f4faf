"""Tables to take away: amounts stay numbers, and no text becomes a formula."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from fastapi.responses import Response

from common.tabular import write_csv, write_xlsx

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TEXT = {"schema": {"type": "string"}}
BINARY = {"schema": {"type": "string", "format": "binary"}}


class _Plain:
    """A number as CSV holds it: a text with a minus would be guarded as a formula."""

    def __init__(self, value: Decimal) -> None:
        self._value = value

    def __str__(self) -> str:
        return f"{self._value:f}"


def csv_of(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as CSV."""
    return write_csv(columns, ([_csv(cell) for cell in row] for row in rows))


def xlsx_of(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as an xlsx workbook; amounts are numbers of 15 digits there, as in any."""
    return write_xlsx(columns, ([_xlsx(cell) for cell in row] for row in rows))


def _csv(cell: Any) -> Any:
    return _Plain(cell) if isinstance(cell, Decimal) else _text(cell)


def _xlsx(cell: Any) -> Any:
    return float(cell) if isinstance(cell, Decimal) else _text(cell)


def _text(cell: Any) -> Any:
    if cell is None:
        return ""
    return cell.isoformat() if isinstance(cell, date | datetime) else cell


def download(content: bytes, kind: str, name: str) -> Response:
    """Return a file as an answer."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)
