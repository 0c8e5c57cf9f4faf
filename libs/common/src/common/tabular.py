"""Tables that people bring and take away: CSV in the encodings Excel makes, and xlsx."""

import csv
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import xlsxwriter
from charset_normalizer import from_bytes
from pydantic import BaseModel, ValidationError
from python_calamine import CalamineError, CalamineWorkbook

from common.errors import Invalid, TooLarge

M = TypeVar("M", bound=BaseModel)
MAX_ROWS = 20_000
MAX_COLUMNS = 200
MAX_BYTES = 20 * 1024 * 1024
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
_XLSX_MAGIC = b"PK\x03\x04"
_OTHER_WORKBOOKS = {"xl/workbook.bin", "content.xml"}
_PLACE = re.compile(rb"""\br\s*=\s*["']\s*([A-Za-z]{0,9})([0-9]{1,20})\s*["']""")
_CHUNK = 1024 * 1024
_LONGEST_PLACE = 64
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  (meant)


class Unreadable(Invalid):
    title: ClassVar[str] = "The file cannot be read as a table"


class TooManyRows(TooLarge):
    title: ClassVar[str] = "The file has too many rows"


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one row. `row` is its number in the file, the header being row 1."""

    row: int
    column: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number in the file and its cells by column name."""

    number: int
    cells: dict[str, str]


def read_table(content: bytes, *, required: Sequence[str] = ()) -> list[Row]:
    """Read a CSV (comma, semicolon or tab; any usual encoding; BOM or not) or xlsx file.

    Column names are lower-cased, blanks become underscores; empty rows are left out.

    Raises:
        Unreadable: no table, a missing required column, a column named twice, or too many.
        TooManyRows: more than 20,000 rows, or more than 20 MiB.
    """
    if len(content) > MAX_BYTES:
        raise TooManyRows(f"The file has {len(content)} bytes, at most {MAX_BYTES} are read.")
    lines = _xlsx(content) if content.startswith(_XLSX_MAGIC) else _csv(content)
    header = _header(next(lines, list[str]()), required)
    rows: list[Row] = []
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) == MAX_ROWS:
            raise TooManyRows(f"At most {MAX_ROWS} rows are read at once; split the file.")
        if any(cell.strip() for cell in cells[len(header) :]):
            raise Unreadable(f"Row {number} has more cells than the first row names.", row=number)
        named = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        named.pop("", None)
        rows.append(Row(number, named))
    return rows


def _header(cells: list[str], required: Sequence[str]) -> list[str]:
    if len(cells) > MAX_COLUMNS:
        raise Unreadable(f"The first row names more than {MAX_COLUMNS} columns.")
    header = [_column(cell) for cell in cells]
    if not any(header):
        raise Unreadable("The file is empty; its first row must name the columns.")
    doubled = [name for name, times in Counter(header).items() if name and times > 1]
    missing = [name for name in required if name not in header]
    if doubled or missing:
        problem = f"lacks {', '.join(missing)}" if missing else f"names {doubled[0]} twice"
        raise Unreadable(f"The first row {problem}.", missing_columns=missing)
    return header


def parse_rows(rows: Iterable[Row], model: type[M]) -> tuple[list[tuple[int, M]], list[RowError]]:
    """Read each row as `model`; empty cells count as absent. Returns good rows and errors."""
    good: list[tuple[int, M]] = []
    bad: list[RowError] = []
    for row in rows:
        try:
            values = {name: value for name, value in row.cells.items() if value != ""}
            good.append((row.number, model.model_validate(values)))
        except ValidationError as error:
            bad.extend(
                RowError(row.number, str(e["loc"][0]) if e["loc"] else None, e["msg"])
                for e in error.errors()
            )
    return good, bad


def _column(cell: str) -> str:
    return cell.strip().lower().replace(" ", "_")


def _csv(content: bytes) -> Iterator[list[str]]:
    text = _decode(content)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise Unreadable(f"It is not CSV: {error}.") from error


def _decode(content: bytes) -> str:
    if b"\x00" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("It holds binary data; send CSV or xlsx.")
    try:
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return content.decode(encoding)
    except UnicodeDecodeError:
        best = from_bytes(content).best()
        if best is None:
            raise Unreadable("Its encoding is not recognised; save it as UTF-8.") from None
        return str(best)


def _require_bounded(content: bytes) -> None:
    """Refuse a workbook that is large only when unpacked.

    The reader makes room for every cell between the first and the last: a file of 5 kB whose one
    cell stands in the far corner asks for 550 GB, and that ends the process.
    """
    room = MAX_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" not in names or names & _OTHER_WORKBOOKS:
                raise Unreadable("It is not an xlsx workbook.")
            for part in archive.infolist():
                is_sheet = False
                for piece in _pieces(archive, part):
                    room -= len(piece)
                    if room < 0:
                        raise TooManyRows("The workbook is too large when unpacked.")
                    is_sheet = is_sheet or b"sheetData" in piece
                    _require_near(piece if is_sheet else b"")
    except _BROKEN as error:
        raise Unreadable(f"It is not an xlsx workbook: {error}.") from error


def _pieces(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Unpack a part bit by bit; each piece repeats the end of the one before."""
    end = b""
    with archive.open(part) as unpacked:
        while read := unpacked.read(_CHUNK):
            yield end + read
            end = read[-_LONGEST_PLACE:]


def _require_near(piece: bytes) -> None:
    for letters, digits in _PLACE.findall(piece):
        column = 0
        for letter in letters.upper():
            column = column * 26 + letter - ord("A") + 1
        if column > MAX_COLUMNS:
            raise Unreadable(f"The sheet has cells beyond column {MAX_COLUMNS}.")
        if int(digits) > MAX_ROWS + 1:
            raise TooManyRows(f"At most {MAX_ROWS} rows are read at once; split the file.")


def _xlsx(content: bytes) -> Iterator[list[str]]:
    _require_bounded(content)
    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0)
        lines = sheet.to_python(skip_empty_area=False)
    except (CalamineError, IndexError) as error:
        raise Unreadable(f"It is not an xlsx workbook: {error}.") from error
    for line in lines:
        yield [_cell(value) for value in line]


def _cell(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def safe(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return "'" + value
    return value


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a UTF-8 CSV file with a BOM, formula-safe."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([safe(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def write_xlsx(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return an xlsx workbook with one sheet; text is never a formula."""
    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as book:
        sheet: Any = book.add_worksheet()  # pyright: ignore[reportUnknownMemberType]
        for place, row in enumerate([columns, *rows]):
            sheet.write_row(place, 0, [v if isinstance(v, int | float) else str(v) for v in row])
    return out.getvalue()
