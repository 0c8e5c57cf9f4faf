"""Files as people make them: encodings, separators, xlsx, formulas, rubbish."""

import csv
import io
import zipfile
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from python_calamine import CalamineWorkbook

from common.errors import Problem
from common.tabular import (
    MAX_ROWS,
    MAX_UNPACKED_BYTES,
    TooManyRows,
    Unreadable,
    parse_rows,
    read_table,
    write_csv,
    write_xlsx,
)


class Line(BaseModel):
    serial_number: str
    port: int = Field(default=4028, ge=1, le=65535)


@pytest.mark.parametrize(
    "content",
    [
        b"Serial Number,Port\nA1,4028\n",
        "serial_number;port\r\nA1;4028\r\n".encode("utf-8-sig"),
        "serial_number\tport\nA1\t4028".encode("utf-16"),
        write_xlsx(["serial_number", "port"], [["A1", 4028]]),
    ],
)
def test_every_usual_form_is_read(content: bytes) -> None:
    [row] = read_table(content, required=["serial_number"])
    assert row.number == 2
    assert row.cells == {"serial_number": "A1", "port": "4028"}


def test_cyrillic_ansi_is_recognised() -> None:
    text = "serial_number;note\nA1;Майнер на складе номер семь, требуется ремонт вентилятора\n"
    [row] = read_table(text.encode("cp1251"))
    assert row.cells["note"].startswith("Майнер на складе")


def test_errors_name_the_row_and_the_column() -> None:
    content = b"serial_number,port\nA1,4028\n,1\nA3,70000\n"
    good, bad = parse_rows(read_table(content), Line)
    assert [number for number, _ in good] == [2]
    assert [(error.row, error.column) for error in bad] == [(3, "serial_number"), (4, "port")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"port\n1\n",
        b"serial_number,serial_number\nA,B\n",
        b"serial_number,port\nA,1,surplus\n",
        b"a," * 1_000_000,
        b"\x00\x01\x02",
        b"PK\x03\x04x",
    ],
)
def test_what_is_no_table_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable):
        read_table(content, required=["serial_number"])


def test_rows_are_bounded() -> None:
    content = b"serial_number\n" + b"A\n" * (MAX_ROWS + 1)
    with pytest.raises(TooManyRows):
        read_table(content)


@pytest.mark.parametrize(
    ("row", "column", "refusal"),
    [(1_048_575, 16_383, TooManyRows), (1_048_575, 0, TooManyRows), (1, 16_383, Unreadable)],
)
def test_a_cell_in_the_far_corner_is_refused_before_room_is_made(
    row: int, column: int, refusal: type[Problem]
) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet: Any = book.add_worksheet()  # pyright: ignore[reportUnknownMemberType]
        sheet.write(0, 0, "serial_number")
        sheet.write(row, column, "x")
    with pytest.raises(refusal):
        read_table(out.getvalue())


def test_what_is_small_only_while_packed_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * (MAX_UNPACKED_BYTES + 1))
    with pytest.raises(TooManyRows):
        read_table(out.getvalue())


@pytest.mark.parametrize("name", ["content.xml", "xl/workbook.bin"])
def test_other_workbooks_are_refused(name: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", b"<workbook/>")
        archive.writestr(name, b"<x/>")
    with pytest.raises(Unreadable):
        read_table(out.getvalue())


@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_a_problem(content: bytes) -> None:
    with suppress(Unreadable, TooManyRows):
        read_table(content)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", " =cmd()", "＝1"])  # noqa: RUF001
def test_no_cell_is_a_formula(text: str) -> None:
    made = write_csv(["a", "b"], [[text, Decimal("-1.5")]])
    [_, row] = csv.reader(io.StringIO(made.decode("utf-8-sig")))
    assert row == ["'" + text, "-1.5"]
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(write_xlsx(["a"], [[text]])))
    assert sheet.get_sheet_by_index(0).to_python()[1][0] == text
