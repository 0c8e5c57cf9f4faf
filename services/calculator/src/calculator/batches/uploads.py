"""Taking a batch out of a request: JSON, or a table as the body or as the part `file` of a form."""

import asyncio
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any, ClassVar, cast

from fastapi import Request

from calculator.batches.columns import (
    ALIASES,
    KNOWN,
    BatchUnclear,
    EmptyBatch,
    Raw,
    columns_of,
    columns_of_rows,
    with_defaults,
)
from common import strict_json
from common.errors import BadRequest, TooLarge, UnsupportedMedia
from common.tabular import Row, read_table
from common.uploads import MAX_FILE_BYTES, media_type, read_body, read_file


class UploadTooLarge(TooLarge):
    title: ClassVar[str] = "The upload is too large"


class UnknownUpload(UnsupportedMedia):
    title: ClassVar[str] = "Send JSON, or a table (CSV, xlsx) as the body or in a form as `file`"


@dataclass(frozen=True, slots=True)
class Upload:
    """A batch as it was sent."""

    raw: Raw
    lines: list[int] | None
    """The line of each row in its file, the headings being line 1."""
    ignored_columns: list[str]


async def uploaded(request: Request) -> Upload:
    """Return the batch of a request.

    Raises:
        UploadTooLarge: it has more than 8 MiB.
        UnknownUpload: the content type is neither JSON nor a table nor a form.
        BadRequest: the JSON or the form cannot be read.
        BatchUnclear: it is not columns or rows of known fields.
        EmptyBatch: it has no rows.
        BatchTooLarge: it has more than 10,000 rows.
        Unreadable: the file is no table.
    """
    defaults: dict[str, Any] = dict(request.query_params)
    too_large = UploadTooLarge(f"At most {MAX_FILE_BYTES:,} bytes fit one batch; split it.")
    if media_type(request) == "application/json":
        body = await read_body(request, too_large)
        return await asyncio.to_thread(_from_json, body, defaults)
    content, fields = await read_file(request, too_large, unknown=UnknownUpload, max_fields=20)
    if content is None:
        raise BatchUnclear("The form has no part named file.", field="file")
    return await asyncio.to_thread(_from_file, content, defaults | fields)


def _from_json(body: bytes, defaults: dict[str, Any]) -> Upload:
    try:
        document = strict_json.loads(body)
    except (JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
    return Upload(_raw(document, defaults), None, [])


def _raw(document: Any, defaults: dict[str, Any]) -> Raw:
    """Return the columns of `{rows, defaults}`, `{columns, defaults}`, bare rows or columns."""
    if isinstance(document, list):
        return with_defaults(columns_of_rows(cast("list[Any]", document)), defaults)
    if not isinstance(document, dict):
        raise BatchUnclear("Send an object with columns or rows.", field="columns")
    given = cast("dict[str, Any]", document)
    if "rows" not in given and "columns" not in given:
        return with_defaults(columns_of(given), defaults)
    unknown = sorted(set(given) - {"rows", "columns", "defaults"})
    if unknown or ("rows" in given and "columns" in given):
        raise BatchUnclear(
            "Send rows or columns, and defaults if you like.",
            field=unknown[0] if unknown else "columns",
        )
    common: Any = {} if given.get("defaults") is None else given["defaults"]
    if not isinstance(common, dict):
        raise BatchUnclear("The defaults are an object of single values.", field="defaults")
    raw = _columns(given["columns"]) if "columns" in given else _rows(given["rows"])
    return with_defaults(raw, defaults | cast("dict[str, Any]", common))


def _columns(given: Any) -> Raw:
    if not isinstance(given, dict):
        raise BatchUnclear("The columns are an object of lists.", field="columns")
    return columns_of(cast("dict[str, Any]", given))


def _rows(given: Any) -> Raw:
    if not isinstance(given, list):
        raise BatchUnclear("The rows are a list of objects.", field="rows")
    return columns_of_rows(cast("list[Any]", given))


def _from_file(content: bytes, defaults: dict[str, Any]) -> Upload:
    rows: list[Row] = read_table(content)
    if not rows:
        raise EmptyBatch("The file has no row below its first.", field="file")
    headings = {name for row in rows for name in row.cells}
    known = {name for name in headings if ALIASES.get(name, name) in KNOWN}
    if not known:
        raise BatchUnclear(f"The first row names none of {', '.join(sorted(KNOWN))}.", field="file")
    raw = columns_of({name: [row.cells.get(name) for row in rows] for name in sorted(known)})
    return Upload(
        with_defaults(raw, defaults), [row.number for row in rows], sorted(headings - known)
    )
