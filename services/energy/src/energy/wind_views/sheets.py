"""An answer as JSON, CSV or an xlsx workbook: the same figures in each."""

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from fastapi import Depends, Header, Query
from fastapi.responses import Response
from pydantic import BaseModel

from common.tabular import write_csv, write_xlsx

Format = Literal["json", "csv", "xlsx"]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MEDIA: dict[str, Format] = {
    "application/json": "json",
    "text/csv": "csv",
    XLSX: "xlsx",
    "application/*": "json",
    "*/*": "json",
}
_QUALITIES = 1000

SHEETS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            XLSX: {"schema": {"type": "string", "format": "binary"}},
        }
    }
}
"""The `responses=` entry of a read that has all three formats."""


class _Plain(Decimal):
    """A decimal that never shows an exponent; a number, so that no minus sign is escaped."""

    def __str__(self) -> str:
        return f"{self:f}"


def _wanted(
    file_format: Annotated[
        Format | None,
        Query(alias="format", description="`csv` and `xlsx` come as files; else as Accept says"),
    ] = None,
    accept: Annotated[str | None, Header(max_length=1000, include_in_schema=False)] = None,
) -> Format:
    return file_format or accepted_format(accept or "")


Wanted = Annotated[Format, Depends(_wanted)]
"""The format in which the caller wants an answer."""


def accepted_format(header: str) -> Format:
    """Return the best of the formats that an Accept header names; JSON where it names none."""
    best: tuple[int, Format] = (0, "json")
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        found = _MEDIA.get(name)
        quality = _quality(parameters)
        if found is not None and quality > best[0]:
            best = (quality, found)
    return best[1]


def _quality(parameters: list[str]) -> int:
    """Return the weight of one part in thousandths; what cannot be read counts for nothing."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return round(min(max(float(value), 0), 1) * _QUALITIES)
            except ValueError:
                return 0
    return _QUALITIES


async def shown(answer: BaseModel, wanted: Format, name: str) -> BaseModel | Response:
    """Return an answer itself, or as a file of this name.

    A file holds one row per member of the answer's list, led by what the answer says of them all.
    """
    if wanted == "json":
        return answer
    content = await asyncio.to_thread(_CONTENTS[wanted], answer)
    kind = "text/csv; charset=utf-8" if wanted == "csv" else XLSX
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{wanted}"',
        "Vary": "Accept",
    }
    return Response(content, media_type=kind, headers=headers)


def _csv(answer: BaseModel) -> bytes:
    columns, lines = _table(answer)
    return write_csv(columns, lines)


def _xlsx(answer: BaseModel) -> bytes:
    columns, lines = _table(answer)
    # A workbook's numbers are binary floats; as text they could not be summed in it.
    cells = (
        [float(cell) if isinstance(cell, Decimal) else cell for cell in line] for line in lines
    )
    return write_xlsx(columns, cells)


_CONTENTS: dict[Format, Callable[[BaseModel], bytes]] = {"csv": _csv, "xlsx": _xlsx}


def _table(answer: BaseModel) -> tuple[list[str], list[list[Any]]]:
    columns = list(dict.fromkeys(_columns(type(answer))))
    return columns, [[row.get(name, "") for name in columns] for row in _rows(answer)]


def _columns(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the columns of a model, of those within it and of those in its lists.

    They follow from the types alone: a file of no rows has them all.
    """
    for name, field in model.model_fields.items():
        inner, is_list = _model_in(field.annotation)
        if inner is None:
            yield prefix + name
        else:
            yield from _columns(inner, prefix if is_list else f"{prefix}{name}_")


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the model that a field holds, if any, and whether it holds a list of it."""
    parts: list[Any] = list(get_args(annotation)) or [annotation]
    found = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
    return (found[0] if found else None), get_origin(annotation) is list


def _rows(answer: BaseModel) -> Iterator[dict[str, Any]]:
    """Yield the rows of an answer: of its lists of models, at any depth, or the answer itself.

    Where a member has a figure of the whole's name, the member's stands.
    """
    head = dict(_cells(answer))
    members: list[BaseModel] = []
    has_members = False
    for name, field in type(answer).model_fields.items():
        inner, is_list = _model_in(field.annotation)
        if inner is not None and is_list:
            has_members = True
            members += getattr(answer, name)
    if not has_members:
        yield head
    for member in members:
        for row in _rows(member):
            yield head | row


def _cells(answer: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the named cells of a model; those of a model within it carry its name."""
    for name, field in type(answer).model_fields.items():
        value: Any = getattr(answer, name)
        inner, is_list = _model_in(field.annotation)
        if inner is None:
            written = answer.model_dump(mode="json", include={name})[name]
            yield prefix + name, _cell(value, written)
        elif value is not None and not is_list:
            yield from _cells(value, f"{prefix}{name}_")


def _cell(value: Any, written: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "; ".join(map(str, cast("list[Any]", written)))
    return _Plain(written) if isinstance(value, Decimal) else written
